"""Items: values of FHIR that know their type and where they hang; the model says what lies below each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from peerfhir.fhir.definitions import PRIMITIVES, Definitions
from peerfhir.fhir.fhirpath import temporal
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.fhir.fhirpath.temporal import Temporal
from peerfhir.fhir.fhirpath.types import system

Json = Any
Value = Any  # an Item, or a System value: bool, int, Decimal, str, Temporal, Quantity, TypeName


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a UCUM unit or a word of the calendar ("year", "day")."""

    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class TypeName:
    """What type() gives."""

    namespace: str
    name: str


class Item:
    """One element of a resource.

    value   its JSON; None for a primitive that has extensions only
    kind    its FHIR type
    extra   what stands beside a primitive under its _name: id and extension
    parent  the element or resource it stands in
    """

    __slots__ = ("extra", "kind", "parent", "value")

    def __init__(self, value: Json, kind: str, extra: Json = None, parent: Item | None = None) -> None:
        self.value = value
        self.kind = kind
        self.extra = extra
        self.parent = parent


class Route(NamedTuple):
    """One JSON key below a type. `beside`: the key of its id and extensions, for a primitive."""

    key: str
    kind: str
    beside: str | None


_RESOURCE = frozenset(("Resource", "DomainResource"))
_FEW = 3
Way = tuple[str, str, bool, str | None]  # a Route, flat: key, kind, whether the kind is certain, key beside


class Model:
    """What lies below each type, as names of FHIRPath and as keys of JSON. Filled on first use."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self._names: dict[str, Mapping[str, tuple[Way, ...]]] = {}
        self._choices: dict[tuple[str, str], dict[str, Way]] = {}
        self._keys: dict[str, Mapping[str, Route]] = {}
        self._bases: dict[tuple[str, str], bool] = {}
        self.paths: dict[Any, Any] = {}  # compiled expressions: see standard.path

    def names(self, kind: str) -> Mapping[str, tuple[Way, ...]]:
        """Name -> the keys that may hold it; a choice has one for each type."""
        known = self._names.get(kind)
        if known is None:
            found: dict[str, tuple[Way, ...]] = {}
            for one in self._routes(kind):
                element = self.definitions.element(kind, one.key)
                name = (element.choice if element else None) or one.key
                way = (one.key, one.kind, one.kind not in _RESOURCE, one.beside)
                found[name] = (*found.get(name, ()), way)
            known = self._names[kind] = found  # two threads may both build it; the results are equal
        return known

    def keys(self, kind: str) -> Mapping[str, Route]:
        """JSON key -> what it holds."""
        known = self._keys.get(kind)
        if known is None:
            known = self._keys[kind] = {one.key: one for one in self._routes(kind)}
        return known

    def _routes(self, kind: str) -> Iterator[Route]:
        if kind in PRIMITIVES:
            yield Route("id", "string", None)
            yield Route("extension", "Extension", None)
        for name, element in self.definitions.elements(kind).items():
            yield Route(name, element.type, f"_{name}" if element.type in PRIMITIVES else None)

    def root(self, resource: Json, kind: str | None = None) -> Item:
        """A resource, or an element of known kind, as an item."""
        return Item(resource, kind or kind_of(resource))

    def step(self, items: Sequence[Value], name: str) -> list[Value]:
        """Everything under one name below the items."""
        found: list[Value] = []
        for item in items:
            if type(item) is not Item:
                found += _inside(item, name)
                continue
            routes = self._names.get(item.kind)
            if routes is None:
                routes = self.names(item.kind)
            holder = item.value
            if type(holder) is not dict:
                holder = _below_single(item)
            ways: Sequence[Way] = routes.get(name, ())
            if len(ways) > _FEW:  # a choice of many types: look only for what is there
                ways = self._present(item.kind, name, ways, holder)
            for key, kind, own, beside_key in ways:
                value = holder.get(key)
                beside = holder.get(beside_key) if beside_key else None
                if beside is not None:
                    _add(found, value, beside, kind, item)
                elif type(value) is list:
                    for one in value:
                        if one is not None:
                            found.append(Item(one, kind if own else kind_of(one), None, item))
                elif value is not None:
                    found.append(Item(value, kind if own else kind_of(value), None, item))
        return found

    def _present(self, kind: str, name: str, ways: Sequence[Way], holder: Mapping[str, Json]) -> Sequence[Way]:
        by_key = self._choices.get((kind, name))
        if by_key is None:
            by_key = self._choices[kind, name] = {key: way for way in ways for key in (way[0], way[3]) if key}
        there = by_key.keys() & holder.keys()
        found = [by_key[key] for key in there]
        if len(found) < 2:
            return found
        return list(dict.fromkeys(by_key[key] for key in holder if key in there))  # a value and what stands beside it

    def children(self, item: Value) -> list[Value]:
        """Everything one level below an item, in the order of its JSON."""
        found: list[Value] = []
        if type(item) is not Item:
            return found
        holder = item.value if type(item.value) is dict else item.extra if item.kind in PRIMITIVES else None
        if type(holder) is not dict:
            return found
        routes = self._keys.get(item.kind) or self.keys(item.kind)
        for key, value in holder.items():
            route = routes.get(key)
            if route is not None:
                _add(found, value, holder.get(route.beside) if route.beside else None, route.kind, item)
            elif key.startswith("_") and key[1:] not in holder and (route := routes.get(key[1:])) is not None:
                _add(found, None, value, route.kind, item)
        return found

    def is_a(self, kind: str, base: str) -> bool:
        """Whether a FHIR type is another or descends from it; primitives as well: a code is a string."""
        known = self._bases.get((kind, base))
        if known is None:
            known = self._descends(kind, base)
            # never a name that a resource made up
            if self.definitions.is_type(kind) and self.definitions.is_type(base):
                self._bases[kind, base] = known
        return known

    def _descends(self, kind: str, base: str) -> bool:
        while kind in _PRIMITIVE_BASES or kind in PRIMITIVES:
            if kind == base:
                return True
            kind = _PRIMITIVE_BASES.get(kind, "Element")
        return self.definitions.is_a(kind, base)


@lru_cache(maxsize=8)
def model_of(definitions: Definitions) -> Model:
    """The one model of some definitions."""
    return Model(definitions)


_PRIMITIVE_BASES = {
    "code": "string", "id": "string", "markdown": "string", "url": "uri", "canonical": "uri", "oid": "uri",
    "uuid": "uri", "positiveInt": "integer", "unsignedInt": "integer",
}  # fmt: skip


def _below_single(item: Item) -> Mapping[str, Json]:
    """What stands beside a primitive. Raises EvaluationProblem where a structure is missing."""
    if item.kind not in PRIMITIVES:
        raise EvaluationProblem("PM712", "a single value stands where a structure is expected")
    return item.extra if type(item.extra) is dict else {}


def kind_of(resource: Json) -> str:
    """The type a resource says it has."""
    kind = resource.get("resourceType") if type(resource) is dict else None
    return kind if type(kind) is str else "Resource"


def _add(found: list[Value], value: Json, beside: Json, kind: str, parent: Item) -> None:
    if type(value) is list or type(beside) is list:
        values = value if type(value) is list else []
        besides = beside if type(beside) is list else []
        for at in range(max(len(values), len(besides))):
            one = values[at] if at < len(values) else None
            other = besides[at] if at < len(besides) else None
            if one is not None or other is not None:
                found.append(Item(one, kind_of(one) if kind in _RESOURCE else kind, other, parent))
    else:
        found.append(Item(value, kind_of(value) if kind in _RESOURCE else kind, beside, parent))


def _inside(value: Value, name: str) -> list[Value]:
    if isinstance(value, TypeName) and name in ("namespace", "name"):
        return [getattr(value, name)]
    if isinstance(value, Quantity) and name in ("value", "unit"):
        return [getattr(value, name)]
    return []


@lru_cache(maxsize=4096)
def moment(text: str, kind: str) -> Temporal:
    """A text of FHIR as a date or time. Raises EvaluationProblem when it is none."""
    found = temporal.parse(text, kind)
    if found is None:
        raise EvaluationProblem("PM712", "a value that is not a date or time stands where FHIR has one")
    return found


def plain(value: Value) -> Value:
    """The System value of an item; None for a primitive without a value; a structure stays an item."""
    if type(value) is not Item:
        return value
    held = value.value
    kind = value.kind
    if type(held) is dict:
        return quantity_of(held) if kind in QUANTITIES and "comparator" not in held else value
    if type(held) is str:
        return moment(held, system(kind)) if kind in _MOMENTS else held
    if kind == "decimal" and type(held) is int:
        return Decimal(held)
    return held


_MOMENTS = frozenset(("date", "dateTime", "instant", "time"))
QUANTITIES = frozenset(("Quantity", "Age", "Duration", "Count", "Distance", "SimpleQuantity"))


def quantity_of(held: Mapping[str, Json]) -> Quantity | None:
    """A FHIR Quantity as a System one: its code where the system is UCUM, else its unit; None without a value."""
    value = held.get("value")
    if value is None:
        return None
    ucum = held.get("system") == "http://unitsofmeasure.org"
    unit = held.get("code") if ucum and held.get("code") else held.get("unit") or held.get("code") or "1"
    return Quantity(Decimal(value), str(unit))


def plains(values: Iterable[Value]) -> list[Value]:
    """The System values of a collection; primitives without a value are left out."""
    return [found for value in values if (found := plain(value)) is not None]


def type_of(value: Value) -> str:
    """The System type of a System value, the FHIR type of an item."""
    if type(value) is Item:
        return value.kind
    if isinstance(value, Temporal):
        return value.kind
    return _SYSTEM_TYPES.get(type(value), "TypeName")


_SYSTEM_TYPES = {
    bool: "Boolean", int: "Integer", Decimal: "Decimal", str: "String", Quantity: "Quantity", dict: "Object",
}  # fmt: skip
