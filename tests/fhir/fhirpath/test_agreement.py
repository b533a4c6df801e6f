"""What static types make fast gives what the general way gives: generated expressions, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given, seed, settings
from hypothesis import strategies as st

from peerfhir.fhir.definitions import r4
from peerfhir.fhir.fhirpath.compile import Expressions
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.fhir.fhirpath.types import Scope, Static
from tests.fhir.fhirpath.test_compile import Names
from tests.support.generated import CALM

KINDS = {
    "s": "string", "t": "string", "i": "integer", "j": "integer", "d": "decimal", "b": "boolean", "c": "boolean",
    "on": "date", "at": "dateTime",
}  # fmt: skip
ALWAYS = frozenset(("s", "i", "b"))
FAST = Names({name: Static((kind,), "one" if name in ALWAYS else "opt") for name, kind in KINDS.items()})
GENERAL = Names({name: Static((kind,), "many") for name, kind in KINDS.items()})
RECORDS = st.fixed_dictionaries(
    {
        "s": st.sampled_from(["", "a", "Ab", "x y"]), "t": st.sampled_from([None, "a", "zz"]), "i": st.integers(-3, 9),
        "j": st.sampled_from([None, 0, 1, 7]), "d": st.sampled_from([None, Decimal("0.10"), Decimal("2.5"), Decimal(-1)]),
        "b": st.booleans(), "c": st.sampled_from([None, True, False]),
        "on": st.sampled_from([None, "2026", "2026-02", "2026-02-28"]),
        "at": st.sampled_from([None, "2026-02-28T10:00:00Z", "2026-02-28T05:00:00-05:00", "2026-02-28"]),
    }
)  # fmt: skip


def joined(pattern: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda found: pattern.format(*found))


def choice(*parts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(parts)


TEXT = st.recursive(
    choice("s", "t", "'a'", "'Zz'", "''"),
    lambda inner: st.one_of(
        joined("({} & {})", inner, inner), joined("({} + {})", inner, inner), joined("{}.upper()", inner),
        joined("{}.replace('a', 'b')", inner), joined("{}.substring(1)", inner), joined("coalesce({}, {})", inner, inner),
        joined("{}.where($this != 'a')", inner), joined("{}.select($this & '!')", inner), joined("{}.trim()", inner),
    ),
    max_leaves=5,
)  # fmt: skip
NUMBER = st.recursive(
    choice("i", "j", "d", "3", "0", "1.50", "s.length()", "t.count()"),
    lambda inner: st.one_of(
        joined("({} {} {})", inner, choice("+", "-", "*", "/", "div", "mod"), inner), joined("(-{})", inner),
        joined("coalesce({}, {})", inner, inner), joined("{}.abs()", inner), joined("{}.round(1)", inner),
        joined("{}.first()", inner), joined("{}.where($this > 1)", inner),
    ),
    max_leaves=6,
)  # fmt: skip
MOMENT = st.one_of(
    choice("on", "at", "@2026-02-28", "@2026-02-28T10:00:00Z"), joined("({} + {})", choice("on", "at"), choice("1 day", "1 month")),
    joined("coalesce({}, {})", choice("on", "at"), choice("at", "@2026")),
)  # fmt: skip
FLAG = st.recursive(
    st.one_of(
        choice("b", "c", "true", "false", "{}"), joined("({} {} {})", TEXT, choice("=", "!=", "~", "<", ">="), TEXT),
        joined("({} {} {})", NUMBER, choice("=", "!=", "~", "!~", "<", "<=", ">", ">="), NUMBER),
        joined("({} {} {})", MOMENT, choice("=", "!=", "~", "<", ">="), MOMENT), joined("{}.exists()", TEXT),
        joined("{}.empty()", NUMBER), joined("({} in (s | t))", TEXT), joined("{}.all($this = 'a')", TEXT),
    ),
    lambda inner: st.one_of(
        joined("({} {} {})", inner, choice("and", "or", "xor", "implies"), inner), joined("{}.not()", inner),
        joined("iif({}, {}, {})", inner, inner, inner), joined("{}.exists($this)", inner),
    ),
    max_leaves=6,
)  # fmt: skip
ANY = st.one_of(
    TEXT, NUMBER, FLAG, MOMENT, joined("iif({}, {}, {})", FLAG, TEXT, TEXT), joined("iif({}, {}, {})", FLAG, MOMENT, MOMENT),
    joined("({} | {}).count()", TEXT, TEXT), joined("{}.aggregate($total + $this, 0)", NUMBER),
)  # fmt: skip


def given_by(text: str, shape: Names, record: Mapping[str, Any], strict: bool) -> Any:
    scope = Scope(Static(("object",), "one", shape), r4(), strict=strict)
    try:
        return [(type(one), one) for one in Expressions(scope).function(text)(record, {})]
    except EvaluationProblem as problem:
        return problem.rule


@seed(20)
@settings(CALM, max_examples=300)
@given(ANY, RECORDS)
def test_typed_and_general_evaluation_agree(text: str, record: dict[str, Any]) -> None:
    lists = {name: [] if one is None else [one] for name, one in record.items()}
    fast = given_by(text, FAST, record, True)
    general = given_by(text, GENERAL, lists, False)
    assert fast == general, text


@seed(21)
@settings(CALM, max_examples=80)
@given(FLAG, RECORDS)
def test_a_condition_is_true_false_or_unknown_and_nothing_else(text: str, record: dict[str, Any]) -> None:
    scope = Scope(Static(("object",), "one", FAST), r4())
    found = Expressions(scope).function(text)(record, {})
    assert found in ([], [True], [False]), text
    assert Expressions(replace(scope, strict=False)).function(text)(record, {}) == found
