"""Expressions of mappings: the whole library over a typed record, with its types, places and hints."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from peerfhir.fhir.definitions import r4
from peerfhir.fhir.fhirpath import compile as fhirpath
from peerfhir.fhir.fhirpath.compile import Expressions, emit
from peerfhir.fhir.fhirpath.dialects import MAPPING, RULE
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.library import NOT_SUPPORTED, STANDARD_FUNCTIONS
from peerfhir.fhir.fhirpath.model import model_of
from peerfhir.fhir.fhirpath.problems import EvaluationProblem, ExpressionProblem
from peerfhir.fhir.fhirpath.types import Bound, Scope, Static
from tests.fhir.fhirpath.test_compile import Names

ITEM = Names({"code": Static(("string",), "one"), "on": Static(("boolean",)), "weight": Static(("decimal",))})
RECORD_TYPE = Names(
    {
        "name": Static(("string",), "one", blank=False), "nick": Static(("string",)), "flag": Static(("boolean",)),
        "sure": Static(("boolean",), "one"), "count": Static(("integer",), "one"), "more": Static(("integer",)),
        "price": Static(("decimal",)), "born": Static(("date",)), "at": Static(("dateTime",)), "from": Static(("time",)),
        "words": Static(("string",), "many"), "numbers": Static(("integer",), "many"),
        "days": Static(("date",), "many"), "items": Static(("object",), "many", ITEM), "minutes": Static(("integer",), "one"),
        "in": Static(("string",)), "as": Static(("string",)), "sort": Static(("string",)), "contains": Static(("string",)),
        "level": Static(("code",), "one", codes=frozenset(("low", "high")), blank=False), "div": Static(("string",)),
    }
)  # fmt: skip
RECORD: dict[str, Any] = {
    "name": "Ana Lu", "nick": None, "flag": True, "sure": False, "count": 3, "more": None, "price": Decimal("1.50"),
    "born": "1980-02-29", "at": "2026-03-01T10:00:00-05:00", "from": "10:30:00", "words": ["b", "a", "b"],
    "numbers": [3, 1, 2], "days": ["2026-02-01", "2025-01-01"], "minutes": 50, "in": "x", "as": "y", "sort": "z",
    "contains": "c", "level": "low", "div": "d",
    "items": [
        {"code": "a", "on": True, "weight": Decimal("0.1")}, {"code": "b", "on": None, "weight": None},
        {"code": "c", "on": False, "weight": Decimal("0.2")},
    ],
}  # fmt: skip
SCOPE = Scope(
    Static(("object",), "one", RECORD_TYPE), r4(),
    variables={"var": Bound(Static(("string",)), "var"), "many": Bound(Static(("string",), "many"), "many")},
    systems={"v2-0203": "http://v2.example", "mrn": "http://mrn.example"},
)  # fmt: skip


def value(text: str, scope: Scope = SCOPE, **changes: Any) -> list[Any]:
    return Expressions(scope).function(text)({**RECORD, **changes}, {"var": "v", "many": ["m", "n"]})


def refused(text: str, scope: Scope = SCOPE) -> ExpressionProblem:
    with pytest.raises(ExpressionProblem) as problem:
        emit(text, scope)
    return problem.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # operators
        ("count + 1", [4]), ("count - more", []), ("count * price", [Decimal("4.50")]), ("count / 2", [Decimal("1.5")]),
        ("7 div 2 + 7 mod 2", [4]), ("1 / 0", []), ("-count", [-3]), ("name + nick", []), ("name + '!'", ["Ana Lu!"]),
        ("name & nick & count", ["Ana Lu3"]), ("count > 2 and price < 2", [True]), ("more > 2", []), ("born < @1990", [True]),
        ("at > @2026-03-01T14:00:00Z", [True]), ("born >= @1980-02", []), ("name != nick", []), ("name !~ 'ana  LU'", [False]),
        ("words | %many", ["b", "a", "m", "n"]), ("'a' in words", [True]), ("words contains 'z'", [False]),
        ("flag xor sure", [True]), ("sure implies flag", [True]), ("words[1]", ["a"]), ("words[7]", []),
        ("numbers ~ (2 | 3 | 1)", [True]), ("price is Decimal", [True]), ("name as String", ["Ana Lu"]),
        # existence and subsets
        ("nick.empty()", [True]), ("words.count()", [3]), ("words.distinct()", ["b", "a"]), ("words.isDistinct()", [False]),
        ("numbers.all($this > 0)", [True]), ("items.on.allTrue()", [False]), ("items.on.anyTrue()", [True]),
        ("words.first()", ["b"]), ("words.last()", ["b"]), ("words.tail()", ["a", "b"]), ("words.skip(2)", ["b"]),
        ("words.take(1)", ["b"]), ("words.intersect(%many | 'a')", ["a"]), ("words.exclude('b')", ["a"]),
        ("words.union(%many)", ["b", "a", "m", "n"]), ("words.combine('b').count()", [4]), ("words.subsetOf('a' | 'b')", [True]),
        ("items.where(on).code", ["a"]), ("items.select(code & '1')", ["a1", "b1", "c1"]), ("items[0].code", ["a"]),
        ("items.where($index > 0).code", ["b", "c"]), ("numbers.sort()", [1, 2, 3]), ("items.sort(-code).code.first()", ["c"]),
        ("numbers.single()", None), ("words.where($this = 'a').single()", ["a"]), ("items.exists(on and $index = 0)", [True]),
        # choice and aggregates
        ("coalesce(nick, name)", ["Ana Lu"]), ("coalesce(nick, more.toString(), 'none')", ["none"]), ("coalesce(born, @2000)", ["1980-02-29"]),
        ("iif(count > 2, 'many', 'few')", ["many"]), ("iif(flag, words, 'z')", ["b", "a", "b"]), ("iif(sure, born)", []),
        ("words.iif(count() > 2, 'x', 'y')", None), ("numbers.sum()", [6]), ("numbers.avg()", [Decimal(2)]), ("numbers.max()", [3]),
        ("items.weight.sum()", [Decimal("0.3")]), ("days.min()", ["2025-01-01"]), ("{}.sum()", []),
        ("numbers.aggregate($total + $this, 0)", [6]), ("words.aggregate($total & $this, '')", ["bab"]),
        # texts
        ("name.upper()", ["ANA LU"]), ("name.length()", [6]), ("name.substring(4)", ["Lu"]), ("name.indexOf('u')", [5]),
        ("name.startsWith('Ana') and name.endsWith('Lu')", [True]), ("name.contains('a L')", [True]), ("name.split(' ')", ["Ana", "Lu"]),
        ("words.join('-')", ["b-a-b"]), ("' x '.trim()", ["x"]), ("name.replace('a', 'o')", ["Ano Lu"]),
        ("name.matches('^A')", [True]), ("name.matchesFull('[A-Z][a-z]+')", [False]), ("name.replaceMatches('([A-Z])', '<$1>')", ["<A>na <L>u"]),
        ("name.toChars().first()", ["A"]), ("'é'.encode('base64').decode('base64')", ["é"]), ("'<'.escape('html')", ["&lt;"]),
        # conversions
        ("'12'.toInteger() + 1", [13]), ("'x'.toInteger()", []), ("'x'.convertsToInteger()", [False]), ("price.toString()", ["1.50"]),
        ("'2026-01-31'.toDate()", ["2026-01-31"]), ("'true'.toBoolean()", [True]), ("count.toDecimal()", [Decimal(3)]),
        ("'2026-01-01T10:00:00Z'.toDateTime()", ["2026-01-01T10:00:00Z"]), ("'10:00'.toTime()", ["10:00"]), ("at.toDate()", ["2026-03-01"]),
        # dates
        ("born + 1 year", ["1981-02-28"]), ("at + 90 minutes", ["2026-03-01T11:30:00-05:00"]), ("from + 2 hours", ["12:30:00"]),
        ("born.lowBoundary()", ["1980-02-29"]), ("@2026-02.highBoundary()", ["2026-02-28"]), ("born.precision()", [8]),
        ("days.where($this > @2025-06-01)", ["2026-02-01"]), ("at", ["2026-03-01T10:00:00-05:00"]), ("'on ' & born", ["on 1980-02-29"]),
        # numbers
        ("4.5.round()", [Decimal(5)]), ("price.round(1)", [Decimal("1.5")]), ("9.sqrt()", [Decimal(3)]), ("2.power(10)", [1024]),
        ("(-3).abs()", [3]), ("price.ceiling() + price.floor() + price.truncate()", [4]), ("0.ln()", []),
        # quantities
        ("minutes.toQuantity('min')", [{"value": 50, "unit": "min", "system": "http://unitsofmeasure.org", "code": "min"}]),
        ("minutes.toQuantity('min', 'minutes').unit", ["minutes"]), ("more.toQuantity('min')", []),
        ("minutes.toQuantity('min') > 3 'h'", [False]), ("count.toQuantity('{score}').code", ["{score}"]),
        ("(2 'h').toQuantity('min')", [{"value": Decimal(120), "unit": "min", "system": "http://unitsofmeasure.org", "code": "min"}]),
        # names
        ("in & as & sort & contains & `div`", ["xyzcd"]), ("%context.count + %resource.count + %source.count", [9]),
        ("%systems.`v2-0203`", ["http://v2.example"]), ("%`vs-x`", ["http://hl7.org/fhir/ValueSet/x"]), ("%var & %many.first()", ["vm"]),
        ("defineVariable('n', words.count()).select(%n + 1)", [4]), ("words.repeat($this)", ["b", "a"]), ("words.trace('t').count()", [3]),
        ("words.type().name.distinct()", ["String"]), ("words.ofType(String).count()", [3]), ("words.ofType(FHIR.string)", []),
    ],
)  # fmt: skip
def test_every_part_of_the_language_works_on_a_record(text: str, expected: list[Any] | None) -> None:
    if expected is None:
        with pytest.raises((EvaluationProblem, ExpressionProblem)):
            value(text)
    else:
        found = value(text)
        assert found == expected
        assert [type(one) for one in found] == [type(one) for one in expected]


@pytest.mark.parametrize(
    ("text", "rule", "offset", "hint"),
    [
        ("nam", "PM111", 0, "name"), ("items.cod", "PM111", 6, "code"), ("name.x", "PM111", 5, ""), ("%systms.mrn", "PM110", 0, "systems"),
        ("%terminologies", "PM110", 0, ""), ("name + 1", "PM120", 5, "&"), ("born + 1", "PM120", 5, ""), ("count.upper()", "PM120", 6, "toString"),
        ("born > '2020-01-01'", "PM120", 5, "@2026-01-31"), ("words.upper()", "PM121", 6, "first"), ("words + 'x'", "PM121", 6, "first"),
        ("words[numbers]", "PM121", 5, "first"), ("name.uper()", "PM122", 5, "upper"), ("name.substring()", "PM122", 5, ""),
        ("born.yearOf()", "PM122", 5, ""), ("name.toDate('DD.MM.YYYY')", "PM122", 5, "field"), ("getResourceKey()", "PM122", 0, ""),
        ("fullUrl('x')", "PM122", 0, ""), ("name.matches('(a+)+')", "PM124", 13, ""), ("@2026-02-30", "PM125", 0, ""),
        ("items.where(code)", "PM126", 12, "exists"), ("iif(name, 1, 2)", "PM126", 4, "exists"), ("items.all(weight)", "PM126", 10, "exists"),
        ("words.not()", "PM121", 6, "first"), ("5 'parsecs'", "PM243", 0, ""), ("count.toQuantity('lightyears')", "PM243", 17, ""),
        ("count.toQuantity('mins')", "PM243", 17, "'min'"), ("count.toQuantity('minutes')", "PM243", 17, "'min'"),
        ("name.translate('x')", "PM130", 15, ""), ("count.band('x')", "PM130", 11, ""), ("defineVariable('sct')", "PM113", 15, ""),
        ("$total", "PM110", 0, ""), ("Coding{code: 'a'}", "PM122", 6, "template"), ("name.is(Nothing)", "PM120", 8, ""), ("-name", "PM120", 0, ""), ("words.skip(words)", "PM121", 11, "first"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused_with_place_and_hint(text: str, rule: str, offset: int, hint: str) -> None:
    problem = refused(text)
    assert (problem.rule, problem.offset) == (rule, offset)
    assert hint in problem.hint


def test_every_function_of_the_library_is_open_or_refused_with_a_reason() -> None:
    for function in STANDARD_FUNCTIONS:
        for arguments in ("", "'a'", "1", "true", "String", "'a', 'b'"):
            try:
                emit(f"words.first().{function}({arguments})", SCOPE)
                break
            except ExpressionProblem as problem:
                assert "there is no function" not in problem.what
                assert problem.offset >= 14
    for function in NOT_SUPPORTED:
        assert "is not supported: " in refused(f"name.{function}()").what


@pytest.mark.parametrize(
    ("text", "kinds", "card"),
    [
        ("name & 'x'", ("string",), "one"), ("coalesce(nick, name)", ("string",), "one"), ("coalesce(nick, %var)", ("string",), "opt"),
        ("count + 1", ("integer",), "one"), ("count + more", ("integer",), "opt"), ("count / 2", ("decimal",), "opt"),
        ("words.count()", ("integer",), "one"), ("words.first()", ("string",), "opt"), ("born + 1 day", ("date",), "opt"),
        ("items.where(on).code", ("string",), "many"), ("name.upper()", ("string",), "one"), ("nick.upper()", ("string",), "opt"),
        ("count > 2", ("boolean",), "one"), ("more > 2", ("boolean",), "opt"), ("nick.exists()", ("boolean",), "one"),
        ("level", ("code",), "one"), ("minutes.toQuantity('min')", ("Quantity",), "one"), ("name.split(' ')", ("string",), "many"),
        ("now()", ("dateTime",), "one"), ("iif(sure, 'a')", ("string",), "opt"), ("numbers.sum()", ("integer",), "opt"),
    ],
)  # fmt: skip
def test_types_are_known_before_data_flows(text: str, kinds: tuple[str, ...], card: str) -> None:
    found = emit(text, SCOPE).type
    assert (found.kinds, found.card) == (kinds, card)


def test_codes_stay_a_closed_set_through_what_only_chooses() -> None:
    assert emit("level", SCOPE).type.codes == {"low", "high"}
    assert emit("iif(sure, level, 'none')", SCOPE).type.codes == {"low", "high", "none"}
    assert emit("level.upper()", SCOPE).type.codes is None
    assert emit("level = 'lwo'", SCOPE).findings[0][0] == "PM123"
    assert emit("iif(true, 'a', 'b')", SCOPE).findings[0][:2] == ("PM123", 4)


def test_a_field_with_a_name_of_the_language_is_told_and_works() -> None:
    assert [(rule, at) for rule, at, *_ in emit("minutes + count", SCOPE).findings] == [("PM112", 0)]
    assert emit("`minutes`", SCOPE).findings == ()
    assert refused("div + 1").rule == "PM100"


def test_the_time_is_that_of_the_caller() -> None:
    tree = ast.fix_missing_locations(ast.Expression(emit("now().toString() & ' ' & today()", SCOPE).code))
    names = fhirpath.runtime(SCOPE)
    names["environment"] = Environment(model_of(r4()), now=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    found = eval(compile(tree, "", "eval"), {**names, "record": RECORD})
    assert found == "2026-01-02T03:04:05.000Z 2026-01-02"
    with pytest.raises(EvaluationProblem):
        value("now()")


@dataclass(frozen=True)
class Labels:
    """The bands of a number."""

    def output(self, given: Static) -> Static:
        return Static(("string",), given.card, codes=frozenset(("low", "high")), blank=False)

    def review(self, given: Static) -> list[tuple[str, str, str]]:
        return []

    def translate(self, number: Any) -> Any:
        return None if number is None else "low" if number < 10 else "high"


def test_bands_label_numbers_and_full_urls_name_resources() -> None:
    urls: Mapping[str, ast.expr] = {"patient": ast.Constant("urn:uuid:1")}
    scope = replace(
        SCOPE, bands={"level": Labels()}, addresses=lambda word: (urls[word], False) if word in urls else None
    )  # fmt: skip
    assert value("(count * 5).band('level')", scope) == ["high"]
    assert value("more.band('level')", scope) == []
    assert emit("count.band('level')", scope).type.codes == {"low", "high"}
    assert value("fullUrl('patient')", scope) == ["urn:uuid:1"]
    assert refused("name.band('level')", scope).rule == "PM120"
    assert refused("count.band('levl')", scope).hint == "did you mean 'level'?"
    assert refused("fullUrl('person')", scope).rule == "PM264"


def test_membership_is_asked_only_of_value_sets_that_are_at_hand() -> None:
    assert refused("name.memberOf('http://vs')").rule == "PM122"
    scope = replace(SCOPE, listed=lambda url: url == "http://vs")
    assert emit("name.memberOf('http://vs')", scope).type.kinds == ("boolean",)
    assert refused("name.memberOf('http://other')", scope).offset == 14


def test_rules_of_a_site_have_the_library_and_no_code_maps() -> None:
    scope = replace(SCOPE, dialect=RULE)
    assert value("numbers.sum() > 5 and level in ('low' | 'high')", scope) == [True]
    assert refused("level.translate('x')", scope).rule == "PM122"


CHART = {
    "resourceType": "Observation", "id": "o", "status": "final", "valueQuantity": {"value": Decimal("7.0"), "unit": "kg",
    "system": "http://unitsofmeasure.org", "code": "kg"}, "effectiveDateTime": "2026-03-01T10:00:00+00:00",
    "contained": [{"resourceType": "Patient", "id": "p", "birthDate": "1980", "_birthDate": {"extension": [
        {"url": "http://e/x", "valueString": "about"}]}}],
    "subject": {"reference": "#p"}, "component": [{"code": {"text": "a"}, "valueInteger": 1}, {"code": {"text": "b"}}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("value.ofType(Quantity).value", [Decimal("7.0")]), ("value.is(Quantity)", [True]), ("value > 6000 'g'", [True]),
        ("effective", ["2026-03-01T10:00:00+00:00"]), ("effective.ofType(dateTime) + 1 day", ["2026-03-02T10:00:00Z"]),
        ("subject.resolve().ofType(Patient).birthDate.extension('http://e/x').value.ofType(string)", ["about"]),
        ("component.where(value.exists()).code.text", ["a"]), ("component.value.ofType(integer).sum()", [1]),
        ("component.code.text.join(',')", ["a,b"]), ("status = 'final' and component.count() = 2", [True]),
        ("Observation.id & '/' & %resource.id", ["o/o"]), ("contained.ofType(Patient).birthDate", ["1980"]),
        ("component[1].value.empty()", [True]), ("iif(status = 'final', code.text, 'x')", []), ("subject.resolve() is Patient", [True]),
        ("value", [CHART["valueQuantity"]]), ("component.code", [{"text": "a"}, {"text": "b"}]),
    ],
)  # fmt: skip
def test_a_resource_is_read_with_its_model_in_a_mapping_too(text: str, expected: list[Any]) -> None:
    scope = Scope(Static(("Observation",), "one", sure=False), r4(), dialect=MAPPING)
    assert Expressions(scope).function(text)(CHART, {}) == expected


def test_a_variable_that_holds_a_choice_keeps_its_type() -> None:
    kinds = ("Quantity", "CodeableConcept", "string", "boolean")
    scope = replace(SCOPE, variables={"v": Bound(Static(kinds, sure=False), "v")})
    run = Expressions(scope).function("%v.ofType(CodeableConcept).text & %v.ofType(Quantity).unit & %v.ofType(string)")
    found = [run(RECORD, {"v": one}) for one in ({"text": "t"}, {"value": 1, "unit": "u"}, "s", True, None)]
    assert found == [["t"], ["u"], ["s"], [""], [""]]
