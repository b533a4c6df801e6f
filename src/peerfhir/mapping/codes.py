"""The code maps of a document: inline, from a CSV or a ConceptMap; an unknown code stops the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from peerfhir.config import Mark, Node
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.mapping import concept_maps
from peerfhir.mapping.code_map import EQUIVALENCES, NO_TARGET, CodeMap, CodingShape, Target
from peerfhir.mapping.code_rows import MAX_ROWS, Found, Row, csv_rows
from peerfhir.mapping.document import keys
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.syntax import LIST_NAME as NAME

__all__ = ["MAX_ROWS", "NAME", "CodeMap", "CodeMaps", "CodingShape", "Target"]

_LONG = ["map", "system", "sourceSystem", "equivalence", "unmapped"]
_TARGET = ["code", "system", "display", "equivalence", "comment"]

_PUBLISHED = ("http://hl7.org/fhir/", "http://terminology.hl7.org/")

Beside = Callable[[str, Mark, str], tuple[str, str] | None]
Known = Callable[[str, str], bool | None]


def published(system: str, code: str) -> bool | None:
    """Whether a code system of R4 has a code; None for the systems of others, and for those that are not whole."""
    if not system.startswith(_PUBLISHED):
        return None
    from peerfhir.fhir import schema  # its data take 20 ms, for the maps that lead there

    terminology = schema.r4().terminology
    return terminology.ask_system(system, code).value == "valid" if terminology.knows_system(system) else None


class CodeMaps:
    """Reads the code maps of one document.

    systems    alias -> URI
    beside     reads a file named by the document: text, or None after noting why not
    canonical  finds a loaded ConceptMap by its canonical: label and text, or None
    known      whether a code system has a code; None when the system is not loaded. By default those of R4
    """

    def __init__(
        self,
        systems: Mapping[str, str],
        problems: Problems,
        beside: Beside,
        canonical: Callable[[str], tuple[str, str] | None] = lambda _: None,
        known: Known | None = None,
    ) -> None:
        self._systems = systems
        self._problems = problems
        self._beside = beside
        self._canonical = canonical
        self._known = known or published

    def read(self, name: str, node: Node, mark: Mark) -> CodeMap | None:
        """One code map, or None after noting what is wrong with it."""
        address = f"conceptMaps.{name}"
        if not NAME.fullmatch(name):
            self._problems.add(mark, "PM007", address, "a code map's name is made of a-z, 0-9, '-' and '_'")
        if node.kind == "map" and "map" in node.value:
            return self._long(name, node, address)
        found = self._rows(node, address)
        return None if found is None else self._build(name, mark, found, {}, address)

    def target(self, node: Node, address: str, system: str | None = None) -> Target | None:
        """One target, as a code map, a band or `unmapped` writes it; None after noting what is wrong."""
        return self._target(node, address, system, "equivalent")

    def _long(self, name: str, node: Node, address: str) -> CodeMap | None:
        keys(node, _LONG, frozenset(), address, self._problems)
        system = self._system(node.value.get("system"), address)
        usual = self._equivalence(node, address)
        found = self._rows(node.value["map"], address, system, usual)
        if found is None:
            return None
        more: dict[str, Any] = {}
        if "sourceSystem" in node.value:
            more["source_system"] = self._system(node.value["sourceSystem"], address)
        unmapped = node.value.get("unmapped")
        if unmapped is not None and unmapped.value == "provided":
            more["provided"] = True
        elif unmapped is not None and unmapped.kind == "scalar" and unmapped.value != "fail":
            what = "'unmapped' is fail, provided, or a target"
            self._problems.add(unmapped.mark, "PM007", address, what, f"write {{code: {unmapped.raw}}}")
        elif unmapped is not None and unmapped.value != "fail":
            more["default"] = self._target(unmapped, f"{address}.unmapped", system, usual)
        return self._build(name, node.mark, found, more, address)

    def _build(self, name: str, mark: Mark, found: Found, more: dict[str, Any], address: str) -> CodeMap | None:
        entries: dict[str, Target] = {}
        marks: dict[str, Mark] = {}
        for row in found.rows:
            if row.source in marks:
                first = marks[row.source]
                what = f"code map '{name}' has two entries for '{row.source}' (the first at line {first.line})"
                self._problems.add(row.mark, "PM131", "", what, notes=((first, "first entry"),))
                continue
            marks[row.source] = row.mark
            entries[row.source] = row.target
        if len(entries) > MAX_ROWS:
            self._problems.add(mark, "PM750", address, f"a code map has at most {MAX_ROWS} rows")
            return None
        default, blank = entries.pop("*", None), entries.pop("", None)
        if default is not None and (more.get("default") or more.get("provided") or found.provided):
            what = '"*" and `unmapped` both say what an unknown code becomes'
            self._problems.add(marks["*"], "PM136", address, what)
        given = {"default": default, "blank": blank, "provided": found.provided, "sources": found.sources, **more}
        made = CodeMap(name, mark, entries, marks, **given)
        self._known_codes(made, address)
        return made

    def _known_codes(self, made: CodeMap, address: str) -> None:
        strange: set[str] = set()
        for source, target in made.entries.items():
            if target.code is None or target.system is None:
                continue
            known = self._known(target.system, target.code)
            if known is False:
                what = f"'{target.code}' is not a code of {target.system}"
                self._problems.add(made.marks[source], "PM134", address, what)
            elif known is None:
                strange.add(target.system)
        for system in sorted(strange):
            what = f"the codes of {system} are not checked: the code system is not loaded"
            self._problems.add(made.mark, "PM134", address, what, info=True)

    def _rows(self, node: Node, address: str, system: str | None = None, usual: str = "equivalent") -> Found | None:
        if node.kind == "map":
            rows = []
            for source, value in node.value.items():
                target = self._target(value, f"{address}.{source}", system, usual)
                if target is not None:
                    rows.append(Row(source, target, node.key_marks[source]))
            return Found(rows)
        if node.kind != "scalar" or not isinstance(node.value, str):
            what = "a code map is a map of codes, or the name of a CSV or ConceptMap file"
            self._problems.add(node.mark, "PM007", address, what)
            return None
        return self._file(node, address, system, usual)

    def _file(self, node: Node, address: str, system: str | None, usual: str) -> Found | None:
        written = node.value
        if ":" in written:
            text = self._canonical(written)
            if text is None:
                what = "no ConceptMap with this canonical is loaded"
                self._problems.add(node.mark, "PM008", address, what, "put <name>.conceptmap.json below mappings/")
                return None
            return concept_maps.rows(*text, self._canonical, self._problems)
        if not written.endswith((".csv", ".json")):
            what = "a code map is a file .csv or .conceptmap.json, a canonical, or a map of codes"
            self._problems.add(node.mark, "PM136", address, what, "write name.csv, or the entries")
            return None
        beside = self._beside(written, node.mark, address)
        if beside is None:
            return None
        if written.endswith(".json"):
            return concept_maps.rows(*beside, self._canonical, self._problems)
        return csv_rows(*beside, self._systems, (system, usual), self._problems)

    def _target(self, node: Node, address: str, system: str | None, usual: str) -> Target | None:
        if node.kind == "map":
            return self._long_target(node, address, system, usual)
        if node.kind != "scalar" or node.value is None or node.value == "":
            hint = "equivalence unmatched: there is none"
            self._problems.add(node.mark, "PM136", address, "the target is empty", hint)
            return None
        return Target(node.raw if not isinstance(node.value, str) else node.value, system, equivalence=usual)

    def _long_target(self, node: Node, address: str, system: str | None, usual: str) -> Target | None:
        keys(node, _TARGET, frozenset(), address, self._problems)
        texts = {key: value.raw for key, value in node.value.items() if value.kind == "scalar"}
        equivalence = self._equivalence(node, address, usual)
        made = Target(None, None, None, equivalence, texts.get("comment") or None)
        if equivalence in NO_TARGET:
            return made
        if not texts.get("code"):
            self._problems.add(node.mark, "PM136", address, "a target needs a code")
            return None
        own = self._system(node.value.get("system"), address)
        return replace(made, code=texts["code"], system=own or system, display=texts.get("display") or None)

    def _equivalence(self, node: Node, address: str, usual: str = "equivalent") -> str:
        found = node.value.get("equivalence")
        if found is None:
            return usual
        if found.kind == "scalar" and found.raw in EQUIVALENCES:
            return str(found.raw)
        what = "this is not an equivalence of R4"
        self._problems.add(found.mark, "PM136", address, what, nearest(str(found.raw), EQUIVALENCES))
        return usual

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
