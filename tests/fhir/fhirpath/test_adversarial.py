"""What breaks other engines: nothing, doubt, digits, depth, circles and floods."""

from __future__ import annotations

import itertools
import time
from calendar import monthrange
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from peerfhir.fhir.definitions import r4
from peerfhir.fhir.fhirpath import parser
from peerfhir.fhir.fhirpath.compile import Expressions
from peerfhir.fhir.fhirpath.conversions import text as printed
from peerfhir.fhir.fhirpath.dialects import STANDARD
from peerfhir.fhir.fhirpath.environment import MAX_ITEMS, Environment
from peerfhir.fhir.fhirpath.library import STANDARD_FUNCTIONS
from peerfhir.fhir.fhirpath.model import Item, Model, plain
from peerfhir.fhir.fhirpath.problems import EvaluationProblem, ExpressionProblem
from peerfhir.fhir.fhirpath.standard import MAX_KEPT, path
from peerfhir.fhir.fhirpath.types import Scope, Static
from tests.fhir.fhirpath.test_compile import Names
from tests.support.generated import CALM

MODEL = Model(r4())


def run(text: str, context: Any = None) -> list[Any]:
    kind = (context["resourceType"],) if context else ()
    scope = Scope(Static(kind, "one", sure=False), r4(), strict=False, dialect=STANDARD)
    found = path(text, scope, MODEL)(context, Environment(MODEL))
    return [plain(one) if type(one) is Item else one for one in found]


# --- nothing -------------------------------------------------------------------------------------------------------

OF_NOTHING: dict[str, list[Any]] = {
    "empty()": [True], "exists()": [False], "exists($this)": [False], "all($this)": [True], "allTrue()": [True],
    "anyTrue()": [False], "allFalse()": [True], "anyFalse()": [False], "subsetOf({})": [True], "supersetOf({})": [True],
    "subsetOf(1)": [True], "supersetOf(1)": [False], "count()": [0], "isDistinct()": [True], "union(1)": [1], "combine(1)": [1],
    "hasValue()": [False], "aggregate(1, 2)": [2], "iif(true, 1)": [1],
}  # fmt: skip
CALLS = [
    "distinct()", "not()", "where(true)", "select(1)", "repeat($this)", "sort()", "ofType(Patient)", "single()", "first()",
    "last()", "tail()", "skip(1)", "take(1)", "intersect(1)", "exclude(1)", "aggregate($total + 1)", "sum()", "min()", "max()",
    "avg()", "children()", "descendants()", "trace('x')", "toBoolean()", "toInteger()", "toLong()", "toDecimal()", "toString()",
    "toDate()", "toDateTime()", "toTime()", "toQuantity()", "convertsToInteger()", "convertsToQuantity()", "indexOf('a')",
    "substring(0)", "startsWith('a')", "contains('a')", "upper()", "replace('a', 'b')", "matches('a')", "replaceMatches('a', 'b')",
    "length()", "toChars()", "trim()", "split(',')", "join(',')", "encode('hex')", "escape('html')", "abs()", "ceiling()", "exp()",
    "ln()", "log(2)", "power(2)", "round()", "sqrt()", "lowBoundary()", "precision()", "comparable(1 'g')", "is(Patient)",
    "as(Patient)", "type()", "extension('x')", "getValue()", "resolve()", "memberOf('x')", "subsumes('x')", "htmlChecks()", "weight()",
]  # fmt: skip


@pytest.mark.parametrize("call", [*OF_NOTHING, *CALLS])
def test_a_function_of_nothing_gives_nothing_unless_it_counts(call: str) -> None:
    assert run(f"{{}}.{call}") == OF_NOTHING.get(call, [])


def test_every_function_was_asked_for_nothing() -> None:
    asked = {call.split("(")[0] for call in (*OF_NOTHING, *CALLS)}
    assert STANDARD_FUNCTIONS.keys() - asked == {
        "anyFalse", "defineVariable", "coalesce", "now", "today", "timeOfDay", "lastIndexOf", "endsWith", "lower",
        "matchesFull", "decode", "unescape", "floor", "truncate", "highBoundary", "conformsTo", "subsumedBy",
        "checkModifiers", "ordinal", "convertsToBoolean", "convertsToLong", "convertsToDecimal", "convertsToString",
        "convertsToDate", "convertsToDateTime", "convertsToTime",
    } - asked  # fmt: skip


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "div", "mod", "=", "!=", "<", "<=", ">", ">="])
def test_an_operator_with_nothing_on_one_side_gives_nothing(operator: str) -> None:
    for text in (f"{{}} {operator} 1", f"1 {operator} {{}}", f"{{}} {operator} {{}}"):
        assert run(text) == []


# --- doubt ---------------------------------------------------------------------------------------------------------

TRUTHS = {
    "and": lambda a, b: a and b, "or": lambda a, b: a or b, "xor": lambda a, b: a != b, "implies": lambda a, b: not a or b,
}  # fmt: skip
FLAGS = Names({name: Static(("boolean",)) for name in "ab"})


@pytest.mark.parametrize("operator", TRUTHS)
def test_logic_says_what_holds_in_every_possible_world(operator: str) -> None:
    scope = Scope(Static(("object",), "one", FLAGS), r4())
    typed = Expressions(scope).function(f"a {operator} b")
    for left, right in itertools.product((True, False, None), repeat=2):
        pairs = itertools.product(*((True, False) if one is None else (one,) for one in (left, right)))
        worlds = {TRUTHS[operator](a, b) for a, b in pairs}
        expected = list(worlds) if len(worlds) == 1 else []
        words = ["{}" if one is None else str(one).lower() for one in (left, right)]
        assert run(f"{words[0]} {operator} {words[1]}") == expected
        assert typed({"a": left, "b": right}, {}) == expected


PARTS = st.tuples(
    st.integers(2023, 2025), st.integers(1, 12), st.integers(1, 28), st.integers(0, 23), st.integers(0, 59)
)
PRECISE = st.tuples(PARTS, st.integers(1, 5)).map(lambda found: found[0][: found[1]] if found[1] != 4 else found[0][:3])


def literal(parts: tuple[int, ...]) -> str:
    day = "-".join(f"{part:02}" for part in parts[:3])
    return f"@{day}" + ("T" + ":".join(f"{part:02}" for part in parts[3:]) if len(parts) > 3 else "")


def span(parts: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The first and the last minute that a date of some precision can mean."""
    low, high = (*parts, *(1, 1, 1, 0, 0)[len(parts) :]), list(parts)
    high += [12][: max(0, 2 - len(high))]
    high += [monthrange(high[0], high[1])[1]][: max(0, 3 - len(high))]
    return low, (*high, *(0, 0, 0, 23, 59)[len(high) :])


@seed(22)
@settings(CALM, max_examples=300)
@given(PRECISE, PRECISE)
def test_dates_of_different_precision_compare_only_where_every_reading_agrees(
    left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    (low, high), (first, last) = span(left), span(right)
    if len(left) == len(right):
        expected = {"<": left < right, "=": left == right, ">=": left >= right}
    elif high < first or low > last:
        expected = {"<": high < first, "=": False, ">=": low > last}
    else:
        expected = {}
    for operator in ("<", "=", ">="):
        found = run(f"{literal(left)} {operator} {literal(right)}")
        assert found == ([expected[operator]] if operator in expected else []), (left, right)


# --- digits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("1.50", "1.50"), ("1.50.toString()", "1.50"), ("1.10 + 2.20", "3.30"), ("0.1 + 0.2", "0.3"), ("1.0 * 1.00", "1.000"),
        ("(0.1 | 0.2 | 0.3 | 0.4).sum()", "1.0"), ("'1.500'.toDecimal()", "1.500"), ("1.5 'mg' + 1.50 'mg'", "3.00 'mg'"),
        ("12345678901234567890.12", "12345678901234567890.12"), ("1 / 3", "0.3333333333333333333333333333"),
        ("0.1.power(3)", "0.001"), ("1.005.round(2)", "1.01"), ("2.675.round(2)", "2.68"), ("(1.50).abs()", "1.50"),
    ],
)  # fmt: skip
def test_decimals_keep_their_digits(text: str, digits: str) -> None:
    assert [printed(one) for one in run(text)] == [digits]


@pytest.mark.parametrize(
    "text",
    [
        "9223372036854775807L + 1", "9223372036854775807L * 2", "2.power(64)", "2.power(900).power(900)", "10.power(40) * 10.power(40)",
    ],
)  # fmt: skip
def test_an_integer_that_leaves_64_bits_is_nothing(text: str) -> None:
    assert run(text) == []


@pytest.mark.parametrize("text", ["10.0.power(999) * 10.0.power(999)", "1000.exp().power(1000)", "1.5.power(1001)"])
def test_arithmetic_that_grows_without_end_is_a_fault_or_a_number(text: str) -> None:
    try:
        assert all(isinstance(one, Decimal) for one in run(text))
    except EvaluationProblem as problem:
        assert problem.rule == "PM712"


# --- depth and length ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "(" * 61 + "1" + ")" * 61, "1" + " + 1" * 1200, "'" + "a" * 4000 + "'", "-" * 70 + "1", "name" + ".where(true)" * 101,
        "iif(true, " * 70 + "1" + ")" * 70, "a" + ".b" * 150, "(" * 3900, "[" * 3900, "a.select(" * 400,
    ],
)  # fmt: skip
def test_what_is_too_large_or_too_deep_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ExpressionProblem) as refused:
        parser.parse(text)
    assert refused.value.rule in ("PM127", "PM100")
    assert 0 <= refused.value.offset <= len(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(" * 55 + "1" + ")" * 55, [1]), ("1" + " + 1" * 90, [91]), ("iif(true, " * 55 + "1" + ")" * 55, [1]),
        ("1" + ".select($this" * 45 + ")" * 45, [1]), ("1" + ".where(true)" * 90, [1]), ("true" + ".not()" * 90, [True]),
        ("(1 | 2)" + ".where($this" * 20 + ".exists()" + ")" * 20, [1, 2]), ("'a'" + " & 'a'" * 90, ["a" * 91]),
        ("1.defineVariable('x').select(%x)", [1]), ("(" + " | ".join(map(str, range(90))) + ").count()", [90]),
    ],
)  # fmt: skip
def test_what_is_just_within_the_limits_runs(text: str, expected: list[Any]) -> None:
    started = time.process_time()
    assert run(text) == expected
    assert time.process_time() - started < 5  # nested functions are compiled once each, not twice


def nested(levels: int) -> dict[str, Any]:
    resource: dict[str, Any] = {"resourceType": "Questionnaire", "item": []}
    items = resource["item"]
    for level in range(levels):
        items.append({"linkId": str(level), "item": []})
        items = items[0]["item"]
    return resource


def test_deep_resources_are_walked_without_recursion() -> None:
    deep = nested(3_000)
    assert run("repeat(item).linkId.count()", nested(60)) == [60]
    assert run("descendants().ofType(string).count()", deep) == [3_000]
    with pytest.raises(EvaluationProblem) as failed:
        run("(item | item).count()", deep)
    assert failed.value.rule == "PM750"


@pytest.mark.parametrize(
    "text",
    [
        "(1 | 2).repeat($this + 1)", "name.select(%resource.name).select(%resource.name).select(%resource.name).count()",
        "name.aggregate($total.combine(%resource.name).combine($total), {}).count()",
    ],
)  # fmt: skip
def test_a_flood_of_items_ends_in_a_fault(text: str) -> None:
    patient = {"resourceType": "Patient", "name": [{"family": str(at)} for at in range(60)]}
    with pytest.raises(EvaluationProblem) as failed:
        run(text, patient)
    assert failed.value.rule == "PM750"
    assert str(MAX_ITEMS) in failed.value.what


def test_characters_are_counted_and_bytes_are_not() -> None:
    assert run("'😀é'.length()") == [2]
    assert run("'😀é'.substring(1)") == ["é"]
    assert run("'😀é'.indexOf('é')") == [1]
    assert run("'İ'.lower().length() >= 1 and 'ß'.upper() = 'SS'") == [True]


def test_errors_name_no_value_of_a_record() -> None:
    patient = {"resourceType": "Patient", "birthDate": "S3cret", "name": [{"family": "S3cret"}, {"family": "S3cret"}]}
    for text in ("birthDate > @2020", "name.family + 'x'", "name.single()", "name.family.first().toInteger() + 'a'"):
        try:
            run(text, patient)
        except (EvaluationProblem, ExpressionProblem) as problem:
            assert "S3cret" not in f"{problem} {problem.what}"


def test_compiled_paths_are_kept_and_bounded() -> None:
    model = Model(r4())
    scope = Scope(Static(("Patient",), "one", sure=False), r4(), strict=False, dialect=STANDARD)
    first = path("name.family", scope, model)
    assert path("name.family", scope, model) is first
    elsewhere = Scope(Static(("Practitioner",), "one", sure=False), r4(), strict=False, dialect=STANDARD)
    assert path("name.family", elsewhere, model) is not first
    model.paths.update(dict.fromkeys(range(MAX_KEPT), first))
    path("name.given", scope, model)
    assert len(model.paths) <= MAX_KEPT


# --- what other engines decide otherwise -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@2020 - 11 months = @2020", True), ("@2020 - 25 months = @2018", True), ("@2020 + 25 months = @2022", True),
        ("(1 'm' + 5 'cm').toString()", "105 'cm'"), ("(5 'cm' - 1 'm').toString()", "-95 'cm'"),
        ("(1 day | 1000 milliseconds).sum().toString()", "86401000 milliseconds"),
        ("1 in (1 '1')", True), ("(1 '%') in (0.01 | 2)", True), ("'a' = 5 'mg'", False), ("@2020 != 5 'mg'", True),
        ("'2020-01-01T10:00:00Z'.convertsToDate()", False), ("'2020-01'.toDate() = @2020-01", True),
        ("'11/30'.replaceMatches('(?<month>[0-9]+)/(?<day>[0-9]+)', '${day}-${month}')", "30-11"),
    ],
)  # fmt: skip
def test_the_text_of_the_standard_decides(text: str, expected: Any) -> None:
    assert run(text) == [expected]


def test_half_a_character_is_not_unescaped() -> None:
    assert run(r"'\\ud83d\\ude00'.unescape('json')") == ["😀"]
    with pytest.raises(EvaluationProblem):
        run(r"'\\ud83d'.unescape('json')")


def test_a_group_that_a_pattern_has_not_is_a_fault_of_the_expression() -> None:
    with pytest.raises(ExpressionProblem) as refused:
        run("'a'.replaceMatches('a', '$1')")
    assert refused.value.rule == "PM124"
    with pytest.raises(EvaluationProblem) as failed:
        run("'a'.replaceMatches('a' & '', '$1')")
    assert failed.value.rule == "PM712"


@pytest.mark.parametrize(
    "text",
    [
        "'a'.repeat($this + $this)", "'a'.repeat($this & 'b')", "'a'.repeat($this.encode('hex'))", "'a'" + ".select($this & $this)" * 40,
        "'a'" + ".select($this + $this)" * 40, "'a'" + ".select($this.encode('hex'))" * 40, "'\"'" + ".select($this.escape('json'))" * 40,
        "'&'.repeat($this.escape('html'))", "(1 'm')" + ".select($this * $this)" * 40, "(1 'm').repeat($this * $this)",
    ],
)  # fmt: skip
def test_texts_and_units_that_double_come_to_an_end(text: str) -> None:
    with pytest.raises(EvaluationProblem) as failed:
        run(text)
    assert failed.value.rule in ("PM750", "PM712")
