"""The names that compiled expressions refer to: the whole library, and what changes the form of a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache, lru_cache, partial
from typing import Any

from peerfhir.fhir.fhirpath import (
    arithmetic,
    collections,
    conversions,
    functions,
    library,
    operations,
    operators,
    resources,
)
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.model import Model, Quantity, Value, moment, plain

_OF = {
    operators: ("one", "truth", "truth_of", "negated", "same", "union", "member"),
    collections: ("where", "exists_where", "all_where", "select", "repeat", "sort", "aggregate", "trace", "item_at"),
    conversions: ("concatenated", "joined_texts", "measured"),
    resources: ("is_of", "as_of", "of_type", "reference_key", "refers_to"),
    functions: (
        "field_of", "fields_of", "listed", "listing", "only", "once", "coalesced", "flag", "moment_of", "plain_json",
        "plain_list", "plain_single",
    ),
}  # fmt: skip


def _amount(value: str, unit: str) -> Quantity:
    return Quantity(Decimal(value), unit)


def _define(e: Environment, key: str, base: list[Value], value: Callable[[list[Value]], list[Value]]) -> list[Value]:
    e.defined[key] = value(base)
    return base


@cache
def _library() -> Mapping[str, Any]:
    """What every expression may call; the same for all."""
    constant = lru_cache(maxsize=1024)  # expressions ask for the same few again and again
    names: dict[str, Any] = {"f_decimal": constant(Decimal), "f_amount": constant(_amount), "f_moment": moment}
    names |= {"f_plain": plain, "f_define": _define}
    for module, words in _OF.items():
        names |= {f"f_{word}": getattr(module, word) for word in words}
    for word in (*operations.LOGIC.values(), *operations.EQUALITY.values(), *operations.ORDER.values()):
        names[f"f_{word}"] = getattr(operators, word)
    for word in (*operations.ARITHMETIC.values(), "negative", "positive"):
        names[f"f_{word}"] = getattr(arithmetic, word)
    for word, function in (library.STANDARD_FUNCTIONS | library.MORE_FUNCTIONS).items():
        if function.run is None:
            continue
        if function.way == "single":
            names[f"f_sure_{word}"] = function.run
            names[f"f_maybe_{word}"] = functions.lifted(function.run, function.least + 1)
        else:
            names[f"f_{word}"] = function.run
    return names


def names(model: Model) -> dict[str, Any]:
    """The globals of compiled expressions over one model."""
    return {**_library(), "step": model.step, "f_item_of": partial(functions.item_of, model)}
