"""What compiled expressions call besides the library: fields of records, and values that change their form."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from peerfhir.fhir.fhirpath import conversions, temporal
from peerfhir.fhir.fhirpath.model import Item, Model, Quantity, TypeName, Value, kind_of, moment, plain, type_of
from peerfhir.fhir.fhirpath.operators import misfit
from peerfhir.fhir.fhirpath.temporal import Temporal
from peerfhir.fhir.fhirpath.types import system

_SHORTEST = 7  # a text of so many characters may be a number or a year as well

# --- records -------------------------------------------------------------------------------------------------------


def field_of(base: Value, name: str) -> Value:
    """A declared field of an object of the record that may be absent."""
    return None if base is None else base[name]


def fields_of(base: Sequence[Value] | None, name: str) -> list[Value]:
    """A declared field of each object in a list, lists flattened."""
    found: list[Value] = []
    for one in base or ():
        value = one[name]
        if type(value) is list:
            found += value
        elif value is not None:
            found.append(value)
    return found


def listed(value: Value) -> list[Value]:
    """A value that is there at most once, as a list."""
    return [] if value is None else [value]


def listing(values: list[Value] | None) -> list[Value]:
    """A list that may be missing."""
    return [] if values is None else values


def only(values: Sequence[Value]) -> Value:
    """The only item, or None. Raises EvaluationProblem when there are more (singleton evaluation)."""
    if len(values) > 1:
        raise misfit("one value is needed here and there are more")
    return values[0] if values else None


def once(values: Sequence[Value], then: Callable[[Sequence[Value]], list[Value]]) -> list[Value]:
    """Something done with a collection of at most one value. Raises EvaluationProblem when there are more."""
    only(values)
    return then(values)


def coalesced(first: Value, then: Callable[[], Value]) -> Value:
    """`coalesce()` of values that are there at most once."""
    return then() if first is None else first


def flag(value: Value) -> bool | None:
    """A Boolean of FHIR input, proven to be one."""
    if value is None or value is True or value is False:
        return value
    raise misfit("a value that is not true or false stands where FHIR has a boolean")


def text(value: Value) -> str:
    """A primitive as FHIRPath's toString() writes it; '' for no value."""
    return conversions.concatenated(value)


# --- forms ---------------------------------------------------------------------------------------------------------


def item_of(model: Model, value: Value, kinds: Sequence[str]) -> Value:
    """A value of FHIR, as a record or a variable holds it, as an item of that of the kinds which has its elements."""
    if value is None:
        return None
    if type(value) is not dict:
        return Item(value, kinds[0] if len(kinds) == 1 else _primitive_of(value, kinds))
    if "resourceType" in value:
        return Item(value, kind_of(value))
    keys = [key.removeprefix("_") for key in value]
    fitting = (kind for kind in kinds if all(key in model.keys(kind) for key in keys))
    return Item(value, kinds[0] if len(kinds) == 1 else next(fitting, kinds[0]))


def _primitive_of(value: Value, kinds: Sequence[str]) -> str:
    """Which of several primitives a value of JSON is: a text that is a whole date or time is one."""
    by_system: dict[str, str] = {}
    for kind in kinds:
        by_system.setdefault(system(kind), kind)
    wanted = [type_of(value)] if type(value) is not str else ["String"]
    if type(value) is str and len(value) > _SHORTEST:
        wanted = [*(word for word in ("Date", "DateTime", "Time") if temporal.parse(value, word)), *wanted]
    wanted += ["Decimal"] if wanted == ["Integer"] else []
    return next((by_system[word] for word in wanted if word in by_system), kinds[0])


def moment_of(value: Value, kind: str) -> Temporal | None:
    """A declared date or time of a record. Raises EvaluationProblem when it is none."""
    return None if value is None else moment(value, kind) if type(value) is str else value


def plain_json(value: Value) -> Value:
    """A value as JSON has it: dates as text, quantities and items as structures."""
    if type(value) is Item:
        return value.value
    if isinstance(value, Temporal):
        return value.text()
    if isinstance(value, Quantity):
        return conversions.plain_quantity(value)
    return {"namespace": value.namespace, "name": value.name} if isinstance(value, TypeName) else value


def plain_list(values: Sequence[Value]) -> list[Value]:
    """Every value as JSON; primitives that have extensions only are left out."""
    return [found for value in values if (found := plain_json(value)) is not None]


def plain_single(values: Sequence[Value]) -> Value:
    """The only value as JSON, or None."""
    return plain_json(only(values))


def lifted(function: Callable[..., Value], needed: int) -> Callable[..., Value]:
    """A function of single values that gives nothing when one of those it needs is missing."""
    if needed == 1:
        return lambda value, *more: None if value is None else function(value, *more)

    def over(*values: Value) -> Value:
        for value in values[:needed]:
            if value is None:
                return None
        return function(*values)

    return over


__all__ = [
    "coalesced", "field_of", "fields_of", "flag", "item_of", "lifted", "listed", "listing", "moment_of", "once", "only",
    "plain", "plain_json", "plain_list", "plain_single", "text",
]  # fmt: skip
