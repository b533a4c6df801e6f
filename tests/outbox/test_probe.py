from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from peerfhir.fhir.capability import Offer
from peerfhir.outbox import probe
from peerfhir.outbox.ehr import Ehr
from peerfhir.outbox.probe import Once, Probe, once
from peerfhir.outbox.retry import Failure
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import endpoint_state
from tests.support.ehr import CONDITIONAL, NEITHER, SEARCH_ONLY, FakeEhr
from tests.support.owing import endpoint_at


@pytest.mark.parametrize(
    ("personality", "how"),
    [(CONDITIONAL, Once.CONDITIONAL), (SEARCH_ONLY, Once.SEARCH), (NEITHER, Once.NEITHER)],
)
def test_each_personality_is_read_from_its_statement(engine, clock, personality, how):
    with FakeEhr(personality=personality) as hospital:
        endpoint = endpoint_at(hospital.url)
        ehr = Ehr(endpoint, clock)
        offer = Probe(engine, clock, "h1", ehr).offer()
        ehr.close()
    assert isinstance(offer, Offer)
    assert offer.read_at == clock.now()
    assert "Observation" in offer.creates
    assert once(offer, endpoint, "Observation") is how


def test_the_endpoints_own_settings_speak_before_its_statement():
    endpoint = endpoint_at("http://h")
    says_yes = Offer(
        conditional_creates=frozenset({"Task", "Observation"}), searches={"Task": frozenset({"identifier"})}
    )
    says_no = replace(says_yes, conditional_creates=frozenset())
    assert once(says_yes, replace(endpoint, conditional_create=False), "Task") is Once.SEARCH
    assert once(says_yes, replace(endpoint, conditional_create=False), "Observation") is Once.NEITHER
    assert once(says_no, replace(endpoint, conditional_create=True), "Observation") is Once.CONDITIONAL


def test_each_type_has_an_answer_of_its_own():
    """One type that honours If-None-Exist says nothing about the others: theirs would be ignored, and doubled."""
    offer = Offer(conditional_creates=frozenset({"Observation"}), searches={"Encounter": frozenset({"identifier"})})
    found = {kind: once(offer, endpoint_at("http://h"), kind) for kind in ("Observation", "Encounter", "Procedure")}
    assert found == {"Observation": Once.CONDITIONAL, "Encounter": Once.SEARCH, "Procedure": Once.NEITHER}


def test_an_old_statement_serves_until_it_can_be_read_again(engine, clock):
    with FakeEhr() as hospital:
        ehr = Ehr(endpoint_at(hospital.url), clock)
        assert isinstance(Probe(engine, clock, "h1", ehr).offer(), Offer)
        read_at = clock.now()
        hospital.down = True
        hospital.script = lambda said: (503, {}, b"")
        clock.move(days=3)
        kept = Probe(engine, clock, "h1", ehr).offer()
        assert kept.read_at == read_at
        hospital.script, hospital.down = None, False
        assert Probe(engine, clock, "h1", ehr).offer().read_at == clock.now()
        ehr.close()


@pytest.mark.parametrize("answer", [(404, {}, b""), (200, {}, b"<html>"), (200, {}, b'{"resourceType":"Patient"}')])
def test_without_a_statement_there_is_the_answer_instead(engine, clock, answer):
    with FakeEhr() as hospital:
        hospital.script = lambda said: answer
        ehr = Ehr(endpoint_at(hospital.url), clock)
        found = Probe(engine, clock, "h1", ehr).offer()
        ehr.close()
    assert not isinstance(found, Offer)
    assert found.status == answer[0]
    ehr = Ehr(endpoint_at("http://127.0.0.1:9/fhir"), clock)
    assert Probe(engine, clock, "h1", ehr).offer().failure is Failure.CONNECT


def test_a_changed_statement_is_told_and_a_forgotten_one_is_read_again(engine, clock, caplog):
    with FakeEhr() as hospital:
        ehr = Ehr(endpoint_at(hospital.url), clock)
        Probe(engine, clock, "h1", ehr).offer()
        hospital.personality = NEITHER
        with writing(engine) as connection:
            probe.forget(connection, "h1")
        offer = Probe(engine, clock, "h1", ehr).offer()
        ehr.close()
    assert not offer.conditional_creates
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "endpoint h1: its CapabilityStatement has changed"
    ]
    with reading(engine) as connection:
        assert connection.execute(select(endpoint_state.c.capability_at)).scalars().all() == [clock.now()]


def test_metadata_that_wants_a_token_gets_one(engine, clock):
    from peerfhir.config import EndpointAuth

    with FakeEhr(tokens=True) as hospital:
        shut = (401, {}, b"")
        hospital.script = lambda said: shut if "metadata" in said.path and "authorization" not in said.headers else None
        endpoint = endpoint_at(hospital.url, auth=EndpointAuth("client-secret", hospital.token_url, "us", "secret"))
        ehr = Ehr(endpoint, clock)
        assert isinstance(Probe(engine, clock, "h1", ehr).offer(), Offer)
        ehr.close()
