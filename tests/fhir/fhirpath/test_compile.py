from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from peerfhir.fhir import reader
from peerfhir.fhir.definitions import r4
from peerfhir.fhir.fhirpath.compile import Expressions
from peerfhir.fhir.fhirpath.library import NOT_SUPPORTED
from peerfhir.fhir.fhirpath.problems import EvaluationProblem, ExpressionProblem
from peerfhir.fhir.fhirpath.types import Bound, Scope, Static
from tests.mapping.samples import EXAMPLES
from tests.support.generated import CALM


@dataclass(frozen=True)
class Names:
    """Declared names, as a record has them."""

    members: Mapping[str, Static]

    def names(self) -> list[str]:
        return list(self.members)

    def member(self, name: str) -> Static | None:
        return self.members.get(name)


ITEM = Names({"code": Static(("string",), "one"), "on": Static(("boolean",), "opt")})
FIELDS = Names(
    {
        "s": Static(("string",), "one"),
        "t": Static(("string",), "opt"),
        "b": Static(("boolean",), "opt"),
        "c": Static(("boolean",), "opt"),
        "n": Static(("integer",), "opt"),
        "d": Static(("date",), "opt"),
        "l": Static(("string",), "many"),
        "items": Static(("object",), "many", ITEM),
        "div": Static(("string",), "opt"),
    }
)
LOCAL = Scope(
    Static(("object",), "one", FIELDS),
    r4(),
    variables={"v": Bound(Static(("string",), "opt"), "v"), "w": Bound(Static(("string",), "many"), "w")},
    constants={"canonical": "http://our.example"},
    systems={"mrn": "http://mrn.example", "us-npi": "http://npi.example"},
)
RECORD = {
    "s": "x", "t": None, "b": True, "c": None, "n": 5, "d": "2026-02-01", "l": ["p", "q"], "div": "z",
    "items": [{"code": "a", "on": True}, {"code": "b", "on": None}, {"code": "a", "on": False}],
}  # fmt: skip
VALUES = {"v": "given", "w": ["one", "two"]}


def value(text: str, record: Mapping[str, Any] = RECORD, scope: Scope = LOCAL) -> list[Any]:
    return Expressions(scope).function(text)(record, VALUES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s", ["x"]), ("t", []), ("l", ["p", "q"]), ("l.first()", ["p"]), ("{}", []), ("'it\\'s'", ["it's"]),
        ("items.code", ["a", "b", "a"]), ("items.on", [True, False]), ("items.where(on).code", ["a"]),
        ("items.where(code = 'a' and on.not()).code.first()", ["a"]), ("items.where(code = 'z')", []),
        ("items.exists(code = 'b')", [True]), ("items.exists(code = 'z')", [False]), ("t.exists()", [False]),
        ("l.where($this = 'q')", ["q"]), ("l.exists()", [True]), ("s.where($this = 'y')", []), ("s.exists()", [True]),
        ("t = 'a'", []), ("s = 'x'", [True]), ("n = 5", [True]), ("n = 5.0", [True]), ("l = 'p'", [False]),
        ("l = items.code", [False]), ("t & s & n", ["x5"]), ("t & t", [""]), ("s & b", ["xtrue"]),
        ("iif(b, 'yes', 'no')", ["yes"]), ("iif(c, 'yes', 'no')", ["no"]), ("iif(c, 'yes')", []),
        ("iif(b, l, s)", ["p", "q"]), ("iif(c, l, s)", ["x"]), ("d = @2026-02-01", [True]), ("d = @2026-02", []),
        ("d = @2026-03", [False]), ("%v", ["given"]), ("%w", ["one", "two"]), ("%w.first() & %v", ["onegiven"]),
        ("%systems.mrn", ["http://mrn.example"]), ("%systems.`us-npi`", ["http://npi.example"]),
        ("%canonical & '/x'", ["http://our.example/x"]), ("%sct", ["http://snomed.info/sct"]), ("%context.s", ["x"]),
        ("%resource.s", ["x"]), ("`div`", ["z"]), ("not(b)", None), ("b.not()", [False]), ("c.not()", []),
        ("(b or c) and c", []), ("b and c", []), ("b or c", [True]), ("true and false", [False]), ("1.50 & ''", ["1.50"]),
        ("items.where(code = %v).exists()", [False]), ("exists()", [True]),
    ],
)  # fmt: skip
def test_an_expression_gives_what_fhirpath_says(text: str, expected: list[Any] | None) -> None:
    if expected is None:
        with pytest.raises(ExpressionProblem):
            value(text)
    else:
        assert value(text) == expected


# --- generated expressions against a second, naive interpreter: every value is a list ---------------------------

Made = tuple[str, Callable[[Mapping[str, Any]], list[Any]]]


def field(name: str) -> Made:
    return name, lambda record: record[name] if isinstance(record[name], list) else [record[name]] if record[name] is not None else []  # fmt: skip


def both(left: Made, right: Made) -> Made:
    return f"({left[0]} and {right[0]})", lambda r: _logic(left[1](r), right[1](r), all)


def either(left: Made, right: Made) -> Made:
    return f"({left[0]} or {right[0]})", lambda r: _logic(left[1](r), right[1](r), any)


def _logic(left: list[bool], right: list[bool], decide: Callable[[list[bool]], bool]) -> list[bool]:
    worlds = {decide([a, b]) for a in left or [True, False] for b in right or [True, False]}
    return list(worlds) if len(worlds) == 1 else []


def negated(one: Made) -> Made:
    return f"{one[0]}.not()", lambda r: [not v for v in one[1](r)]


def equals(left: Made, right: Made) -> Made:
    def compare(record: Mapping[str, Any]) -> list[bool]:
        a, b = left[1](record), right[1](record)
        return [a == b] if a and b else []

    return f"({left[0]} = {right[0]})", compare


def chosen(condition: Made, yes: Made, no: Made) -> Made:
    return f"iif({condition[0]}, {yes[0]}, {no[0]})", lambda r: (yes if condition[1](r) == [True] else no)[1](r)


def joined(left: Made, right: Made) -> Made:
    return f"({left[0]} & {right[0]})", lambda r: ["".join([*left[1](r), *right[1](r)])]


def there(one: Made) -> Made:
    return f"{one[0]}.exists()", lambda r: [bool(one[1](r))]


def some(one: Made, word: str) -> Made:
    return f"{one[0]}.where($this = '{word}')", lambda r: [v for v in one[1](r) if v == word]


WORDS = ["x", "y", "p"]
TEXTS = st.one_of(
    st.sampled_from([field("s"), field("t")]), st.sampled_from(WORDS).map(lambda w: (f"'{w}'", lambda r: [w]))
)
TEXT = st.recursive(TEXTS, lambda inner: st.builds(joined, inner, inner), max_leaves=4)
LISTS = st.one_of(st.just(field("l")), st.builds(some, st.just(field("l")), st.sampled_from(WORDS)), TEXT)
FLAGS = st.one_of(
    st.sampled_from([field("b"), field("c"), ("true", lambda r: [True]), ("{}", lambda r: [])]),
    st.builds(equals, LISTS, LISTS),
    st.builds(there, LISTS),
)
FLAG = st.recursive(
    FLAGS,
    lambda inner: st.one_of(
        st.builds(both, inner, inner), st.builds(either, inner, inner), st.builds(negated, inner),
        st.builds(chosen, inner, inner, inner),
    ),
    max_leaves=12,
)  # fmt: skip
ANY = st.one_of(FLAG, LISTS, st.builds(chosen, FLAG, LISTS, LISTS))
RECORDS = st.fixed_dictionaries(
    {
        "s": st.sampled_from(WORDS),
        "t": st.sampled_from([*WORDS, None]),
        "b": st.sampled_from([True, False, None]),
        "c": st.sampled_from([True, False, None]),
        "l": st.lists(st.sampled_from(WORDS), max_size=3),
    }
)


@seed(7)
@settings(CALM, max_examples=400)
@given(ANY, RECORDS)
def test_generated_expressions_agree_with_a_naive_interpreter(made: Made, record: dict[str, Any]) -> None:
    text, oracle = made
    assert value(text, {**RECORD, **record}) == oracle({**RECORD, **record}), text


# --- what is refused, and where ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rule", "offset"),
    [
        ("a", "PM111", 0), ("s & items.cod", "PM111", 10), ("s.x", "PM111", 2), ("%x", "PM110", 0),
        ("%systems", "PM110", 0), ("%systems.mrm", "PM110", 9), ("l & s", "PM121", 2), ("l and b", "PM121", 2),
        ("s and b", "PM120", 2), ("s.not()", "PM120", 2), ("iif(s, 1)", "PM126", 4), ("items.where(code)", "PM126", 12),
        ("items.exists(code)", "PM126", 13), ("s = 5", "PM120", 2), ("d = '2026-02-01'", "PM120", 2),
        ("items & s", "PM121", 6), ("items.first() & s", "PM120", 14), ("s.first(1)", "PM122", 2), ("iif(b)", "PM122", 0),
        ("s.translate('m')", "PM130", 12), ("s.translate(t)", "PM130", 12),
        ("s = @T10", "PM120", 2), ("$index", "PM110", 0), ("$total", "PM110", 0), ("l[%w]", "PM121", 1),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_at_its_place(text: str, rule: str, offset: int) -> None:
    with pytest.raises(ExpressionProblem) as refused:
        Expressions(LOCAL).function(text)
    assert (refused.value.rule, refused.value.offset) == (rule, offset)


@pytest.mark.parametrize("function", sorted(NOT_SUPPORTED))
def test_a_function_that_is_not_supported_is_refused_with_its_reason(function: str) -> None:
    with pytest.raises(ExpressionProblem) as refused:
        Expressions(LOCAL).function(f"l.first().{function}()")
    assert (refused.value.rule, refused.value.offset) == ("PM122", 10)
    assert "not supported" in refused.value.what


def test_a_misspelled_name_is_told_the_nearest_one() -> None:
    for text, hint in (("item.code", "items"), ("s.exist()", "exists"), ("%sytems.mrn", "systems"), ("%u", "")):
        with pytest.raises(ExpressionProblem) as refused:
            Expressions(LOCAL).function(text)
        assert hint in refused.value.hint


def test_published_expressions_follow_the_standards_own_singleton_rules() -> None:
    loose = replace(LOCAL, strict=False)
    assert value("s and b", scope=loose) == [True]
    assert value("l.where($this = 'p') and b", scope=loose) == [True]
    assert value("s = 5", scope=loose) == [False]
    with pytest.raises(EvaluationProblem) as failed:
        value("l and b", scope=loose)
    assert failed.value.rule == "PM712"


# --- FHIR input ----------------------------------------------------------------------------------------------------


def chart(kind: str) -> Scope:
    return Scope(
        Static((kind,), "one", sure=False), r4(), systems={"mr": "http://terminology.hl7.org/CodeSystem/v2-0203"}
    )


@pytest.mark.parametrize(
    ("example", "text", "expected"),
    [
        ("Patient", "name.given", ["Marisol"]),
        ("Patient", "Patient.name.family.first()", ["Vega"]),
        ("Patient", "identifier.where(type.coding.exists(system = %systems.mr and code = 'MR')).value", ["MRN-1001"]),
        ("Patient", "telecom.where(system = 'phone').first().value", ["+1-555-0142"]),
        ("Patient", "deceased.exists()", [False]),
        ("Patient", "active", [True]),
        ("Observation-phq9-total", "value.value & ' ' & value.unit", ["12 {score}"]),
        ("Observation-phq9-total", "effective.exists() and value.exists()", [True]),
        ("Task-requested", "status = 'requested'", [True]),
        ("Task-requested", "focus.reference & for.reference", None),
        ("ServiceRequest-active", "occurrence.start", ["2026-11-21"]),
        ("Consent-part2-TPO", "provision.provision.where(type = 'deny').securityLabel.code", ["PSYTHPN"]),
        ("Consent-part2-TPO", "source.reference", ["DocumentReference/consent-pdf"]),
    ],
)
def test_fhir_is_read_by_its_model(example: str, text: str, expected: list[Any] | None) -> None:
    resource = reader.read((EXAMPLES / f"{example}.json").read_bytes())
    found = Expressions(chart(resource["resourceType"])).function(text)(resource, {})
    assert found == expected if expected is not None else len(found) == 1


@pytest.mark.parametrize(
    ("kind", "text", "hint"),
    [
        ("Observation", "valueQuantity.value", "value"), ("Patient", "nme", "name"), ("Patient", "Task.status", ""),
        ("Task", "code.translate('x')", ""), ("Patient", "name.given.x", ""), ("Patient", "contact.name.famly", "family"),
    ],
)  # fmt: skip
def test_an_element_that_does_not_exist_is_refused(kind: str, text: str, hint: str) -> None:
    with pytest.raises(ExpressionProblem) as refused:
        Expressions(chart(kind)).function(text)
    assert hint in refused.value.hint


# --- engine --------------------------------------------------------------------------------------------------------


def test_an_expression_is_compiled_once_and_used_by_many_threads() -> None:
    expressions = Expressions(LOCAL)
    function = expressions.function("items.where(code = %context.s).code.first() & s")
    assert expressions.function("items.where(code = %context.s).code.first() & s") is function
    found: dict[int, list[Any]] = {}

    def use(number: int) -> None:
        record = {**RECORD, "s": str(number), "items": [{"code": str(number), "on": None}]}
        for _ in range(200):
            found[number] = function(record, VALUES)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == {number: [f"{number}{number}"] for number in range(4)}


def test_text_of_an_expression_is_never_run_as_python() -> None:
    text = "'\\'); raise SystemExit(1) #' & s"
    assert value(text) == ["'); raise SystemExit(1) #x"]
