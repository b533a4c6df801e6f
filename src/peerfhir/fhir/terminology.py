"""Is this code in that value set: yes, no, cannot know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from peerfhir.fhir.reader import Json

_MAX_DEPTH = 12  # value sets that include value sets


class Answer(StrEnum):
    """What can be said offline about a code. Unknown is never an error and never silent."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Expansion:
    """The codes of a value set by system.

    systems  None instead of codes: codes of this system may belong, which ones is not known here
    whole    False when codes of other systems may belong as well
    """

    systems: Mapping[str, frozenset[str] | None]
    whole: bool = True

    @property
    def is_listed(self) -> bool:
        """Whether every code is known."""
        return self.whole and None not in self.systems.values()

    def codes(self) -> frozenset[str]:
        """The codes without their systems, for elements of type code."""
        return frozenset().union(*(codes for codes in self.systems.values() if codes))

    def ask(self, system: str | None, code: str) -> Answer:
        """Whether the pair belongs; without a system only the code is compared."""
        if system is None:
            if code in self.codes():
                return Answer.VALID
            return Answer.INVALID if self.is_listed else Answer.UNKNOWN
        if system not in self.systems:
            return Answer.INVALID if self.whole else Answer.UNKNOWN
        codes = self.systems[system]
        if codes is None:
            return Answer.UNKNOWN
        return Answer.VALID if code in codes else Answer.INVALID if self.whole else Answer.UNKNOWN


class Terminology:
    """Value sets and code systems at hand: those of R4 as rows, those of a site as resources."""

    def __init__(self, value_sets: Mapping[str, Any], code_systems: Mapping[str, Any]) -> None:
        """Shapes of the rows: tests/support/make_r4.py, value_sets."""
        self._rows: dict[str, Any] = dict(value_sets)
        self._systems: dict[str, frozenset[str]] = {url: frozenset(codes) for url, codes in code_systems.items()}
        self._made: dict[str, Expansion | None] = {}
        self._added: tuple[set[str], set[str]] = set(), set()  # urls of value sets, and of code systems

    def copy(self) -> Terminology:
        """One that may be added to."""
        made = Terminology({}, {})
        made._rows, made._systems = dict(self._rows), dict(self._systems)
        return made

    def add(self, resource: Json) -> None:
        """A ValueSet or CodeSystem of a package; it replaces what is known under the same url."""
        url = resource["url"]
        self._made.clear()
        if resource["resourceType"] == "ValueSet":
            self._rows[url] = list(_rows_of(resource))
            self._added[0].add(url)
        elif resource.get("content") == "complete":
            self._systems[url] = frozenset(_codes_of(resource.get("concept", [])))
            self._added[1].add(url)

    def as_data(self) -> Json:
        """What was added, as JSON: what `with_data` reads."""
        rows, systems = self._added
        return {
            "valueSets": {url: self._rows[url] for url in sorted(rows)},
            "codeSystems": {url: sorted(self._systems[url]) for url in sorted(systems)},
        }

    def with_data(self, data: Json) -> Terminology:
        """The same one, with what `as_data` wrote."""
        self._made.clear()
        self._rows.update(data["valueSets"])
        self._systems.update({url: frozenset(codes) for url, codes in data["codeSystems"].items()})
        self._added[0].update(data["valueSets"])
        self._added[1].update(data["codeSystems"])
        return self

    def knows_system(self, url: str) -> bool:
        """Whether every code of the system is at hand."""
        return url in self._systems

    def ask_system(self, url: str, code: str) -> Answer:
        """Whether the system has this code."""
        codes = self._systems.get(url)
        if codes is None:
            return Answer.UNKNOWN
        return Answer.VALID if code in codes else Answer.INVALID

    def ask(self, value_set: str, system: str | None, code: str) -> Answer:
        """Whether the value set has this code."""
        expansion = self.expansion(value_set)
        return Answer.UNKNOWN if expansion is None else expansion.ask(system, code)

    def expansion(self, url: str) -> Expansion | None:
        """The codes of a value set, as far as they are at hand; None when it is not known at all. A version is cut."""
        url = url.split("|")[0]
        if url not in self._made:
            self._made[url] = self._expand(url, 0)
        return self._made[url]

    def _expand(self, url: str, depth: int) -> Expansion | None:
        rows = self._rows.get(url)
        if rows is None or depth > _MAX_DEPTH:
            return None
        systems: dict[str, frozenset[str] | None] = {}
        whole = True
        for system, codes in rows:
            if system == 0:
                for included in codes:
                    inner = self._expand(included, depth + 1)
                    whole = whole and inner is not None and inner.whole
                    for name, some in inner.systems.items() if inner else ():
                        _join(systems, name, some)
            elif codes == 0:
                _join(systems, system, self._systems.get(system))
            else:
                _join(systems, system, None if codes == 1 else frozenset(codes))
        return Expansion(systems, whole) if systems else None


def _join(systems: dict[str, frozenset[str] | None], name: str, codes: frozenset[str] | None) -> None:
    known = systems.get(name, frozenset())
    systems[name] = None if codes is None or known is None else known | codes


def _rows_of(resource: Json) -> Iterator[list[Any]]:
    """A ValueSet as rows: its expansion when it brings a full one, else what it composes."""
    listed = list(_contains(resource.get("expansion", {}).get("contains", [])))
    if listed and resource["expansion"].get("total", len(listed)) <= len(listed):
        for system in dict.fromkeys(system for system, _ in listed):
            yield [system, [code for name, code in listed if name == system]]
        return
    compose = resource.get("compose", {})
    for part in compose.get("include", []):
        system, inner = part.get("system"), [url.split("|")[0] for url in part.get("valueSet", [])]
        if system is None:
            yield [0, inner]
        elif "concept" in part and not inner:
            yield [system, [one["code"] for one in part["concept"]]]
        else:  # filters, intersections and exclusions are not worked out here: which codes remain is unknown
            yield [system, 1 if "filter" in part or inner or "exclude" in compose else 0]


def _contains(rows: list[Any]) -> Iterator[tuple[str, str]]:
    for one in rows:
        if "code" in one and not one.get("abstract"):
            yield one.get("system", ""), one["code"]
        yield from _contains(one.get("contains", []))


def _codes_of(concepts: list[Any]) -> Iterator[str]:
    for one in concepts:
        yield one["code"]
        yield from _codes_of(one.get("concept", []))
