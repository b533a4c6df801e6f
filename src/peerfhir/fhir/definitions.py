"""All of R4 as data: types, elements, cardinalities, choices, required codes and reference targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from os import path
from typing import Any

PRIMITIVES = frozenset((
    "base64Binary", "boolean", "canonical", "code", "date", "dateTime", "decimal", "id", "instant", "integer",
    "markdown", "oid", "positiveInt", "string", "time", "unsignedInt", "uri", "url", "uuid", "xhtml",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type, under the name it has in JSON (`valueQuantity`, not `value[x]`).

    minimum  0 or 1; every alternative of a required choice carries 1
    choice   the name without its type ("value"), for an element that is one alternative of a choice
    codes    the codes of its required value set, where the index knows them in full
    targets  the resource types a Reference may point to; empty when any may
    """

    name: str
    type: str
    minimum: int
    many: bool
    choice: str | None = None
    codes: frozenset[str] | None = None
    targets: tuple[str, ...] = ()


class Definitions:
    """The types of one FHIR version. Immutable from outside; elements are made on first use."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        """Shape of the data: tests/support/make_definitions.py."""
        self._types: Mapping[str, Any] = data["types"]
        self._codes: list[list[str]] = data["codes"]
        self._lists: dict[int, frozenset[str]] = {}
        self._elements: dict[str, Mapping[str, Element]] = {}
        self._choices: dict[str, Mapping[str, tuple[Element, ...]]] = {}

    def is_type(self, name: str) -> bool:
        """Whether it is a primitive, a data type, a backbone element or a resource."""
        return name in PRIMITIVES or name in self._types

    def is_named(self, name: str) -> bool:
        """Whether it is a type with a name of its own: no backbone element."""
        entry = self._types.get(name)
        return name in PRIMITIVES or (entry is not None and len(entry) == 2)

    def is_resource(self, name: str) -> bool:
        """Whether it is a resource type that can be written."""
        return self._descends(name, "Resource") and name not in ("Resource", "DomainResource")

    def resources(self) -> tuple[str, ...]:
        """Every resource type, in alphabetical order."""
        return tuple(name for name in self._types if self.is_resource(name))

    def is_a(self, name: str, base: str) -> bool:
        """Whether `name` is `base` or descends from it: an Age is a Quantity."""
        return name == base or self._descends(name, base)

    def _descends(self, name: str, base: str) -> bool:
        while (entry := self._types.get(name)) is not None and (name := entry[0]):
            if name == base:
                return True
        return False

    def elements(self, type_name: str) -> Mapping[str, Element]:
        """Every element of a type, inherited ones first; empty for a primitive or an unknown type."""
        known = self._elements.get(type_name)
        if known is None:
            entry = self._types.get(type_name)
            known = {}
            if entry is not None:
                known = dict(self.elements(entry[0])) if entry[0] else {}
                known.update({name: self._element(name, row) for name, row in entry[1].items()})
            self._elements[type_name] = known  # two threads may both build it; the results are equal
        return known

    def _element(self, name: str, row: str | list[Any]) -> Element:
        if type(row) is str:
            return Element(name, row, 0, False)
        kind, minimum, many, choice, codes, targets = [*row, 0, 0, 0, 0, 0][:6]
        return Element(name, kind, minimum, bool(many), choice or None, self._listed(codes), tuple(targets or ()))

    def _listed(self, place: int) -> frozenset[str] | None:
        if not place:
            return None
        known = self._lists.get(place)
        if known is None:
            known = self._lists[place] = frozenset(self._codes[place - 1])
        return known

    def element(self, type_name: str, name: str) -> Element | None:
        """One element under its JSON name."""
        return self.elements(type_name).get(name)

    def choices(self, type_name: str, name: str) -> tuple[Element, ...]:
        """The alternatives of a choice named without its type: `value` of an Observation."""
        known = self._choices.get(type_name)
        if known is None:
            found: dict[str, tuple[Element, ...]] = {}
            for element in self.elements(type_name).values():
                if element.choice:
                    found[element.choice] = (*found.get(element.choice, ()), element)
            known = self._choices[type_name] = found
        return known.get(name, ())


@cache
def r4() -> Definitions:
    """The index of R4 4.0.1 that ships with the package, read on first use (about 10 ms).

    Source  the StructureDefinitions and value sets of HL7 FHIR R4 4.0.1 as r4/NOTICE says, by
            tests/support/make_definitions.py
    """
    return Definitions(_read("definitions"))


@cache
def invariants() -> Mapping[str, Any]:
    """The invariants of R4: `rules`, each key, severity, sentence and FHIRPath; `types`, which of them bind a type.

    A type stands under its name, an element of it under `Type.name`.

    Source  the StructureDefinitions of HL7 FHIR R4 4.0.1, by tests/support/make_checks.py
    """
    return _read("invariants")


@cache
def bindings() -> Mapping[str, Any]:
    """Bindings of R4 that are about systems, too: `extensible` and `required`, "Type.name" -> url; `sets`, url -> rows.

    A row is a system and its codes, or 0 where any may belong. Required sets of plain codes are in `r4()`.

    Source  as `invariants`
    """
    return _read("bindings")


@cache
def displays() -> Mapping[str, Mapping[str, str]]:
    """The displays of HL7's own code systems that R4 binds elements to, by url and code.

    Source  as `invariants`
    """
    return _read("displays")


def _read(name: str) -> Mapping[str, Any]:
    import gzip  # this and the reader are needed once, and not by a command that reads no FHIR

    from peerfhir.fhir import reader

    with gzip.open(path.join(path.dirname(__file__), "r4", f"{name}.json.gz")) as packed:
        found: Mapping[str, Any] = reader.read_own(packed.read())
    return found
