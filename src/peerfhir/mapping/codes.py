"""Code maps from the document or a CSV beside it; an unknown code stops the record."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from peerfhir.config import Mark, Node
from peerfhir.fhir.fhirpath import functions
from peerfhir.fhir.fhirpath.problems import EvaluationProblem, nearest
from peerfhir.fhir.fhirpath.types import Card, Static
from peerfhir.mapping.document import keys
from peerfhir.mapping.problems import Problems

MAX_ROWS = 100_000
NAME = re.compile(r"[a-z][a-z0-9_-]*")

_LONG = ["map", "system", "sourceSystem", "equivalence", "unmapped"]
_TARGET = ["code", "system", "display", "equivalence", "comment"]
_COLUMNS = ("source", "code", "system", "display", "equivalence", "comment")
_NO_TARGET = frozenset(("unmatched", "disjoint"))
_EQUIVALENCES = frozenset((
    "relatedto", "equivalent", "equal", "wider", "subsumes", "narrower", "specializes", "inexact", "unmatched",
    "disjoint",
))  # fmt: skip
_UNKNOWN = object()


@dataclass(frozen=True, slots=True)
class Target:
    """What one local code becomes. `code` None: the map says there is no equivalent."""

    code: str | None
    system: str | None = None
    display: str | None = None


class CodingShape:
    """The names below a translated Coding, with the closed set of codes it can have."""

    def __init__(self, members: Mapping[str, Static]) -> None:
        self._members = members

    def names(self) -> Iterable[str]:
        return self._members

    def member(self, name: str) -> Static | None:
        return self._members.get(name)


@dataclass(frozen=True)
class CodeMap:
    """One checked code map; `translate` is what expressions call.

    entries        local code -> target
    default        the target of "*" or of `unmapped`; None when an unknown code fails
    blank          the target of ""
    provided       unknown codes are passed through as they are
    broken         it could not be read; what uses it has no further problem
    source_system  the system a Coding must have to be translated; None: any
    """

    name: str
    mark: Mark
    entries: Mapping[str, Target]
    marks: Mapping[str, Mark]
    default: Target | None = None
    blank: Target | None = None
    provided: bool = False
    broken: bool = False
    source_system: str | None = None
    _table: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    _values: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._table.update({code: self._value(target) for code, target in self.entries.items()})
        self._values["default"] = self._value(self.default) if self.default else _UNKNOWN
        self._values["blank"] = self._value(self.blank) if self.blank and self.blank.code else None

    def targets(self) -> tuple[Target, ...]:
        """Every target that exists, in the order of the map."""
        extra = tuple(one for one in (self.default, self.blank) if one is not None)
        return tuple(one for one in (*self.entries.values(), *extra) if one.code is not None)

    @property
    def coded(self) -> bool:
        """Whether results are Codings: some target has more than a code."""
        return any(one.system or one.display for one in self.targets())

    def _value(self, target: Target) -> Any:
        if target.code is None:
            return _UNKNOWN
        if not self.coded:
            return target.code
        parts = {"system": target.system, "code": target.code, "display": target.display}
        return {key: value for key, value in parts.items() if value is not None}

    def translate(self, value: Any) -> Any:
        """The target of one code or Coding: a text, or a Coding that must not be changed.

        Raises  EvaluationProblem PM710 for a code that is not in the map, which has no default
        """
        if type(value) is str:
            found = self._table.get(value, _UNKNOWN)
            if found is not _UNKNOWN:
                return found
        code = self._code(value)
        if code == "":
            return self._values["blank"]
        found = self._table.get(code, _UNKNOWN) if code is not None else _UNKNOWN
        if found is _UNKNOWN:
            if self.provided and code is not None and code not in self._table:
                return {"code": code} if self.coded else code
            found = self._values["default"]
        if found is _UNKNOWN:
            raise EvaluationProblem("PM710", f"the code is not in code map '{self.name}', which has no default")
        return found

    def _code(self, value: Any) -> str | None:
        """The text to look up; '' for no value, None for a Coding of another system."""
        if not isinstance(value, dict):
            return functions.text(value)
        if self.source_system is not None and value.get("system") not in (None, self.source_system):
            return None
        return functions.text(value.get("code"))

    def output(self, given: Static) -> Static:
        """The type of the result for an input of this type."""
        codes = None if self.provided else frozenset(one.code for one in self.targets() if one.code is not None)
        never_blank = given.card == "one" and not given.blank
        card: Card = "one" if never_blank or (self.blank is not None and self.blank.code) else "opt"
        if not self.coded:
            return Static(("code",), card, codes=codes, blank=False, sure=not self.provided or given.sure)
        displays = all(one.display for one in self.targets())
        systems = all(one.system for one in self.targets())
        text = Static(("string",), "one", blank=False)
        members = {
            "code": Static(("code",), "one", codes=codes, blank=False),
            "display": text.as_card("one" if displays else "opt"),
            "system": Static(("uri",), "one" if systems else "opt", blank=False),
        }
        return Static(("Coding",), card, CodingShape(members), codes, blank=False)

    def review(self, given: Static) -> list[tuple[str, str, str]]:
        """What translating a value of this type risks: rule, what, hint."""
        if self.default is not None or self.provided:
            return []
        if given.codes is None or "Coding" in given.kinds:
            what = f"unknown codes will fail the record: code map '{self.name}' has no default"
            return [("PM133", what, 'declare the field\'s codes, or add a "*" entry')]
        found = []
        missing = sorted(code for code in given.codes if self._table.get(code, _UNKNOWN) is _UNKNOWN)
        if missing:
            shown = ", ".join(missing[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
            found.append(("PM132", f"code map '{self.name}' has no entry for {shown}", 'add them, or a "*" entry'))
        unreachable = [code for code in self.entries if code not in given.codes]
        if unreachable and not missing:
            found.append(("PM137", f"entries of code map '{self.name}' can never be reached here", ""))
        return found


class CodeMaps:
    """Reads the code maps of one document.

    systems  alias -> URI
    beside   reads a file named by the document: text, or None after noting why not
    """

    def __init__(
        self, systems: Mapping[str, str], problems: Problems, beside: Callable[[str, Mark, str], tuple[str, str] | None]
    ) -> None:
        self._systems = systems
        self._problems = problems
        self._beside = beside

    def read(self, name: str, node: Node, mark: Mark) -> CodeMap | None:
        """One code map, or None after noting what is wrong with it."""
        address = f"conceptMaps.{name}"
        if not NAME.fullmatch(name):
            self._problems.add(mark, "PM007", address, "a code map's name is made of a-z, 0-9, '-' and '_'")
        if node.kind == "map" and "map" in node.value:
            return self._long(name, node, address)
        rows = self._rows(node, address, None)
        return None if rows is None else self._build(name, mark, rows, {}, address)

    def _long(self, name: str, node: Node, address: str) -> CodeMap | None:
        keys(node, _LONG, frozenset(), address, self._problems)
        default_system = self._system(node.value.get("system"), address)
        rows = self._rows(node.value["map"], address, default_system)
        if rows is None:
            return None
        more: dict[str, Any] = {"source_system": self._system(node.value.get("sourceSystem"), address)}
        unmapped = node.value.get("unmapped")
        if unmapped is not None and unmapped.value == "provided":
            more["provided"] = True
        elif unmapped is not None and unmapped.value != "fail":
            more["default"] = self._target(unmapped, f"{address}.unmapped", default_system)
        return self._build(name, node.mark, rows, more, address)

    def _build(
        self, name: str, mark: Mark, rows: list[tuple[str, Target, Mark]], more: dict[str, Any], address: str
    ) -> CodeMap | None:
        entries: dict[str, Target] = {}
        marks: dict[str, Mark] = {}
        for source, target, place in rows:
            if source in marks:
                what = f"code map '{name}' has two entries for '{source}' (the first at line {marks[source].line})"
                self._problems.add(place, "PM131", "", what)
                continue
            marks[source] = place
            entries[source] = target
        if len(entries) > MAX_ROWS:
            self._problems.add(mark, "PM750", address, f"a code map has at most {MAX_ROWS} rows")
            return None
        default, blank = entries.pop("*", None), entries.pop("", None)
        if default is not None and (more.get("default") or more.get("provided")):
            self._problems.add(marks["*"], "PM136", address, '"*" and `unmapped` both say what an unknown code becomes')
        return CodeMap(name, mark, entries, marks, **{"default": default, "blank": blank, **more})

    def _rows(self, node: Node, address: str, system: str | None) -> list[tuple[str, Target, Mark]] | None:
        if node.kind == "map":
            rows = []
            for source, value in node.value.items():
                target = self._target(value, f"{address}.{source}", system)
                if target is not None:
                    rows.append((source, target, node.key_marks[source]))
            return rows
        if node.kind == "scalar" and isinstance(node.value, str):
            if node.value.endswith(".csv"):
                return self._csv(node, address, system)
            what = "only inline maps and CSV files are supported in this version"
            self._problems.add(node.mark, "PM136", address, what, "write name.csv, or the entries")
            return None
        self._problems.add(node.mark, "PM007", address, "a code map is a map of codes, or the name of a CSV file")
        return None

    def _csv(self, node: Node, address: str, system: str | None) -> list[tuple[str, Target, Mark]] | None:
        found = self._beside(node.value, node.mark, address)
        if found is None:
            return None
        path, text = found
        reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
        rows: list[tuple[str, Target, Mark]] = []
        try:
            header = next(reader, [])
            if not {"source", "code"} <= set(header) <= set(_COLUMNS) or len(set(header)) != len(header):
                what = f"the first line names the columns: source, code, and any of {', '.join(_COLUMNS[2:])}"
                self._problems.add(Mark(path, 1, 1), "PM136", "", what)
                return None
            for cells in reader:
                mark = Mark(path, reader.line_num, 1)
                if not cells:
                    continue
                if len(cells) != len(header):
                    self._problems.add(mark, "PM136", "", f"{len(header)} cells are expected, {len(cells)} are there")
                    continue
                row = dict(zip(header, cells, strict=True))
                target = self._row_target(row, mark, system)
                if target is not None:
                    rows.append((row["source"], target, mark))
        except csv.Error:
            self._problems.add(Mark(path, max(reader.line_num, 1), 1), "PM136", "", "this line is not CSV")
            return None
        return rows

    def _row_target(self, row: Mapping[str, str], mark: Mark, system: str | None) -> Target | None:
        equivalence = row.get("equivalence") or "equivalent"
        if equivalence not in _EQUIVALENCES:
            what = "this is not an equivalence of R4"
            self._problems.add(mark, "PM136", "", what, nearest(equivalence, _EQUIVALENCES))
        if equivalence in _NO_TARGET:
            return Target(None)
        if not row["code"]:
            self._problems.add(mark, "PM136", "", "the code is empty", "equivalence unmatched says there is none")
            return None
        alias = row.get("system") or ""
        return Target(row["code"], self._systems.get(alias, alias) or system, row.get("display") or None)

    def _target(self, node: Node, address: str, system: str | None) -> Target | None:
        if node.kind == "map":
            return self._long_target(node, address, system)
        if node.kind != "scalar" or node.value is None or node.value == "":
            self._problems.add(
                node.mark, "PM136", address, "the target is empty", "equivalence unmatched: there is none"
            )
            return None
        return Target(node.raw if not isinstance(node.value, str) else node.value, system)

    def _long_target(self, node: Node, address: str, system: str | None) -> Target | None:
        keys(node, _TARGET, frozenset(), address, self._problems)
        texts = {key: value.raw for key, value in node.value.items() if value.kind == "scalar"}
        equivalence = texts.get("equivalence", "equivalent")
        if equivalence not in _EQUIVALENCES:
            what = "this is not an equivalence of R4"
            self._problems.add(node.at(("equivalence",)), "PM136", address, what, nearest(equivalence, _EQUIVALENCES))
        if equivalence in _NO_TARGET:
            return Target(None)
        if not texts.get("code"):
            self._problems.add(node.mark, "PM136", address, "a target needs a code")
            return None
        own = self._system(node.value.get("system"), address)
        return Target(texts["code"], own or system, texts.get("display") or None)

    def _system(self, node: Node | None, address: str) -> str | None:
        if node is None:
            return None
        alias = str(node.value).removeprefix("$")
        if alias in self._systems:
            return self._systems[alias]
        if ":" in alias:
            return alias
        self._problems.add(node.mark, "PM139", address, "unknown system alias", nearest(alias, self._systems))
        return None
