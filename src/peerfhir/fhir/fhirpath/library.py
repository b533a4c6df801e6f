"""Which functions there are: how many arguments each takes, what it needs before it, what it gives, and what runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from peerfhir.fhir.fhirpath import aggregates, collections, conversions, numbers, operators, resources, strings, weights

# what a result is: a type name, with * for a collection of them; the input; one item of it; a value like it;
# the fraction of a number; not known before it is there
SAME, ITEM, LIKE, FRACTION, OPEN = "same", "item", "like", "fraction", "open"


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the library.

    run        what runs; None where the compiler itself does it
    way        "single": over single values that are there; "list": over the input as a collection;
               "around": as "list", after the environment
    least      arguments it must have
    most       arguments it can have
    gives      a System type, or one of the words above
    takes      families of System types its input must have, when that is known
    lists      its arguments are collections, not single values
    surely     "always" gives a value; "given": gives one whenever input and arguments are there; "": may give nothing
    """

    run: Callable[..., Any] | None
    way: Literal["single", "list", "around"] = "list"
    least: int = 0
    most: int = 0
    gives: str = OPEN
    takes: frozenset[str] = frozenset()
    lists: bool = False
    surely: Literal["", "given", "always"] = ""


def _fact(run: Callable[..., Any] | None, least: int = 0, most: int = 0, lists: bool = False) -> Function:
    """A question about a whole collection, which always has an answer."""
    return Function(run, "list", least, most, "Boolean", lists=lists, surely="always")


def _part(run: Callable[..., Any] | None, gives: str, arguments: int = 0, lists: bool = False) -> Function:
    return Function(run, "list", arguments, arguments, gives, lists=lists)


def _text(run: Callable[..., Any], least: int, most: int, gives: str = "String", sure: bool = True) -> Function:
    return Function(run, "single", least, most, gives, frozenset(("String",)), surely="given" if sure else "")


def _number(
    run: Callable[..., Any], most: int = 0, gives: str = "Decimal", least: int = 0, sure: bool = False
) -> Function:
    takes = frozenset(("number", "Quantity")) if gives == LIKE else frozenset(("number",))
    return Function(run, "single", least, most, gives, takes, surely="given" if sure else "")


def _to(run: Callable[..., Any], gives: str, most: int = 0) -> Function:
    return Function(run, "single", 0, most, gives)


def _converts(run: Callable[..., Any], most: int = 0) -> Function:
    return Function(run, "single", 0, most, "Boolean", surely="given")


def _around(run: Callable[..., Any], gives: str, least: int = 0, most: int = 0, lists: bool = False) -> Function:
    return Function(run, "around", least, most, gives, lists=lists)


_EXISTENCE = {
    "empty": _fact(None), "exists": _fact(None, 0, 1), "all": _fact(None, 1, 1), "count": Function(None),
    "allTrue": _fact(collections.all_true), "anyTrue": _fact(collections.any_true),
    "allFalse": _fact(collections.all_false), "anyFalse": _fact(collections.any_false),
    "subsetOf": _fact(collections.subset_of, 1, 1, lists=True),
    "supersetOf": _fact(collections.superset_of, 1, 1, lists=True),
    "distinct": _part(collections.distinct, SAME), "isDistinct": _fact(collections.is_distinct),
    "not": Function(None),
}  # fmt: skip
_COLLECTIONS = {
    "where": Function(None, "list", 1, 1), "select": Function(None, "list", 1, 1),
    "repeat": Function(None, "list", 1, 1),
    "sort": Function(None, "list", 0, 9), "ofType": Function(None, "list", 1, 1),
    "single": _part(collections.single, ITEM), "first": _part(collections.first, ITEM),
    "last": _part(collections.last, ITEM), "tail": _part(collections.tail, SAME),
    "skip": _part(collections.skip, SAME, 1), "take": _part(collections.take, SAME, 1),
    "intersect": _part(collections.intersect, SAME, 1, lists=True),
    "exclude": _part(collections.exclude, SAME, 1, lists=True),
    "union": _part(operators.union, "both", 1, lists=True),
    "combine": _part(collections.combine, "both", 1, lists=True),
    "iif": Function(None, "list", 2, 3), "coalesce": Function(None, "list", 1, 99),
    "aggregate": Function(None, "list", 1, 2),
    "sum": _part(aggregates.total, LIKE), "min": _part(aggregates.smallest, LIKE),
    "max": _part(aggregates.largest, LIKE), "avg": _part(aggregates.average, FRACTION),
    "children": _around(collections.children, "tree"), "descendants": _around(collections.descendants, "tree"),
    "trace": Function(None, "list", 1, 2), "defineVariable": Function(None, "list", 1, 2),
}  # fmt: skip
_CONVERSIONS = {
    "toBoolean": _to(conversions.to_boolean, "Boolean"),
    "toInteger": _to(conversions.to_integer, "Integer"),
    "toLong": _to(conversions.to_long, "Integer"),
    "toDecimal": _to(conversions.to_decimal, "Decimal"),
    "toString": _to(conversions.to_string, "String"),
    "toDate": _to(conversions.to_date, "Date"),
    "toDateTime": _to(conversions.to_date_time, "DateTime"),
    "toTime": _to(conversions.to_time, "Time"),
    "toQuantity": _to(conversions.to_quantity, "Quantity", 1),
    "convertsToBoolean": _converts(conversions.converts_to_boolean),
    "convertsToInteger": _converts(conversions.converts_to_integer),
    "convertsToLong": _converts(conversions.converts_to_long),
    "convertsToDecimal": _converts(conversions.converts_to_decimal),
    "convertsToString": _converts(conversions.converts_to_string),
    "convertsToDate": _converts(conversions.converts_to_date),
    "convertsToDateTime": _converts(conversions.converts_to_date_time),
    "convertsToTime": _converts(conversions.converts_to_time),
    "convertsToQuantity": _converts(conversions.converts_to_quantity, 1),
}
_STRINGS = {
    "indexOf": _text(strings.index_of, 1, 1, "Integer"), "lastIndexOf": _text(strings.last_index_of, 1, 1, "Integer"),
    "substring": _text(strings.substring, 1, 2, sure=False), "startsWith": _text(strings.starts_with, 1, 1, "Boolean"),
    "endsWith": _text(strings.ends_with, 1, 1, "Boolean"), "contains": _text(strings.contains, 1, 1, "Boolean"),
    "upper": _text(strings.upper, 0, 0), "lower": _text(strings.lower, 0, 0), "replace": _text(strings.replace, 2, 2),
    "matches": _text(strings.matches, 1, 1, "Boolean"), "matchesFull": _text(strings.matches_full, 1, 1, "Boolean"),
    "replaceMatches": _text(strings.replace_matches, 2, 2), "length": _text(strings.length, 0, 0, "Integer"),
    "toChars": _text(strings.to_chars, 0, 0, "String*"), "trim": _text(strings.trim, 0, 0),
    "split": _text(strings.split, 1, 1, "String*"), "encode": _text(strings.encode, 1, 1, sure=False),
    "decode": _text(strings.decode, 1, 1, sure=False), "escape": _text(strings.escape, 1, 1, sure=False),
    "unescape": _text(strings.unescape, 1, 1, sure=False),
    "join": Function(strings.join, "list", 0, 1, "String", frozenset(("String",))),
}  # fmt: skip
_NUMBERS = {
    "abs": _number(numbers.absolute, gives=LIKE, sure=True),
    "ceiling": _number(numbers.ceiling, 0, "Integer", sure=True),
    "floor": _number(numbers.floor, 0, "Integer", sure=True),
    "truncate": _number(numbers.truncate, 0, "Integer", sure=True), "round": _number(numbers.round_off, 1, sure=True),
    "exp": _number(numbers.exp, sure=True), "ln": _number(numbers.ln), "log": _number(numbers.log, 1, least=1),
    "power": _number(numbers.power, 1, least=1), "sqrt": _number(numbers.sqrt),
    "lowBoundary": Function(numbers.low_boundary, "single", 0, 1, FRACTION),
    "highBoundary": Function(numbers.high_boundary, "single", 0, 1, FRACTION),
    "precision": Function(numbers.precision, "single", gives="Integer", surely="given"),
    "comparable": Function(numbers.comparable, "single", 1, 1, "Boolean", surely="given"),
}  # fmt: skip
_TIME = {"now": Function(None), "today": Function(None), "timeOfDay": Function(None)}
_TYPES = {"is": Function(None, "list", 1, 1), "as": Function(None, "list", 1, 1),
          "type": _part(resources.type_names, "TypeInfo*")}  # fmt: skip
_FHIR = {
    "extension": _around(resources.extension, "Extension*", 1, 1), "hasValue": _fact(resources.has_value),
    "getValue": _part(resources.get_value, LIKE), "resolve": _around(resources.resolve, OPEN),
    "memberOf": _around(resources.member_of, "Boolean", 1, 1),
    "conformsTo": _around(resources.conforms_to, "Boolean", 1, 1),
    "subsumes": _around(resources.subsumes, "Boolean", 1, 1, lists=True),
    "subsumedBy": _around(resources.subsumed_by, "Boolean", 1, 1, lists=True),
    "checkModifiers": _around(resources.check_modifiers, SAME, 0, 9),
    "htmlChecks": _part(resources.html_checks, "Boolean"),
    "weight": _around(weights.weight, "Decimal*"), "ordinal": _around(weights.weight, "Decimal*"),
}  # fmt: skip

STANDARD_FUNCTIONS = {
    **_EXISTENCE, **_COLLECTIONS, **_CONVERSIONS, **_STRINGS, **_NUMBERS, **_TIME, **_TYPES, **_FHIR,
}  # fmt: skip
# what a dialect may have besides
MORE_FUNCTIONS = {
    "getResourceKey": _part(resources.resource_key, "String*"), "getReferenceKey": Function(None, "list", 0, 1),
    "translate": Function(None, "list", 1, 1), "band": Function(None, "list", 1, 1),
    "fullUrl": Function(None, "list", 1, 1),
}  # fmt: skip

NEEDS_ORDER = frozenset(("first", "last", "tail", "skip", "take"))
PATTERNS = frozenset(("matches", "matchesFull", "replaceMatches"))

_NO_PARTS = "dates are compared and moved, and not taken apart"
# known from elsewhere, and refused with the reason
NOT_SUPPORTED = {
    **dict.fromkeys(("yearOf", "monthOf", "dayOf", "hourOf", "minuteOf", "secondOf", "millisecondOf",
                     "timezoneOffsetOf", "dateOf", "timeOf"), _NO_PARTS),
    **dict.fromkeys(("duration", "difference"), "dates are compared and moved, and not subtracted"),
    "elementDefinition": "an expression does not see definitions", "slice": "an expression does not see profiles",
    "pathname": "an expression does not see where it stands", "repeatAll": "repeat() ends in circles, and it would not",
}  # fmt: skip
