from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import Engine, select

from peerfhir.errors import DatabaseBusy
from peerfhir.pathway.people import Identifier, Peer, Person
from peerfhir.pathway.refusals import AlreadyRecorded
from peerfhir.records import people
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import person_identifier
from peerfhir.records.work import Office
from tests.records import made
from tests.support.clock import HeldClock

MRN = "http://hospital.example/mrn"
SSN = "http://state.example/id"


def test_a_person_is_found_by_any_one_identifier(office: Office, maker: made.Maker) -> None:
    with office.work(made.actor()) as work:
        who = work.save_person(made.person(maker, identifiers=(Identifier(MRN, "1"), Identifier(SSN, "2"))))
        work.save_person(made.person(maker, identifiers=()))
        assert work.person_by_identifier((Identifier(MRN, "9"), Identifier(SSN, "2"))) == who
        assert work.person_by_identifier((Identifier(SSN, "1"),)) is None  # the same value of another system
        assert work.person_by_identifier(()) is None
    with office.work(made.actor("south")) as work:
        assert work.person_by_identifier((Identifier(MRN, "1"),)) is None


def test_identifiers_of_two_persons_are_a_question_for_a_human(office: Office, maker: made.Maker) -> None:
    with office.work(made.actor()) as work:
        work.save_person(made.person(maker, identifiers=(Identifier(MRN, "1"),)))
        work.save_person(made.person(maker, identifiers=(Identifier(MRN, "2"),)))
        with pytest.raises(AlreadyRecorded) as caught:
            work.person_by_identifier((Identifier(MRN, "1"), Identifier(MRN, "2")))
    assert caught.value.field == "identifiers"


def test_identifiers_follow_the_person(office: Office, engine: Engine, maker: made.Maker) -> None:
    with office.work(made.actor()) as work:
        who = work.save_person(made.person(maker, identifiers=(Identifier(MRN, "1"), Identifier(SSN, "2"))))
        who = work.save_person(replace(who, identifiers=(Identifier(SSN, "2"), Identifier(MRN, "3"))))
        assert work.person_by_identifier((Identifier(MRN, "1"),)) is None
        assert work.person_by_identifier((Identifier(MRN, "3"),)) == who
        work.save_person(replace(who, identifiers=()))
    with reading(engine) as connection:
        assert connection.execute(select(person_identifier)).all() == []


def test_an_identifier_is_not_taken_from_another_person(office: Office, maker: made.Maker) -> None:
    with office.work(made.actor()) as work:
        work.save_person(made.person(maker, identifiers=(Identifier(MRN, "1"),)))
        other = work.save_person(made.person(maker, identifiers=(Identifier(MRN, "2"),)))
    with pytest.raises(AlreadyRecorded), office.work(made.actor()) as work:
        work.save_person(replace(other, identifiers=(Identifier(MRN, "2"), Identifier(MRN, "1"))))
    with office.work(made.actor("south")) as work:  # another program has its own
        work.save_person(made.person(maker, "south", identifiers=(Identifier(MRN, "1"),)))


def test_two_orders_for_one_new_person_make_one_person(office: Office, engine: Engine) -> None:
    """Eight orders meet; whoever comes second is told "later" and finds the person then."""
    ready = threading.Barrier(8)
    seen: list[str] = []

    def order(seed: int) -> None:
        maker = made.Maker(seed)
        ready.wait(10)
        for _ in range(20):
            try:
                with office.work(made.actor()) as work:
                    who = work.person_by_identifier((Identifier(MRN, "new"),))
                    if who is None:
                        who = work.save_person(made.person(maker, identifiers=(Identifier(MRN, "new"),)))
                seen.append(who.id)
                return
            except DatabaseBusy:
                continue

    threads = [threading.Thread(target=order, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(seen) == 8
    assert len(set(seen)) == 1
    with reading(engine) as connection:
        assert len(people.list_of(connection, "north")) == 1


def test_a_new_person_who_meets_another_with_the_same_identifier_is_busy(
    engine: Engine, maker: made.Maker, clock: HeldClock
) -> None:
    with writing(engine) as connection:
        people.save(connection, made.person(maker, identifiers=(Identifier(MRN, "1"),)), clock.now())
    with pytest.raises(DatabaseBusy), writing(engine) as connection:
        people.save(connection, made.person(maker, identifiers=(Identifier(MRN, "1"),)), clock.now())


def test_peers_are_listed_and_found_by_their_login(office: Office, engine: Engine, maker: made.Maker) -> None:
    with office.work(made.actor()) as work:
        peer = work.save_peer(maker.record(Peer, user_id="u1"))
        work.save_peer(maker.record(Peer, user_id=None))
    with reading(engine) as connection:
        assert people.peer_of_user(connection, "north", "u1") == peer
        assert people.peer_of_user(connection, "north", "u2") is None
        assert people.peer_of_user(connection, "south", "u1") is None
        assert len(people.peers(connection, "north")) == 2


def test_a_peers_people_are_those_of_their_referrals(office: Office, engine: Engine, maker: made.Maker) -> None:
    with office.work(made.actor()) as work:
        mine, theirs, nobodys = (work.save_person(made.person(maker)) for _ in range(3))
        for who, peer in ((mine, "p1"), (mine, "p1"), (theirs, "p2"), (nobodys, None)):
            work.save_referral(made.referral(maker, who.id, peer_id=peer))
    with reading(engine) as connection:
        assert people.of_peer(connection, "north", "p1") == [mine]
        assert {one.id for one in people.list_of(connection, "north")} == {mine.id, theirs.id, nobodys.id}
        kept: Person = people.at(connection, "north", mine.id, 1)
    assert kept == mine
