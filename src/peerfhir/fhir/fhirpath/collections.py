"""Functions over collections: existence, filters, subsets, aggregates and trees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cmp_to_key, reduce
from typing import Any

from peerfhir.fhir.fhirpath import operators
from peerfhir.fhir.fhirpath.environment import MAX_ITEMS, Environment, limited, too_many
from peerfhir.fhir.fhirpath.model import Value, plain, plains, type_of
from peerfhir.fhir.fhirpath.operators import key, misfit, one, truth
from peerfhir.fhir.fhirpath.units import EXACT

Values = Sequence[Value]
Each = Callable[[list[Value], int], list[Value]]  # $this, $index -> result
Fold = Callable[[list[Value], int, list[Value]], list[Value]]  # and $total


# --- existence -----------------------------------------------------------------------------------------------------


def empty(e: Environment, base: Values) -> list[Value]:
    """`empty()`."""
    return [not base]


def exists(e: Environment, base: Values) -> list[Value]:
    """`exists()` without a criterion."""
    return [bool(base)]


def exists_where(e: Environment, base: Values, criterion: Each) -> list[Value]:
    """`exists()`."""
    return [any(truth(criterion([value], at)) is True for at, value in enumerate(base))]


def all_where(e: Environment, base: Values, criterion: Each) -> list[Value]:
    """`all()`."""
    return [all(truth(criterion([value], at)) is True for at, value in enumerate(base))]


def _flags(base: Values) -> list[bool]:
    found = plains(base)
    if any(not isinstance(value, bool) for value in found):
        raise misfit("only Booleans are true or false")
    return found


def all_true(e: Environment, base: Values) -> list[Value]:
    """`allTrue()`."""
    return [all(_flags(base))]


def any_true(e: Environment, base: Values) -> list[Value]:
    """`anyTrue()`."""
    return [any(_flags(base))]


def all_false(e: Environment, base: Values) -> list[Value]:
    """`allFalse()`."""
    return [not any(_flags(base))]


def any_false(e: Environment, base: Values) -> list[Value]:
    """`anyFalse()`."""
    return [not all(_flags(base))]


def subset_of(e: Environment, base: Values, other: Values) -> list[Value]:
    """`subsetOf()`."""
    return [{key(value) for value in base} <= {key(value) for value in other}]


def superset_of(e: Environment, base: Values, other: Values) -> list[Value]:
    """`supersetOf()`."""
    return subset_of(e, other, base)


def count(e: Environment, base: Values) -> list[Value]:
    """`count()`."""
    return [len(base)]


def distinct(e: Environment, base: Values) -> list[Value]:
    """`distinct()`."""
    return operators.union(base, ())


def is_distinct(e: Environment, base: Values) -> list[Value]:
    """`isDistinct()`."""
    return [len({key(value) for value in base}) == len(base)]


def negated(e: Environment, base: Values) -> list[Value]:
    """`not()`."""
    value = truth(base)
    return [] if value is None else [not value]


# --- filter and project --------------------------------------------------------------------------------------------


def where(e: Environment, base: Values, criterion: Each) -> list[Value]:
    """`where()`."""
    return [value for at, value in enumerate(base) if truth(criterion([value], at)) is True]


def select(e: Environment, base: Values, project: Each) -> list[Value]:
    """`select()`."""
    return limited([found for at, value in enumerate(base) for found in project([value], at)])


def repeat(e: Environment, base: Values, project: Each) -> list[Value]:
    """Everything reached by repeating a projection; each value once, so that circles end."""
    found: dict[Any, Value] = {}
    waiting = list(base)
    while waiting:
        following: list[Value] = []
        for at, value in enumerate(waiting):
            for result in project([value], at):
                mark = key(result)
                if mark not in found:
                    found[mark] = result
                    following.append(result)
        if len(found) > MAX_ITEMS:
            raise too_many()
        waiting = following
    return list(found.values())


def sort(e: Environment, base: Values, *keys: tuple[Each, bool]) -> list[Value]:
    """By one key after the other; a key that is empty comes first, rising or falling."""
    ways: Sequence[tuple[Each, bool]] = keys or ((lambda this, index: this, False),)
    rows = [(value, [one(way([value], at)) for way, _ in ways]) for at, value in enumerate(base)]

    def compare(left: tuple[Value, list[Value]], right: tuple[Value, list[Value]]) -> int:
        for a, b, (_, falling) in zip(left[1], right[1], ways, strict=True):
            if a is None or b is None:
                found: int | None = (a is not None) - (b is not None)
            else:
                found = operators.order(a, b)
                found = -found if found and falling else found
            if found:
                return found
        return 0

    return [value for value, _ in sorted(rows, key=cmp_to_key(compare))]


# --- subsets -------------------------------------------------------------------------------------------------------


def single(e: Environment, base: Values) -> list[Value]:
    """`single()`."""
    if len(base) > 1:
        raise misfit("single() stands where there are more values than one")
    return list(base)


def first(e: Environment, base: Values) -> list[Value]:
    """`first()`."""
    return list(base[:1])


def last(e: Environment, base: Values) -> list[Value]:
    """`last()`."""
    return list(base[-1:])


def tail(e: Environment, base: Values) -> list[Value]:
    """`tail()`."""
    return list(base[1:])


def _number(values: Values) -> int | None:
    found = one(values)
    if found is not None and type(found) is not int:
        raise misfit("an integer is needed here")
    return found


def skip(e: Environment, base: Values, number: Values) -> list[Value]:
    """`skip()`."""
    return list(base[max(0, _number(number) or 0) :])


def take(e: Environment, base: Values, number: Values) -> list[Value]:
    """`take()`."""
    return list(base[: max(0, _number(number) or 0)])


def intersect(e: Environment, base: Values, other: Values) -> list[Value]:
    """`intersect()`."""
    wanted = {key(value) for value in other}
    return [value for value in distinct(e, base) if key(value) in wanted]


def exclude(e: Environment, base: Values, other: Values) -> list[Value]:
    """`exclude()`."""
    unwanted = {key(value) for value in other}
    return [value for value in base if key(value) not in unwanted]


def union(e: Environment, base: Values, other: Values) -> list[Value]:
    """`union()`."""
    return operators.union(base, other)


def combine(e: Environment, base: Values, other: Values) -> list[Value]:
    """`combine()`."""
    return limited([*base, *other])


# --- aggregates ----------------------------------------------------------------------------------------------------


def aggregate(e: Environment, base: Values, step: Fold, start: Values = ()) -> list[Value]:
    """`aggregate()`."""
    total = list(start)
    for at, value in enumerate(base):
        total = limited(step([value], at, total))
    return total


def _of_one_type(base: Values) -> list[Value]:
    found = plains(base)
    kinds = {type_of(value) for value in found}
    if len(kinds) > 1 and not kinds <= {"Integer", "Decimal"}:
        raise misfit("an aggregate needs values of one type")
    return found


def total(e: Environment, base: Values) -> list[Value]:
    """sum(): nothing of nothing, since an unanswered form has no score."""
    found: list[Value] = []
    if base and all(type(value) is Decimal for value in base):
        return [reduce(EXACT.add, base)]
    for value in _of_one_type(base):
        found = operators.plus(found, [value]) if found else [value]
        if not found:
            return []
    if found and isinstance(found[0], bool | str):
        raise misfit("sum() needs numbers or quantities")
    return found


def _extreme(base: Values, sign: int) -> list[Value]:
    found = _of_one_type(base)
    best: Value = found[0] if found else None
    for value in found[1:]:
        compared = operators.order(value, best)
        if compared is None:
            return []
        best = value if compared == sign else best
    return [] if best is None else [best]


def smallest(e: Environment, base: Values) -> list[Value]:
    """`min()`."""
    return _extreme(base, -1)


def largest(e: Environment, base: Values) -> list[Value]:
    """`max()`."""
    return _extreme(base, 1)


def average(e: Environment, base: Values) -> list[Value]:
    """`avg()`."""
    found = total(e, base)
    return operators.over(found, [len(plains(base))]) if found else []


# --- trees ---------------------------------------------------------------------------------------------------------


def children(e: Environment, base: Values) -> list[Value]:
    """`children()`."""
    return [child for value in base for child in e.model.children(value)]


def descendants(e: Environment, base: Values) -> list[Value]:
    """`descendants()`."""
    found: list[Value] = []
    level = children(e, base)
    while level:
        found += level
        limited(found)
        level = children(e, level)
    return found


def trace(e: Environment, base: Values, name: Values, project: Each | None = None) -> list[Value]:
    """`trace()`."""
    if e.trace is not None:
        shown = list(base) if project is None else select(e, base, project)
        e.trace.append((str(one(name)), [plain(value) for value in shown]))
    return list(base)
