from __future__ import annotations

import pytest

from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping.shelf import Opened, look
from peerfhir.mapping.traced import Tracer
from tests.mapping import samples
from tests.support.mapping_folder import CANONICAL


def opened(name: str) -> Opened:
    found = look(samples.DOCUMENTS, CANONICAL).find(name)
    assert found is not None
    return found


def test_both_builds_agree_on_records_with_gaps_and_many_items() -> None:
    referral, session = opened("referral-csv"), opened("group-session")
    cases = [
        (referral, samples.referral()),
        (referral, samples.referral(middle_name="B.", email="a@b.example", notes="x", reason_code="F32.0", sex="")),
        (session, samples.session(0)),
        (session, samples.session(6, site="Library")),
    ]
    for mapping, record in cases:
        plain, traced = mapping.program.run(record), Tracer(mapping.checked).run(mapping.typed(record))
        assert [one.outcome.value for one in traced.made] == [entry.resource for entry in plain.entries]
        assert [one.request for one in traced.made] == [dict(entry.request) for entry in plain.entries]


def test_a_trace_knows_the_turn_of_each_item_and_the_codes_that_were_looked_up() -> None:
    session = opened("group-session")
    trace = Tracer(session.checked).run(session.typed(samples.session(2)))
    assert [one.at for one in trace.made] == [0, 1]
    assert trace.used["attendance"] == {"present"}
    turns = [outcome.turns for _, outcome in trace.made[1].outcome.walk() if outcome.kind == "expression"]
    assert set(turns) == {(1,)}


def test_a_rule_that_fails_stops_the_trace() -> None:
    session = opened("group-session")
    typed = session.typed(samples.session(1))
    typed["attendees"][0]["status"] = "unheard of"
    with pytest.raises(EvaluationProblem):
        Tracer(session.checked).run(typed)


def test_a_trace_is_read_without_the_mapping_being_changed() -> None:
    session = opened("group-session")
    first = session.program.run(samples.session(3)).bundle()
    Tracer(session.checked).run(session.typed(samples.session(3)))
    assert session.program.run(samples.session(3)).bundle() == first
