"""Sums and extremes of a collection whose values have one type."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import reduce

from peerfhir.fhir.fhirpath import arithmetic, operators
from peerfhir.fhir.fhirpath.model import Value, plains, type_of
from peerfhir.fhir.fhirpath.operators import misfit
from peerfhir.fhir.fhirpath.units import EXACT

Values = Sequence[Value]


def _of_one_type(base: Values) -> list[Value]:
    found = plains(base)
    kinds = {type_of(value) for value in found}
    if len(kinds) > 1 and not kinds <= {"Integer", "Decimal"}:
        raise misfit("an aggregate needs values of one type")
    return found


def total(base: Values) -> Value:
    """sum(): nothing of nothing, since an unanswered form has no score."""
    if base and all(type(value) is Decimal for value in base):
        return arithmetic.exact(reduce, EXACT.add, base)
    values = _of_one_type(base)
    if values and type_of(values[0]) not in ("Integer", "Decimal", "Quantity"):
        raise misfit("sum() needs numbers or quantities")
    found: Value = values[0] if values else None
    for value in values[1:]:
        found = arithmetic.plus(found, value)
    return found


def _extreme(base: Values, sign: int) -> Value:
    found = _of_one_type(base)
    best: Value = found[0] if found else None
    for value in found[1:]:
        compared = operators.order(value, best)
        if compared is None:
            return None
        best = value if compared == sign else best
    return best


def smallest(base: Values) -> Value:
    """`min()`."""
    return _extreme(base, -1)


def largest(base: Values) -> Value:
    """`max()`."""
    return _extreme(base, 1)


def average(base: Values) -> Value:
    """`avg()`."""
    return arithmetic.over(total(base), len(plains(base)))
