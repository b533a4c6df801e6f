"""One code map: what each local code becomes, and what an expression may expect of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from peerfhir.config import Mark
from peerfhir.fhir.fhirpath import functions
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.fhir.fhirpath.types import Card, Static
from peerfhir.mapping import forms
from peerfhir.mapping.problems import listed

NO_TARGET = frozenset(("unmatched", "disjoint"))
EQUIVALENCES = frozenset((
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
    equivalence: str = "equivalent"
    comment: str | None = None


class CodingShape:
    """The names below a translated Coding, with the closed set of codes it can have.

    pairs  each system and code, None where the target has no system; empty where codes are passed through
    """

    def __init__(self, members: Mapping[str, Static], pairs: frozenset[tuple[str | None, str]] = frozenset()) -> None:
        self._members = members
        self.pairs = pairs

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
    sources        the same for single codes, where a ConceptMap has several groups
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
    sources: Mapping[str, str] = field(default_factory=dict)
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

    def leading_to(self, codes: Collection[str]) -> tuple[Mark, ...]:
        """Where the entries stand that lead to one of these codes."""
        every = {
            **self.entries,
            **{key: one for key, one in (("*", self.default), ("", self.blank)) if one is not None},
        }
        return tuple(self.marks[key] for key, one in every.items() if one.code in codes and key in self.marks)

    @property
    def coded(self) -> bool:
        """Whether results are Codings: some target has more than a code."""
        return any(one.system or one.display for one in self.targets())

    def _value(self, target: Target) -> Any:
        if target.code is None:
            return _UNKNOWN
        return target.code if not self.coded else coding(target)

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
        code = functions.text(value.get("code"))
        system = self.sources.get(code, self.source_system) if code is not None else None
        if system is not None and value.get("system") not in (None, system):
            return None
        return code

    def output(self, given: Static) -> Static:
        """The type of the result for an input of this type."""
        never_blank = given.card == "one" and not given.blank
        card: Card = "one" if never_blank or (self.blank is not None and self.blank.code) else "opt"
        if self.coded:
            found = coding_type(self.targets(), card)
            return found if not self.provided else _open(found)
        codes = None if self.provided else frozenset(one.code for one in self.targets() if one.code is not None)
        sure = all(forms.fits("code", one.code) for one in self.targets())
        return Static(("code",), card, codes=codes, blank=False, sure=sure and (not self.provided or given.sure))

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
            what = f"code map '{self.name}' has no entry for {listed(missing)}"
            found.append(("PM132", what, 'add them, or a "*" entry'))
        unreachable = [code for code in self.entries if code not in given.codes]
        if unreachable and not missing:
            found.append(("PM137", f"entries of code map '{self.name}' can never be reached here", ""))
        return found


def coding(target: Target) -> dict[str, str]:
    """A target as a Coding."""
    parts = {"system": target.system, "code": target.code, "display": target.display}
    return {key: value for key, value in parts.items() if value is not None}


def coding_type(targets: Iterable[Target], card: Card) -> Static:
    """The type of a Coding that is one of these targets."""
    known = tuple(targets)
    codes = frozenset(one.code for one in known if one.code is not None)
    text = Static(("string",), "one", blank=False)
    members = {
        "code": Static(("code",), "one", codes=codes, blank=False),
        "display": text.as_card("one" if all(one.display for one in known) else "opt"),
        "system": Static(("uri",), "one" if all(one.system for one in known) else "opt", blank=False),
    }
    pairs = frozenset((one.system, one.code) for one in known if one.code is not None)
    return Static(("Coding",), card, CodingShape(members, pairs), codes, blank=False)


def _open(static: Static) -> Static:
    """The same Coding with any code: a code that is not in the map is passed through."""
    shape = static.shape
    names = {name: shape.member(name) for name in shape.names()} if shape is not None else {}
    members = {name: member for name, member in names.items() if member is not None}
    members["code"] = Static(("code",), "one", blank=False, sure=False)
    members = {name: one if name == "code" else one.as_card("opt") for name, one in members.items()}
    return Static(static.kinds, static.card, CodingShape(members), None, blank=False)
