from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import Engine, select

from peerfhir.errors import DatabaseBusy
from peerfhir.pathway.people import Identifier, Peer, Person
from peerfhir.pathway.refusals import AlreadyRecorded, TooLong
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


@pytest.mark.parametrize("long", [Identifier("x" * 256, "1"), Identifier(MRN, "1" * 256)])
def test_an_identifier_that_is_too_long_is_refused_alike_on_both_databases(
    office: Office, maker: made.Maker, long: Identifier
) -> None:
    with pytest.raises(TooLong) as caught, office.work(made.actor()) as work:
        work.save_person(made.person(maker, identifiers=(long,)))
    assert caught.value.field == "identifiers"


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


def test_everyone_of_a_program_is_listed(office: Office, engine: Engine, maker: made.Maker) -> None:
    with office.work(made.actor()) as work:
        persons = [work.save_person(made.person(maker)) for _ in range(3)]
        peers = [work.save_peer(maker.record(Peer)) for _ in range(2)]
    with reading(engine) as connection:
        assert sorted(people.list_of(connection, "north"), key=lambda one: one.id) == sorted(
            persons, key=lambda o: o.id
        )
        assert {one.id for one in people.peers(connection, "north")} == {one.id for one in peers}
        assert people.list_of(connection, "south") == people.peers(connection, "south") == []
        kept: Person = people.at(connection, "north", persons[0].id, 1)
        assert people.peer_at(connection, "north", peers[0].id) == peers[0]
    assert kept == persons[0]
