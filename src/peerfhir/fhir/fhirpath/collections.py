"""Functions over collections: existence, filters, subsets and trees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cmp_to_key

from peerfhir.fhir.fhirpath import operators
from peerfhir.fhir.fhirpath.environment import MAX_ITEMS, Environment, limited, too_many
from peerfhir.fhir.fhirpath.model import Value, plain, plains
from peerfhir.fhir.fhirpath.operators import key, misfit
from peerfhir.fhir.fhirpath.problems import MAX_TEXT, too_long

Values = Sequence[Value]
Given = Iterable[Value]  # looked at once, one after the other
Criterion = Callable[[Value, int], bool | None]  # $this, $index -> true, false, unknown
Project = Callable[[Value, int], list[Value]]
Key = Callable[[Value, int], Value]
Fold = Callable[[Value, int, list[Value]], list[Value]]  # and $total


# --- existence -----------------------------------------------------------------------------------------------------


def exists_where(base: Given, criterion: Criterion) -> bool:
    """`exists()`."""
    return any(criterion(value, at) is True for at, value in enumerate(base))


def all_where(base: Given, criterion: Criterion) -> bool:
    """`all()`."""
    return all(criterion(value, at) is True for at, value in enumerate(base))


def _flags(base: Values) -> list[bool]:
    found = plains(base)
    if any(not isinstance(value, bool) for value in found):
        raise misfit("only Booleans are true or false")
    return found


def all_true(base: Values) -> bool:
    """`allTrue()`."""
    return all(_flags(base))


def any_true(base: Values) -> bool:
    """`anyTrue()`."""
    return any(_flags(base))


def all_false(base: Values) -> bool:
    """`allFalse()`."""
    return not any(_flags(base))


def any_false(base: Values) -> bool:
    """`anyFalse()`."""
    return not all(_flags(base))


def subset_of(base: Values, other: Values) -> bool:
    """`subsetOf()`."""
    return {key(value) for value in base} <= {key(value) for value in other}


def superset_of(base: Values, other: Values) -> bool:
    """`supersetOf()`."""
    return subset_of(other, base)


def distinct(base: Values) -> list[Value]:
    """`distinct()`."""
    return operators.union(base, ())


def is_distinct(base: Values) -> bool:
    """`isDistinct()`."""
    return len({key(value) for value in base}) == len(base)


# --- filter and project --------------------------------------------------------------------------------------------


def where(base: Given, criterion: Criterion) -> list[Value]:
    """`where()`."""
    return [value for at, value in enumerate(base) if criterion(value, at) is True]


def select(base: Given, project: Project) -> list[Value]:
    """`select()`."""
    return limited([found for at, value in enumerate(base) for found in project(value, at)])


def repeat(e: Environment, base: Values, project: Project) -> list[Value]:
    """Everything reached by repeating a projection; each value once, so that circles end."""
    found: list[Value] = []
    once = operators.Once()
    waiting = list(base)
    letters = 0
    while waiting:
        following: list[Value] = []
        for at, value in enumerate(e.watched(waiting)):
            for result in project(value, at):
                if once.takes(result):
                    following.append(result)
                    letters += len(result) if type(result) is str else 0
                    if letters > MAX_TEXT:
                        raise too_long()
        found += following
        if len(found) > MAX_ITEMS:
            raise too_many()
        waiting = following
    return found


def sort(base: Given, *keys: tuple[Key, bool]) -> list[Value]:
    """By one key after the other; a key that is empty comes first, rising or falling."""
    ways: Sequence[tuple[Key, bool]] = keys or ((lambda this, index: plain(this), False),)
    rows = [(value, [way(value, at) for way, _ in ways]) for at, value in enumerate(base)]

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


def aggregate(base: Given, step: Fold, start: Values = ()) -> list[Value]:
    """`aggregate()`."""
    total = list(start)
    for at, value in enumerate(base):
        total = limited(step(value, at, total))
        if len(total) == 1 and type(total[0]) is str and len(total[0]) > MAX_TEXT:
            raise too_long()
    return total


# --- subsets -------------------------------------------------------------------------------------------------------


def single(base: Values) -> list[Value]:
    """`single()`."""
    if len(base) > 1:
        raise misfit("single() stands where there are more values than one")
    return list(base)


def first(base: Values) -> list[Value]:
    """`first()`."""
    return list(base[:1])


def last(base: Values) -> list[Value]:
    """`last()`."""
    return list(base[-1:])


def tail(base: Values) -> list[Value]:
    """`tail()`."""
    return list(base[1:])


def _number(value: Value) -> int:
    if value is not None and type(value) is not int:
        raise misfit("an integer is needed here")
    return value or 0


def skip(base: Values, number: Value) -> list[Value]:
    """`skip()`."""
    return list(base[max(0, _number(number)) :])


def take(base: Values, number: Value) -> list[Value]:
    """`take()`."""
    return list(base[: max(0, _number(number))])


def item_at(base: Values, index: Value) -> list[Value]:
    """`[index]`, from 0; nothing outside."""
    return list(base[_number(index) : _number(index) + 1]) if index is not None and _number(index) >= 0 else []


def intersect(base: Values, other: Values) -> list[Value]:
    """`intersect()`."""
    wanted = {key(value) for value in other}
    return [value for value in distinct(base) if key(value) in wanted]


def exclude(base: Values, other: Values) -> list[Value]:
    """`exclude()`."""
    unwanted = {key(value) for value in other}
    return [value for value in base if key(value) not in unwanted]


def combine(base: Values, other: Values) -> list[Value]:
    """`combine()`."""
    return limited([*base, *other])


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
        e.spend(len(limited(found)))
        level = children(e, level)
    return found


def trace(e: Environment, base: Values, name: Value, project: Project | None = None) -> list[Value]:
    """`trace()`."""
    if e.trace is not None:
        shown = list(base) if project is None else select(base, project)
        e.trace.append((str(name), [plain(value) for value in shown]))
    return list(base)
