"""Which functions there are, how many arguments each takes, what it needs before it, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from peerfhir.fhir.fhirpath import collections, conversions, narrative, numbers, resources, strings, weights

# what a result is: a type name; "same" as the input; "item" one of the input; "open" not known before it is there
SAME, ITEM, OPEN = "same", "item", "open"


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the library.

    run      (environment, input, *arguments) -> collection; None where the compiler itself does it
    least    arguments it must have
    most     arguments it can have
    gives    a System type, or one of the words above
    takes    families of System types its input must have, when that is known
    each     its first argument is evaluated for each item, with $this and $index
    """

    run: Callable[..., list[Any]] | None
    least: int = 0
    most: int = 0
    gives: str = OPEN
    takes: frozenset[str] = frozenset()
    each: bool = False


def _texts(run: Callable[..., list[Any]], least: int, most: int, gives: str = "String") -> Function:
    return Function(run, least, most, gives, frozenset(("String",)))


def _numbers(run: Callable[..., list[Any]], most: int = 0, gives: str = "Decimal", least: int = 0) -> Function:
    return Function(run, least, most, gives, frozenset(("number",)))


_EXISTENCE = {
    "empty": Function(collections.empty, gives="Boolean"),
    "exists": Function(None, 0, 1, "Boolean", each=True),
    "all": Function(collections.all_where, 1, 1, "Boolean", each=True),
    "allTrue": Function(collections.all_true, gives="Boolean"),
    "anyTrue": Function(collections.any_true, gives="Boolean"),
    "allFalse": Function(collections.all_false, gives="Boolean"),
    "anyFalse": Function(collections.any_false, gives="Boolean"),
    "subsetOf": Function(collections.subset_of, 1, 1, "Boolean"),
    "supersetOf": Function(collections.superset_of, 1, 1, "Boolean"),
    "count": Function(collections.count, gives="Integer"),
    "distinct": Function(collections.distinct, gives=SAME),
    "isDistinct": Function(collections.is_distinct, gives="Boolean"),
    "not": Function(collections.negated, gives="Boolean"),
}
_COLLECTIONS = {
    "where": Function(collections.where, 1, 1, SAME, each=True),
    "select": Function(None, 1, 1, each=True),
    "repeat": Function(None, 1, 1, each=True),
    "sort": Function(None, 0, 9, SAME),
    "ofType": Function(None, 1, 1),
    "single": Function(collections.single, gives=ITEM),
    "first": Function(collections.first, gives=ITEM),
    "last": Function(collections.last, gives=ITEM),
    "tail": Function(collections.tail, gives=SAME),
    "skip": Function(collections.skip, 1, 1, SAME),
    "take": Function(collections.take, 1, 1, SAME),
    "intersect": Function(collections.intersect, 1, 1, SAME),
    "exclude": Function(collections.exclude, 1, 1, SAME),
    "union": Function(collections.union, 1, 1),
    "combine": Function(collections.combine, 1, 1),
    "iif": Function(None, 2, 3),
    "coalesce": Function(None, 1, 99),
    "aggregate": Function(None, 1, 2),
    "sum": Function(collections.total, gives=ITEM),
    "min": Function(collections.smallest, gives=ITEM),
    "max": Function(collections.largest, gives=ITEM),
    "avg": Function(collections.average),
    "children": Function(collections.children),
    "descendants": Function(collections.descendants),
    "trace": Function(None, 1, 2, SAME),
    "defineVariable": Function(None, 1, 2, SAME),
}
_CONVERSIONS = {
    "toBoolean": Function(conversions.to_boolean, gives="Boolean"),
    "toInteger": Function(conversions.to_integer, gives="Integer"),
    "toLong": Function(conversions.to_long, gives="Integer"),
    "toDecimal": Function(conversions.to_decimal, gives="Decimal"),
    "toString": Function(conversions.to_string, gives="String"),
    "toDate": Function(conversions.to_date, gives="Date"),
    "toDateTime": Function(conversions.to_date_time, gives="DateTime"),
    "toTime": Function(conversions.to_time, gives="Time"),
    "toQuantity": Function(conversions.to_quantity, 0, 1, "Quantity"),
    "convertsToBoolean": Function(conversions.converts_to_boolean, gives="Boolean"),
    "convertsToInteger": Function(conversions.converts_to_integer, gives="Boolean"),
    "convertsToLong": Function(conversions.converts_to_long, gives="Boolean"),
    "convertsToDecimal": Function(conversions.converts_to_decimal, gives="Boolean"),
    "convertsToString": Function(conversions.converts_to_string, gives="Boolean"),
    "convertsToDate": Function(conversions.converts_to_date, gives="Boolean"),
    "convertsToDateTime": Function(conversions.converts_to_date_time, gives="Boolean"),
    "convertsToTime": Function(conversions.converts_to_time, gives="Boolean"),
    "convertsToQuantity": Function(conversions.converts_to_quantity, 0, 1, "Boolean"),
}
_STRINGS = {
    "indexOf": _texts(strings.index_of, 1, 1, "Integer"),
    "lastIndexOf": _texts(strings.last_index_of, 1, 1, "Integer"),
    "substring": _texts(strings.substring, 1, 2),
    "startsWith": _texts(strings.starts_with, 1, 1, "Boolean"),
    "endsWith": _texts(strings.ends_with, 1, 1, "Boolean"),
    "contains": _texts(strings.contains, 1, 1, "Boolean"),
    "upper": _texts(strings.upper, 0, 0),
    "lower": _texts(strings.lower, 0, 0),
    "replace": _texts(strings.replace, 2, 2),
    "matches": _texts(strings.matches, 1, 1, "Boolean"),
    "matchesFull": _texts(strings.matches_full, 1, 1, "Boolean"),
    "replaceMatches": _texts(strings.replace_matches, 2, 2),
    "length": _texts(strings.length, 0, 0, "Integer"),
    "toChars": _texts(strings.to_chars, 0, 0, "String*"),
    "trim": _texts(strings.trim, 0, 0),
    "split": _texts(strings.split, 1, 1, "String*"),
    "join": _texts(strings.join, 0, 1),
    "encode": _texts(strings.encode, 1, 1),
    "decode": _texts(strings.decode, 1, 1),
    "escape": _texts(strings.escape, 1, 1),
    "unescape": _texts(strings.unescape, 1, 1),
}
_NUMBERS = {
    "abs": Function(numbers.absolute, gives=ITEM, takes=frozenset(("number", "Quantity"))),
    "ceiling": _numbers(numbers.ceiling, gives="Integer"),
    "floor": _numbers(numbers.floor, gives="Integer"),
    "truncate": _numbers(numbers.truncate, gives="Integer"),
    "round": _numbers(numbers.round_off, 1),
    "exp": _numbers(numbers.exp),
    "ln": _numbers(numbers.ln),
    "log": _numbers(numbers.log, 1, least=1),
    "power": _numbers(numbers.power, 1, OPEN, 1),
    "sqrt": _numbers(numbers.sqrt),
    "lowBoundary": Function(numbers.low_boundary, 0, 1, OPEN),
    "highBoundary": Function(numbers.high_boundary, 0, 1, OPEN),
    "precision": Function(numbers.precision, gives="Integer"),
    "comparable": Function(numbers.comparable, 1, 1, "Boolean"),
}
_TIME = {"now": Function(None, gives="DateTime"), "today": Function(None, gives="Date"),
         "timeOfDay": Function(None, gives="Time")}  # fmt: skip
_TYPES = {
    "is": Function(None, 1, 1, "Boolean"),
    "as": Function(None, 1, 1),
    "type": Function(resources.type_names),
}
_FHIR = {
    "extension": Function(resources.extension, 1, 1, "Extension*"),
    "hasValue": Function(resources.has_value, gives="Boolean"),
    "getValue": Function(resources.get_value),
    "resolve": Function(resources.resolve),
    "memberOf": Function(resources.member_of, 1, 1, "Boolean"),
    "conformsTo": Function(resources.conforms_to, 1, 1, "Boolean"),
    "subsumes": Function(resources.subsumes, 1, 1, "Boolean"),
    "subsumedBy": Function(resources.subsumed_by, 1, 1, "Boolean"),
    "checkModifiers": Function(resources.check_modifiers, 0, 9, SAME),
    "htmlChecks": Function(narrative.html_checks, gives="Boolean"),
    "weight": Function(weights.weight, gives="Decimal*"),
    "ordinal": Function(weights.weight, gives="Decimal*"),
}
VIEW_FUNCTIONS = {
    "getResourceKey": Function(resources.resource_key, gives="String"),
    "getReferenceKey": Function(None, 0, 1, "String"),
}

STANDARD_FUNCTIONS = {
    **_EXISTENCE, **_COLLECTIONS, **_CONVERSIONS, **_STRINGS, **_NUMBERS, **_TIME, **_TYPES, **_FHIR,
}  # fmt: skip

NEEDS_ORDER = frozenset(("first", "last", "tail", "skip", "take"))

# known from elsewhere, and refused with their own words
NOT_SUPPORTED = frozenset((
    "elementDefinition", "slice", "repeatAll", "pathname", "duration", "difference", "yearOf", "monthOf", "dayOf",
    "hourOf", "minuteOf", "secondOf", "millisecondOf", "timezoneOffsetOf", "dateOf", "timeOf",
))  # fmt: skip
EVERY_FUNCTION = frozenset((*STANDARD_FUNCTIONS, *VIEW_FUNCTIONS, *NOT_SUPPORTED, "band", "fullUrl", "translate"))
