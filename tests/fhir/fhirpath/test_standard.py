from __future__ import annotations

import threading
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from peerfhir.fhir import reader
from peerfhir.fhir.definitions import r4
from peerfhir.fhir.fhirpath.compile import Expressions
from peerfhir.fhir.fhirpath.conversions import text as printed
from peerfhir.fhir.fhirpath.dialects import SDC, STANDARD, VIEW, Dialect
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.model import Item, Model, plain
from peerfhir.fhir.fhirpath.problems import EvaluationProblem, ExpressionProblem
from peerfhir.fhir.fhirpath.standard import path
from peerfhir.fhir.fhirpath.types import OPEN, Bound, Scope, Static

EXAMPLES = Path(__file__).parents[1] / "examples"

MODEL = Model(r4())
AT = datetime(2026, 3, 2, 10, 0, 0, 123456, tzinfo=UTC)
ITEM_WEIGHT = "http://hl7.org/fhir/StructureDefinition/itemWeight"

CHART = {
    "resourceType": "Bundle",
    "entry": [
        {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "id": "p", "active": True}},
        {
            "fullUrl": "https://h.example/fhir/Task/t",
            "resource": {
                "resourceType": "Task",
                "id": "t",
                "contained": [{"resourceType": "Organization", "id": "o", "name": "Inner"}],
                "for": {"reference": "urn:uuid:1"},
                "owner": {"reference": "#o"},
                "focus": {"reference": "Task/t"},
                "requester": {"reference": "https://elsewhere.example/Organization/x"},
            },
        },
    ],
}
PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "birthDate": "1980-02",
    "_birthDate": {"id": "b", "extension": [{"url": "http://e/time", "valueDateTime": "1980-02-03T04:05:06Z"}]},
    "_gender": {"extension": [{"url": "http://e/why", "valueCode": "unknown"}]},
    "name": [{"given": ["Ana", "Lu"], "family": "B"}, {"given": ["Ana"]}],
    "multipleBirthInteger": 2,
    "managingOrganization": {"reference": "Organization/o/_history/2"},
}


def scope_of(kind: str | None, *, dialect: Dialect = STANDARD, strict: bool = False) -> Scope:
    variables = {"given": Bound(Static(("string",), "many"), "")}
    return Scope(Static((kind,) if kind else (), "one", sure=False), r4(), variables, dialect=dialect, strict=strict)


def shown(values: list[Any]) -> list[Any]:
    """JSON of items, the text of other values that JSON has not."""
    simple = (str, int, bool)
    found = [one.value if type(one) is Item else one for one in values]
    return [one if isinstance(one, (*simple, dict)) else printed(plain(one)) for one in found]


def value(text: str, context: Any = None, *, dialect: Dialect = STANDARD, **known: Any) -> list[Any]:
    environment = Environment(MODEL, now=AT, variables={"given": ["x", "y"]}, **known)
    kind = context["resourceType"] if context else None
    return shown(path(text, scope_of(kind, dialect=dialect), MODEL)(context, environment))


def refused(text: str, kind: str | None = None, *, dialect: Dialect = STANDARD, strict: bool = False) -> str:
    with pytest.raises(ExpressionProblem) as problem:
        path(text, scope_of(kind, dialect=dialect, strict=strict), MODEL)
    return problem.value.rule


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("birthDate.extension('http://e/time').value", ["1980-02-03T04:05:06Z"]), ("birthDate.id", ["b"]),
        ("gender.exists()", [True]), ("gender.hasValue()", [False]), ("gender.getValue()", []),
        ("gender = 'male'", []), ("gender.extension.value.first()", ["unknown"]), ("multipleBirth + 1", [3]),
        ("multipleBirth is integer", [True]), ("multipleBirth.ofType(boolean)", []), ("birthDate.precision()", [6]),
        ("birthDate + 1 year", ["1981-02"]), ("birthDate < @1980-02-01", []), ("birthDate.lowBoundary()", ["1980-02-01"]),
        ("birthDate.highBoundary()", ["1980-02-29"]), ("birthDate.is(FHIR.date)", [True]), ("is(DomainResource)", [True]),
        ("name.given.distinct()", ["Ana", "Lu"]), ("name.given.isDistinct()", [False]), ("name[1].given", ["Ana"]),
        ("name.select(given.first() & '.')", ["Ana.", "Ana."]), ("name.where($index = 1).given", ["Ana"]),
        ("name.defineVariable('f', given.first()).select(%f & given)", None),
        ("defineVariable('n', name.given).select(%n.count())", [3]), ("name.given.sort()", ["Ana", "Ana", "Lu"]),
        ("name.given.sort($this desc)", ["Lu", "Ana", "Ana"]), ("name.given.aggregate($total & $this, '')", ["AnaLuAna"]),
        ("%given.join('-')", ["x-y"]), ("%context.id & %resource.id", ["pp"]), ("name.given | %given", ["Ana", "Lu", "x", "y"]),
        ("now().toString()", ["2026-03-02T10:00:00.123Z"]), ("today()", ["2026-03-02"]), ("timeOfDay()", ["10:00:00.123"]),
        ("coalesce(name.suffix, gender.getValue(), 'none')", ["none"]), ("%`ext-x`", ["http://hl7.org/fhir/StructureDefinition/x"]),
        ("children().count()", [7]), ("name.given.all($this.length() > 1)", [True]), ("iif(name.count() > 1, 'many')", ["many"]),
        ("Patient.name.family | Patient.id", ["B", "p"]),
    ],
)  # fmt: skip
def test_a_patient_is_read_by_the_model(text: str, expected: list[Any] | None) -> None:
    if expected is None:
        with pytest.raises(EvaluationProblem):
            value(text, PATIENT)
    else:
        assert value(text, PATIENT) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(0.1 + 0.2) = 0.3", [True]), ("1 / 3", ["0.3333333333333333333333333333"]), ("4.5.round()", ["5"]),
        ("(-2.5).round()", ["-3"]), ("7 div 2", [3]), ("(-7) mod 2", [-1]), ("{} + 1", []), ("1 'kg' = 1000 'g'", [True]),
        ("1 'm' = 1 's'", []), ("1 'm' ~ 1 's'", [False]), ("1 year = 12 months", [True]), ("1 year = 1 'a'", []),
        ("1 year ~ 1 'a'", [True]), ("60 'mm[Hg]' < 1 'bar'", [True]), ("3 'mg/dL' = 0.03 'g/l'", [True]),
        ("(1 'g' | 1000 'mg').count()", [1]), ("(2 'g').toQuantity('mg')", ["2000 'mg'"]), ("{}.sum()", []),
        ("(1 | 2.5).sum()", ["3.5"]), ("(3 | 1 | 2).min()", [1]), ("(1 | 2).avg()", ["1.5"]), ("('b' | 'a').max()", ["b"]),
        ("@2024-02-29 + 1 year", ["2025-02-28"]), ("@2024-01-31 + 1 month", ["2024-02-29"]), ("@2024 + 24 months", ["2026"]),
        ("@T23:30 + 1 hour", ["00:30"]), ("@2024-01-01T10:00 + 90 minutes", ["2024-01-01T11:30"]),
        ("@2024-01-01T00:30:00+02:00 = @2023-12-31T22:30:00Z", [True]), ("@2024-05-05T10:00 < @2024-06-05T10:00Z", [True]),
        ("'é'.length()", [1]), ("'abc'.toChars()", ["a", "b", "c"]), ("'a1b2'.replaceMatches('([0-9])', '<$1>')", ["a<1>b<2>"]),
        ("'x' in ('x' | 'y')", [True]), ("true xor false", [True]), ("{} implies true", [True]), ("2.power(0.5) > 1.41", [True]),
        ("10L + 1", [11]), ("1.5.type().name", ["Decimal"]),
    ],
)  # fmt: skip
def test_numbers_texts_and_times_follow_the_standard(text: str, expected: list[Any]) -> None:
    assert value(text) == expected


def test_repeat_meets_types_that_have_other_names() -> None:
    answered = {
        "resourceType": "QuestionnaireResponse",
        "item": [{"linkId": "a", "answer": [{"valueBoolean": True, "item": [{"linkId": "b"}]}]}, {"linkId": "c"}],
    }
    assert value("repeat(answer | item).linkId", answered) == ["a", "c", "b"]
    assert value(
        "(QuestionnaireResponse | repeat(answer | item)).select(item.linkId.isDistinct()).allTrue()", answered
    ) == [True]
    assert refused("repeat(answr | item)", "QuestionnaireResponse") == "PM111"
    assert refused("repeat(" * 30 + "itm" + ")" * 30, "QuestionnaireResponse") == "PM111"


def test_a_reference_says_what_it_points_to() -> None:
    for text, kind in (("Patient/1", True), ("https://h.example/fhir/Group/1/_history/2", False)):
        task = {"resourceType": "Task", "for": {"reference": text}}
        assert value("for.resolve() is Patient", task) == [kind]
        assert value("for.where(resolve() is Patient).exists()", task) == [kind]
        assert value("for.where(resolve().is(Patient)).exists()", task) == [kind]
    assert value("for.resolve() is Patient", {"resourceType": "Task", "for": {"reference": "urn:uuid:1"}}) == []
    assert value("for.resolve() is Patient", {"resourceType": "Task", "for": {"type": "Patient", "display": "x"}}) == [
        True
    ]


def test_a_union_may_begin_with_other_types() -> None:
    text = "Patient.name.family | Practitioner.name.family | RelatedPerson.name.family"
    assert value(text, PATIENT) == ["B"]
    assert refused("Practitioner.name", "Patient") == "PM111"


def test_the_item_of_the_questionnaire_is_that_of_the_answer() -> None:
    asked = {"resourceType": "Questionnaire", "item": [{"linkId": "g", "item": [{"linkId": "a", "text": "How?"}]}]}
    answered = {"resourceType": "QuestionnaireResponse", "item": [{"linkId": "a"}]}
    item = MODEL.step([Item(answered, "QuestionnaireResponse")], "item")[0]
    scope = Scope(Static(("QuestionnaireResponseItem",), "one", sure=False), r4(), strict=False, dialect=SDC)
    found = path("%qitem.text & %context.linkId", scope, MODEL)(item, Environment(MODEL, questionnaire=asked))
    assert found == ["How?a"]
    assert path("%qitem", scope, MODEL)(item, Environment(MODEL, questionnaire={"item": []})) == []


def test_where_the_type_of_the_context_is_not_known_the_data_tell() -> None:
    scope = Scope(OPEN, r4(), strict=False, dialect=STANDARD)
    text = "Patient.name.family | Task.status"
    assert shown(path(text, scope, MODEL)(PATIENT, Environment(MODEL))) == ["B"]
    assert shown(path(text, scope, MODEL)({"resourceType": "Task", "status": "ready"}, Environment(MODEL))) == ["ready"]


def test_a_variable_of_the_caller_has_the_type_it_is_declared_with() -> None:
    declared = {"coding": Bound(Static(("Coding",), "many"), ""), "some": Bound(Static(()), "")}
    scope = Scope(Static((), "one", sure=False), r4(), declared, strict=False, dialect=SDC)
    given = {"coding": [{"code": "a"}, {"code": "b"}], "some": {"resourceType": "Task", "status": "ready"}}
    run = path("%coding.code | %some.status", scope, MODEL)
    assert shown(run(None, Environment(MODEL, variables=given))) == ["a", "b", "ready"]
    assert run(None, Environment(MODEL, variables={"coding": [], "some": None})) == []


def test_references_are_resolved_within_the_resource_and_the_bundle_only() -> None:
    task = "entry.resource.ofType(Task)"
    assert value(f"{task}.for.resolve().active", CHART) == [True]
    assert value(f"{task}.owner.resolve().name", CHART) == ["Inner"]
    assert value(f"{task}.focus.resolve().id", CHART) == ["t"]
    assert value(f"{task}.requester.resolve()", CHART) == []
    assert value("entry.resource.where($this is Patient).id", CHART) == ["p"]
    inner = CHART["entry"][1]["resource"]  # type: ignore[index]
    assert value("for.resolve() is Patient", inner, resource=inner, root=CHART) == [True]
    assert value("%rootResource.type().name & %resource.id", inner, resource=inner, root=CHART) == ["Bundlet"]


def test_weights_come_from_the_answer_then_from_the_questionnaire() -> None:
    response = reader.read((EXAMPLES / "QuestionnaireResponse-phq9.json").read_bytes())
    questionnaire = reader.read((EXAMPLES / "Questionnaire-phq9.json").read_bytes())
    total = value("item.answer.value.weight().sum()", response, questionnaire=questionnaire)
    codes = ["LA6568-5", "LA6569-3", "LA6570-1", "LA6571-9"]
    answered = [item["answer"][0].get("valueCoding", {}).get("code") for item in response["item"] if "answer" in item]
    assert [Decimal(total[0])] == [Decimal(sum(codes.index(code) for code in answered if code in codes))]
    assert value("item.answer.value.ordinal().sum()", response, questionnaire=questionnaire) == total
    with pytest.raises(EvaluationProblem):
        value("item.answer.value.weight().sum()", response)
    heavy = {"extension": [{"url": ITEM_WEIGHT, "valueDecimal": Decimal("7")}], "code": "x"}
    own = {"resourceType": "QuestionnaireResponse", "item": [{"linkId": "a", "answer": [{"valueCoding": heavy}]}]}
    assert value("item.answer.weight()", own) == ["7"]


def test_weights_of_a_value_set_are_read_from_its_concepts() -> None:
    contained = {
        "resourceType": "ValueSet", "id": "v",
        "compose": {"include": [{"system": "s", "concept": [
            {"code": "c", "extension": [{"url": ITEM_WEIGHT, "valueDecimal": Decimal(4)}]}]}]},
    }  # fmt: skip
    asked = {"contained": [contained], "item": [{"linkId": "a", "answerValueSet": "#v"}]}
    answered = {
        "resourceType": "QuestionnaireResponse",
        "item": [{"linkId": "a", "answer": [{"valueCoding": {"system": "s", "code": "c"}}]}],
    }
    assert value("item.answer.value.weight()", answered, questionnaire=asked) == ["4"]
    with pytest.raises(EvaluationProblem):
        value("item.answer.value.weight()", answered, questionnaire={**asked, "contained": []})


def test_membership_that_cannot_be_known_is_empty() -> None:
    assert value("'a'.memberOf('http://vs')") == []
    assert value("'a'.memberOf('http://vs')", member_of=lambda system, code, url: code == "a") == [True]
    assert value("'a'.subsumes('a')") == [True]
    assert value("'a'.subsumes('b')") == []


def test_a_trace_goes_to_its_collector() -> None:
    kept: list[tuple[str, list[Any]]] = []
    assert value("name.given.trace('given', $this.length()).count()", PATIENT, trace=kept) == [3]
    assert kept == [("given", [3, 2, 3])]


@pytest.mark.parametrize(
    ("div", "good"),
    [
        ("<div xmlns='http://www.w3.org/1999/xhtml'><p>x<br/></p></div>", True), ("<div>x<script>1</script></div>", False),
        ("<div onclick='x()'>x</div>", False), ("<div><p>x</div>", False), ("<div> </div>", False), ("<p>x</p>", False),
        ("<div><a href='javascript:x()'>x</a></div>", False), ("<div>x</div><p>y</p>", False),
    ],
)  # fmt: skip
def test_narrative_has_the_tags_of_the_specification_only(div: str, good: bool) -> None:
    text = {"resourceType": "Patient", "text": {"status": "generated", "div": div}}
    assert value("text.`div`.htmlChecks()", text) == [good]


@pytest.mark.parametrize(
    ("text", "kind", "rule"),
    [
        ("nam", "Patient", "PM111"), ("multipleBirthInteger", "Patient", "PM111"), ("Task.status", "Patient", "PM111"),
        ("name.given.nothing()", "Patient", "PM122"), ("name.slice('a', 'b')", "Patient", "PM122"), ("%x", None, "PM110"),
        ("name.is(Nothing)", "Patient", "PM120"), ("1 + 'a'", None, "PM120"), ("-'a'", None, "PM120"), ("$index", None, "PM110"),
        ("'a'.matches('(a+)+')", None, "PM124"), ("'a'.matches('(?=a)')", None, "PM124"), ("'a'.matches('a*a*')", None, "PM124"),
        ("'a'.matches('(ab|[ab]c)*')", None, "PM124"), ("'a'.matches('(')", None, "PM124"), ("'a'.matches('[[]')", None, "PM124"), ("1.substring(0)", None, "PM120"),
        ("defineVariable('sct')", None, "PM113"), ("'a'.translate('m')", None, "PM122"), ("getResourceKey()", "Patient", "PM122"),
        ("'a'.substring()", None, "PM122"), ("3000000000", None, "PM125"), ("3 'nonsense' > 1", None, None),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused_when_it_is_loaded(text: str, kind: str | None, rule: str | None) -> None:
    if rule is None:
        assert refused(text, kind, strict=True) == "PM243"
    else:
        assert refused(text, kind) == rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("(1 | 2).single()", "PM712"), ("(1 | 2) + 1", "PM712"), ("(1 | 'a').sum()", "PM712"), ("(1 | 'a').sort()", "PM712"),
        ("'a'.conformsTo('http://x')", "PM712"), ("'zz'.decode('hex')", "PM712"), ("@9999-12-31 + 1 day", "PM712"),
        ("(1 | 2).repeat($this + 1)", "PM750"), ("'a'.matches('(' & 'a+)+')", "PM712"),
    ],
)  # fmt: skip
def test_what_fails_while_it_runs_says_so(text: str, rule: str) -> None:
    with pytest.raises(EvaluationProblem) as failed:
        value(text)
    assert failed.value.rule == rule


def test_dialects_differ_in_their_functions_only() -> None:
    assert value("getResourceKey()", PATIENT, dialect=VIEW) == ["Patient/p"]
    assert value("managingOrganization.getReferenceKey()", PATIENT, dialect=VIEW) == ["Organization/o"]
    assert value("managingOrganization.getReferenceKey(Patient)", PATIENT, dialect=VIEW) == []
    asked = {"resourceType": "Questionnaire", "title": "T"}
    assert value("%questionnaire.title", PATIENT, dialect=SDC, questionnaire=asked) == ["T"]


def test_expressions_of_the_standard_dialect_run_beside_those_of_mappings() -> None:
    run = Expressions(scope_of("Patient")).function("name.where(family = 'B').given.skip(1)")
    assert run(PATIENT, {}) == ["Lu"]


def test_one_compiled_path_serves_many_threads() -> None:
    compiled = path("name.given.defineVariable('all', $this).select(%all.count() + $index)", scope_of("Patient"), MODEL)
    found: dict[int, list[Any]] = {}

    def use(number: int) -> None:
        patient = {"resourceType": "Patient", "name": [{"given": [str(at) for at in range(number)]}]}
        for _ in range(100):
            found[number] = compiled(patient, Environment(MODEL))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == {number: [number + at for at in range(number)] for number in range(1, 5)}
