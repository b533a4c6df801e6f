"""With the ledger that people really have: what is asked at the moment something leaves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from peerfhir.outbox.consent import ask, ask_for
from peerfhir.outbox.deliver import Outbox
from peerfhir.outbox.ehr import Ehr
from peerfhir.pathway.vocabulary import SHARE_CLASS_OF, Piece, ShareClass
from peerfhir.records import consents, people
from peerfhir.records.database import reading, writing
from peerfhir.records.owed import OwedRow, owe_row
from tests.adapters.making import PROGRAM
from tests.outbox.ward import ENDPOINT, make_ward
from tests.support.ehr import FakeEhr, Faults
from tests.support.owing import drain, states


@pytest.fixture
def ward(engine, clock):
    return make_ward(engine, clock)


def decided(ward, piece, record):
    with reading(ward.engine) as connection:
        return ask(connection, ward.message(piece, record), ENDPOINT, ward.clock.now())


def end(ward, share_class):
    with writing(ward.engine) as connection:
        grant = consents.at(connection, PROGRAM.id, f"g-{share_class}")
        now = ward.clock.now()
        consents.save(connection, replace(grant, ended_at=now, end_reason="withdrawn"), now)


def test_a_piece_may_go_while_its_own_class_is_granted(ward):
    assert not decided(ward, Piece.ENCOUNTER, ward.encounter).permit
    ward.grant(ShareClass.ATTENDANCE)
    decision = decided(ward, Piece.ENCOUNTER, ward.encounter)
    assert (decision.permit, decision.grant_id) == (True, "g-attendance")
    assert not decided(ward, Piece.SUMMARY, ward.encounter).permit
    ward.clock.move(seconds=1)
    end(ward, ShareClass.ATTENDANCE)
    assert decided(ward, Piece.ENCOUNTER, ward.encounter).reason == "withdrawn"


def test_the_orders_own_status_goes_to_whoever_ordered_it_and_nothing_else_after_a_stop(ward):
    ward.grant(ShareClass.ATTENDANCE)
    with writing(ward.engine) as connection:
        now = ward.clock.now()
        ward.person = people.save(connection, replace(ward.person, sharing_stopped_at=now), now)
    assert decided(ward, Piece.STATUS, ward.referral).permit
    assert decided(ward, Piece.ENCOUNTER, ward.encounter).reason == "sharing-stopped"


def test_the_peers_name_is_a_question_of_its_own(ward):
    ward.grant(ShareClass.ATTENDANCE)
    message = ward.message(Piece.STATUS, ward.referral)
    with reading(ward.engine) as connection:
        now = ward.clock.now()
        assert not ask_for(connection, message, ENDPOINT, now, ShareClass.CARE_TEAM_CONTACT).permit
        assert ask_for(connection, message, ENDPOINT, now, ShareClass.ATTENDANCE).permit


def owed(ward, piece, record):
    with writing(ward.engine) as connection:
        row = OwedRow(
            PROGRAM.id, "open", ward.person.id, f"{record.number}:{piece}", piece, None, SHARE_CLASS_OF[piece],
            ward.person.id, ward.referral.id, "encounter", record.id, record.version,
            ward.clock.now() + timedelta(hours=72),
        )  # fmt: skip
        owe_row(connection, row, ward.clock.now())


def outbox_of(ward, hospital):
    endpoint = replace(ENDPOINT, base_url=hospital.url)
    return Outbox(ward.engine, ward.clock, {"open": endpoint}, lambda one: Ehr(one, ward.clock), ward.render)


@pytest.mark.parametrize("kept_back", [ShareClass.ATTENDANCE, ShareClass.CARE_TEAM_CONTACT])
def test_a_consent_that_ends_between_two_attempts_holds_for_the_second(ward, kept_back):
    """Without the class nothing more is sent; without the name's class the same meeting goes out without the name."""
    ward.grant(ShareClass.ATTENDANCE, ShareClass.CARE_TEAM_CONTACT)
    with FakeEhr(faults=Faults(before=1.0)) as hospital:
        owed(ward, Piece.ENCOUNTER, ward.encounter)
        outbox = outbox_of(ward, hospital)
        drain(outbox)
        assert [ward.peer.display in said.body.decode() for said in hospital.writes()] == [True]
        hospital.faults = Faults()
        ward.clock.move(hours=1)
        end(ward, kept_back)
        drain(outbox)
        outbox.close()
        later = hospital.writes()[1:]
        if kept_back is ShareClass.ATTENDANCE:
            assert later == []
            assert set(states(ward.engine).values()) == {"cancelled"}
        else:
            assert [ward.peer.display in said.body.decode() for said in later] == [False]
            assert hospital.arrived() == {ward.encounter.number: 1}
