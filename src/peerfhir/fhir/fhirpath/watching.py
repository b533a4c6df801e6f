"""Which expressions take no longer with more data around them, so that nobody need watch their time."""

from __future__ import annotations

from peerfhir.fhir.fhirpath.parser import Binary, Call, Expression, Literal, Variable, children

_LIGHT = frozenset((  # functions of what they stand on alone
    "exists", "empty", "not", "first", "last", "count", "hasValue", "lower", "upper", "trim", "length", "toString",
    "startsWith", "endsWith", "contains", "translate",
))  # fmt: skip
_HEAVY = frozenset(("|", "in", "contains", "~", "!~"))
_EVERYTHING = frozenset(("context", "resource", "rootResource", "source"))


def is_light(node: Expression) -> bool:
    """Whether a look at one item takes the same time however large the rest is."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Call) and (
            one.name not in _LIGHT or not all(isinstance(each, Literal) for each in one.arguments)
        ):
            return False
        if isinstance(one, Binary) and one.operator in _HEAVY:
            return False
        if isinstance(one, Variable) and one.name in _EVERYTHING:
            return False
        waiting += children(one)
    return True
