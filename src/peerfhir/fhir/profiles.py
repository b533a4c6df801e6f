"""The profiles of a site's packages, compiled when they are loaded, and as data that may be kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cached_property

from peerfhir.fhir.constraints import Constraint, constraints_of
from peerfhir.fhir.overlays import Overlay, label
from peerfhir.fhir.reader import Json
from peerfhir.fhir.schema import Base, Schema
from peerfhir.fhir.snapshot import Node, tree
from peerfhir.fhir.terminology import Terminology

_BASE = "http://hl7.org/fhir/StructureDefinition/"


class Profiles:
    """The profiles of a site's packages.

    notes    constructs that are not checked, each named with its profile, and how often: nothing is skipped in silence
    problems definitions that cannot be used at all, each named
    """

    def __init__(self, base: Base, definitions: Iterable[Json] = (), terminology: Terminology | None = None) -> None:
        self.base, self.terminology = base, terminology or base.terminology
        self.notes: Counter[str] = Counter()
        self.problems: list[str] = []
        self._kinds: dict[str, str] = {}
        self._definitions: dict[str, Json] = {}
        self._trees: dict[str, Node] = {}
        self._overlays: dict[str, tuple[Schema, set[str]]] = {}
        self._constraints: dict[str, tuple[Constraint, ...]] = {}
        for one in definitions:
            self._add(one)
        for url in sorted(self._definitions):
            self._compile(url)

    def as_data(self) -> Json:
        """Everything that judging needs, as JSON: what `restored` reads."""
        return {
            "kinds": self._kinds,
            "overlays": {url: [schema, sorted(needed)] for url, (schema, needed) in self._overlays.items()},
            "constraints": {url: [one.as_data() for one in some] for url, some in self._constraints.items() if some},
            "notes": dict(self.notes),
            "problems": self.problems,
            "terminology": self.terminology.as_data(),
        }

    @classmethod
    def restored(cls, base: Base, data: Json) -> Profiles:
        """The profiles that `as_data` wrote; definitions are not read again."""
        made = cls(base, (), base.terminology.copy().with_data(data["terminology"]))
        made._kinds = data["kinds"]
        made._overlays = {url: (schema, set(needed)) for url, (schema, needed) in data["overlays"].items()}
        made._constraints = {
            url: tuple(Constraint.of_data(one) for one in some) for url, some in data["constraints"].items()
        }
        made.notes.update(data["notes"])
        made.problems += data["problems"]
        return made

    def urls(self) -> tuple[str, ...]:
        """The canonical url of every profile."""
        return tuple(sorted(self._kinds))

    def type_of(self, url: str) -> str | None:
        """The type a profile is of; None for a profile that is not at hand."""
        return self._kinds.get(url)

    @cached_property
    def extensions(self) -> tuple[str, ...]:
        """The urls of the extensions that are defined here: they are held to their definition wherever they stand."""
        return tuple(url for url in self.urls() if self.type_of(url) == "Extension")

    def constraints(self, url: str) -> tuple[Constraint, ...]:
        """The invariants of a profile, and of those that its data types and extensions are held to."""
        return self._constraints.get(url, ())

    def is_base(self, url: str) -> bool:
        """Whether the url names a type of R4 itself."""
        return url.startswith(_BASE) and self.base.is_type(url.removeprefix(_BASE))

    def overlay(self, url: str, defs: dict[str, Schema]) -> Schema:
        """A reference to the overlay of a profile, which goes into `defs` with all that it refers to."""
        name = label(url)
        if name not in defs:
            defs[name], needed = self._overlays[url]
            for other in needed:
                self.overlay(other, defs)
        return {"$ref": f"#/$defs/{name}"}

    def root(self, url: str) -> Node | None:
        """The elements of a profile that is at hand, while it is compiled."""
        plain = url.split("|")[0]
        return self._root(plain) if plain in self._definitions else None

    def _root(self, url: str) -> Node:
        if url not in self._trees:
            self._trees[url] = tree(self._definitions[url]["snapshot"]["element"])
        return self._trees[url]

    def target_types(self, element: Json) -> list[str] | None:
        """The resource types that a Reference of this element may name; None when any may, or one is not known."""
        found: set[str] = set()
        for row in element.get("type", ()):
            for url in row.get("targetProfile", ()):
                plain = url.split("|")[0]
                name = self.type_of(plain) or (plain.removeprefix(_BASE) if self.is_base(plain) else None)
                if name is None or name == "Resource":
                    return None
                found.add(name)
        return sorted(found) or None

    def _add(self, one: Json) -> None:
        if one.get("derivation") != "constraint" or one.get("kind") not in ("resource", "complex-type"):
            return
        url = one["url"]
        if not one.get("snapshot", {}).get("element"):
            self.problems.append(f"{url}: the profile has no snapshot")
        elif not self.base.is_type(one["type"]):
            self.problems.append(f"{url}: {one['type']} is not a type of R4")
        else:
            if url in self._definitions:
                self.problems.append(f"{url}: more than one package defines it; the last one is used")
            self._definitions[url] = one
            self._kinds[url] = one["type"]

    def _compile(self, url: str) -> None:
        if url not in self._overlays:
            self._overlays[url] = {}, set()  # a profile may use itself
            kind = self._kinds[url]
            made = Overlay(self, url)
            schema = made.value(self._root(url), kind, None)
            self._overlays[url] = schema, made.needed
            self._constraints[url], unread = constraints_of(
                self._root(url), kind, made.matcher, self.base, lambda named: self.type_of(named) is not None
            )
            self.notes.update(made.notes)
            self.notes.update({f"{what} ({url.rpartition('/')[2]})": 1 for what in unread})
