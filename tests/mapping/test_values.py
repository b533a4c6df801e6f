from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from peerfhir.config import Mark
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping import values
from peerfhir.mapping.fields import Field


def test_a_text_with_an_empty_part_is_empty() -> None:
    assert values.text(["a ", 5, " ", Decimal("1.0"), True]) == "a 5 1.0true"
    assert values.text(["a", None]) is None
    assert values.text(["a", ""]) is None


def test_values_in_a_narrative_are_escaped() -> None:
    assert values.escaped("<b> & 'q'") == "&lt;b&gt; &amp; &#x27;q&#x27;"
    assert values.escaped(None) is None


def test_copies_share_nothing() -> None:
    inner = {"a": [{"b": 1}]}
    copy = values.copied(inner)
    copy["a"][0]["b"] = 2
    assert inner == {"a": [{"b": 1}]}
    assert values.wrapped({"code": "x"}) == {"coding": [{"code": "x"}]}
    assert values.wrapped(None) is None
    assert values.filled(["", "a"]) == ["a"]
    assert values.some([]) is None


def test_checks_let_through_what_fits_and_nothing_else() -> None:
    check = values.form_checker("code", frozenset(("a", "b")))
    assert [check(None), check("a")] == [None, "a"]
    for value, code in (("c", "PM721"), (" a", "PM720"), (5, "PM720"), (["a"], "PM720")):
        with pytest.raises(EvaluationProblem) as failed:
            check(value)
        assert failed.value.rule == code


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ({"kind": "string"}, "x", 5), ({"kind": "date"}, "2026-01-31", "2026-01-32"), ({"kind": "code", "codes": frozenset("a")}, "a", "b"),
        ({"kind": "integer", "minimum": Decimal(1)}, 1, 0), ({"kind": "string", "max_length": 1}, "a", 5), ({"kind": "boolean"}, True, "true"),
    ],
)  # fmt: skip
def test_a_record_field_takes_only_what_it_declares(field: dict[str, Any], good: Any, bad: Any) -> None:
    check = values.field_checker(Field("f", "f", mark=Mark("x", 1, 1), **field))
    assert check(good) == good
    with pytest.raises(EvaluationProblem) as failed:
        check(bad)
    assert failed.value.rule == "PM703"
