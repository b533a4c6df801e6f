"""Collections of which only some is known before data flows, and what the functions of FHIRPath make of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from peerfhir.fhir.definitions import PRIMITIVES
from peerfhir.fhir.fhirpath import operators
from peerfhir.fhir.fhirpath.model import Item, plain
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping.tree import Leaf, Node, Pair, Struct, is_dynamic

Truth = frozenset[bool | None]  # what it can be; None: nothing
ALL: Truth = frozenset((True, False, None))
_EITHER: Truth = frozenset((True, False))


class Known(NamedTuple):
    """A value that is the same for every record, as JSON has it."""

    value: Any


class Part(NamedTuple):
    """One value that can stand in a collection.

    value  a node of the template, or what is known already
    kind   its FHIR type; "" where that is not known
    there  whether it is there in every record that makes what is looked at
    """

    value: Node | Known
    kind: str
    there: bool


class Some(NamedTuple):
    """A collection. `more`: there can be values of which nothing is known."""

    parts: tuple[Part, ...] = ()
    more: bool = False


NOTHING = Some()
OPEN = Some(more=True)
Found = Some | Truth


def of(value: Any, kind: str) -> Some:
    """A collection of one value that is known."""
    return Some((Part(Known(value), kind, True),))


def joined(left: Some, right: Some) -> Some:
    """Both collections as one."""
    return Some((*left.parts, *right.parts), left.more or right.more)


def decides(struct: Struct, key: str) -> bool:
    """Whether the structure is there only where this element is."""
    dynamic = [name for name, node in struct.entries if is_dynamic(node)]
    return not struct.keep and dynamic == [key]


def names_below(value: Node | Known) -> list[str] | None:
    """The keys below a value; None where they are not known."""
    if isinstance(value, Known):
        return [one for one in value.value if one != "resourceType"] if isinstance(value.value, dict) else []
    if isinstance(value, Pair):
        return [name for name, _ in value.extra.entries] if value.extra is not None else []
    return [name for name, _ in value.entries if name != "resourceType"] if isinstance(value, Struct) else None


def some(found: Found) -> Some:
    """A result as a collection."""
    if not isinstance(found, frozenset):
        return found
    if found == {None}:
        return NOTHING
    return of(next(iter(found)), "boolean") if len(found) == 1 else OPEN


def truth(found: Found) -> Truth:
    """What a result can be as true or false: one value that is no boolean is true."""
    if isinstance(found, frozenset):
        return found
    if not found.parts and not found.more:
        return frozenset((None,))
    if len(found.parts) == 1 and not found.more:
        part = found.parts[0]
        value = part.value.value if isinstance(part.value, Known) else None
        can: Truth = frozenset((value,)) if isinstance(value, bool) else _EITHER
        if part.kind not in ("boolean", "") and not isinstance(value, bool):
            can = frozenset((True,))
        return can if part.there else can | {None}
    return ALL


def negated(value: Truth) -> Truth:
    """`not()` of whatever it can be."""
    return frozenset(operators.negated(one) for one in value)


def _exists(held: Some) -> Truth:
    if any(part.there for part in held.parts):
        return frozenset((True,))
    return _EITHER if held.parts or held.more else frozenset((False,))


def _valued(held: Some) -> Truth:
    """hasValue(): one primitive with a value, not with extensions alone."""
    if held == NOTHING:
        return frozenset((False,))
    part = held.parts[0] if len(held.parts) == 1 and not held.more else None
    if part is None or not part.there or isinstance(part.value, (Pair, Struct)):
        return _EITHER
    return frozenset((True,)) if part.kind in PRIMITIVES else _EITHER


def _where(held: Some, inner: Callable[[Part], Found]) -> Some:
    kept = []
    for part in held.parts:
        can = truth(inner(part))
        if True in can:
            kept.append(part if can == {True} else part._replace(there=False))
    return Some(tuple(kept), held.more)


def _all(held: Some, inner: Callable[[Part], Found]) -> Truth:
    cans = [(part.there, truth(inner(part))) for part in held.parts]
    if any(there and True not in can for there, can in cans):
        return frozenset((False,))
    return frozenset((True,)) if not held.more and all(can == {True} for _, can in cans) else _EITHER


def _select(held: Some, inner: Callable[[Part], Found]) -> Some:
    found = OPEN if held.more else NOTHING
    for part in held.parts:
        each = some(inner(part))
        sure = tuple(one._replace(there=one.there and part.there) for one in each.parts)
        found = joined(found, Some(sure, each.more))
    return found


def _count(held: Some) -> Some:
    exact = not held.more and all(part.there for part in held.parts)
    return of(len(held.parts), "integer") if exact else OPEN


def _distinct(held: Some) -> Truth:
    values = [part.value.value for part in held.parts if part.there and isinstance(part.value, Known)]
    if any(one == other for at, one in enumerate(values) for other in values[:at]):
        return frozenset((False,))
    whole = not held.more and (len(held.parts) < 2 or len(values) == len(held.parts))
    return frozenset((True,)) if whole else _EITHER


def _first(held: Some) -> Some:
    if held.parts and held.parts[0].there and not held.more:
        return Some(held.parts[:1])
    return NOTHING if held == NOTHING else OPEN


# --- values -------------------------------------------------------------------------------------------------------


def shared(left: Some, right: Some) -> Some:
    """`intersect`: the values that are in both for certain, and whether there can be others."""
    there = [part for part in right.parts if part.there and isinstance(part.value, Known)]
    found = [one for one in left.parts if isinstance(one.value, Known) and any(one.value == two.value for two in there)]
    return Some(tuple(found), left != NOTHING and right != NOTHING)


def _constant(held: Some) -> tuple[Any, str] | None:
    """The one value of a collection that is the same for every record, with its type."""
    if len(held.parts) != 1 or held.more or not held.parts[0].there:
        return None
    value = held.parts[0].value
    simple = isinstance(value, Known) and isinstance(value.value, (str, bool, int, Decimal))
    return (value.value, held.parts[0].kind) if simple and isinstance(value, Known) else None


def both(left: Some, right: Some) -> tuple[Any, Any] | None:
    """The two values, where each is one and the same for every record."""
    one, other = _constant(left), _constant(right)
    return None if one is None or other is None else (one[0], other[0])


def compared(operator: str, left: Some, right: Some) -> Found:
    """What one of COMPARED can give."""
    if NOTHING in (left, right):
        return NOTHING
    one, other = _constant(left), _constant(right)
    if one is None or other is None:
        return ALL
    try:
        return frozenset((COMPARED[operator](*(_system(value, kind) for value, kind in (one, other))),))
    except EvaluationProblem:
        return ALL


def _system(value: Any, kind: str) -> Any:
    return plain(Item(value, kind)) if kind in PRIMITIVES else value


def _same(left: Any, right: Any) -> bool | None:
    return operators.equal([left], [right])


def member(one: Some, several: Some) -> Found:
    """`in`: true or false where every value is known."""
    if one == NOTHING:
        return NOTHING
    value = _constant(one)
    if value is None:
        return frozenset((False,)) if several == NOTHING and any(part.there for part in one.parts) else ALL
    apart = [_apart(value[0], part) for part in several.parts]
    if any(there is False and part.there for there, part in zip(apart, several.parts, strict=True)):
        return frozenset((True,))
    return frozenset((False,)) if not several.more and all(apart) else _EITHER


def _apart(value: Any, part: Part) -> bool | None:
    """Whether a part is another value than this one; None where that is not known."""
    if isinstance(part.value, Known):
        return bool(part.value.value != value)
    names_resource = isinstance(part.value, Leaf) and part.value.rule.address.endswith(".$ref")
    return True if names_resource and isinstance(value, str) and value.startswith("#") else None


def _matches(text: Any, pattern: Any) -> Found:
    if not isinstance(text, str) or not isinstance(pattern, str):
        return OPEN
    try:  # the patterns are those of HL7 and of packages that the site chose; the text is one constant
        found = re.search(pattern, text)
    except re.error:
        return OPEN
    return _EITHER if found else frozenset((False,))


def _text_test(test: Callable[[str, str], bool]) -> Callable[[Any, Any], Found]:
    def run(text: Any, other: Any) -> Found:
        return frozenset((test(text, other),)) if isinstance(text, str) and isinstance(other, str) else OPEN

    return run


def _substring(text: Any, start: Any) -> Found:
    return of(text[start:], "string") if isinstance(text, str) and isinstance(start, int) else OPEN


def _integer(held: Some) -> Found:
    value = _constant(held)
    if held == NOTHING or value is None:
        return NOTHING if held == NOTHING else OPEN
    return of(int(value[0]), "integer") if str(value[0]).isascii() and str(value[0]).isdigit() else OPEN


LOGIC: Mapping[str, Callable[[bool | None, bool | None], bool | None]] = {
    "and": operators.both, "or": operators.either, "xor": operators.only_one, "implies": operators.follows,
}  # fmt: skip
COMPARED: Mapping[str, Callable[[Any, Any], bool | None]] = {
    "=": _same, "!=": lambda left, right: operators.negated(_same(left, right)), "<": operators.less,
    "<=": operators.at_most, ">": operators.more, ">=": operators.at_least,
}  # fmt: skip
PER_ITEM: Mapping[str, Callable[[Some, Callable[[Part], Found]], Found]] = {
    "where": _where, "all": _all, "select": _select, "exists": lambda held, inner: _exists(_where(held, inner)),
}  # fmt: skip
PLAIN: Mapping[str, Callable[[Some], Found]] = {
    "exists": _exists, "empty": lambda held: negated(_exists(held)), "hasValue": _valued, "count": _count,
    "isDistinct": _distinct, "first": _first, "trace": lambda held: held, "toInteger": _integer,
}  # fmt: skip
ON_TEXT: Mapping[str, Callable[[Any, Any], Found]] = {
    "startsWith": _text_test(str.startswith), "endsWith": _text_test(str.endswith),
    "contains": _text_test(lambda text, part: part in text), "matches": _matches, "substring": _substring,
}  # fmt: skip
