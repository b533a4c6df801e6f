"""Two programs with the same ids in one database: whatever is asked or done for one, the other never shows."""

from __future__ import annotations

import inspect
import itertools
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, func, insert, select, update

import peerfhir.records
from peerfhir.errors import NotFound
from peerfhir.pathway.consent import Grant
from peerfhir.pathway.encounter import Encounter, GroupSession
from peerfhir.pathway.engagement import Engagement
from peerfhir.pathway.outcome import Outcome
from peerfhir.pathway.people import Identifier, Peer, Person
from peerfhir.pathway.ports import Owed
from peerfhir.pathway.referral import Origin, Referral
from peerfhir.pathway.refusals import NotFoundHere
from peerfhir.pathway.safety import SafetyEvent
from peerfhir.pathway.vocabulary import Piece, Status, TaskStatus
from peerfhir.records import messages, owed, schema, trace, versions
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import inbox_message, outbox_message
from peerfhir.records.work import _NOUNS, Office, Work
from tests.records import made
from tests.records.kept import ALL_TABLES, as_basic
from tests.support.clock import HeldClock

OURS, THEIRS = "north", "south"
IDENTIFIER = Identifier("http://hospital.example/mrn", "same")
# Of one database, whatever programs are in it: the engine, the migrations, the mappings, and the one audit chain.
OF_THE_DATABASE = {
    "database", "schema", "upsert", "kept", "audit.append", "audit.verify",
    "projection.outward", "projection.advice", "versions.to_bytes", "versions.from_bytes", "owed.move_head",
}  # fmt: skip


def fill(office: Office, program: str, clock: HeldClock) -> None:
    """The same ids and numbers in each program; only the words tell them apart.

    Beside them a stranger and a loose note, which in their program only belong to the peer and to the referral,
    and an identifier that a different one of the two persons has.
    """
    maker = made.Maker(1)
    words = f"words of {program}"
    origin = Origin("clinic", "clinic", "task", "request", "patient", IDENTIFIER)
    same = {"person_id": "person", "peer_id": "peer", "referral_id": "referral"}
    with office.work(made.actor(program), execution_id=words) as work:
        spare = (Identifier("http://state.example/id", "spare"),)
        first, second = ((IDENTIFIER,), ()) if program == OURS else (spare, (IDENTIFIER,))
        work.save_person(maker.record(Person, program, id="person", family=words, identifiers=first))
        work.save_person(maker.record(Person, program, id="stranger", family=words, identifiers=second))
        loose = {"referral_id": None if program == OURS else "referral", "person_id": "stranger", "peer_id": "nobody"}
        work.save_encounter(maker.record(Encounter, program, id="loose", number="E-0", **loose))
        if program == THEIRS:
            work.save_referral(maker.record(Referral, program, id="second", person_id="stranger", peer_id="peer"))
        work.save_peer(maker.record(Peer, program, id="peer", display=words, user_id="user"))
        work.save_referral(
            maker.record(
                Referral, program, id="referral", number="PF-1", origin=origin,
                person_id="person", peer_id="peer", reason=words, status=Status.TRIAGE, task_status=TaskStatus.REQUESTED,
            )
        )  # fmt: skip
        work.save_engagement(
            maker.record(Engagement, program, id="engagement", number="EP-1", closing_reason=words, **same)
        )
        work.save_group(maker.record(GroupSession, program, id="group", peer_id="peer", topic=words))
        note = {"id": "encounter", "number": "E-1", "client_uuid": "uuid", "summary": words, "started_at": clock.now()}
        work.save_encounter(maker.record(Encounter, program, **same, **note))
        result = {
            "id": "outcome",
            "number": "QR-1",
            "recorded_by": words,
            "person_id": "person",
            "referral_id": "referral",
        }
        work.save_outcome(maker.record(Outcome, program, **result))
        event = {"id": "safety", "source": "outcome:outcome", "state": "raised", "disposition": words}
        work.save_safety_event(maker.record(SafetyEvent, program, person_id="person", **event))
        work.save_grant(maker.record(Grant, program, id="grant", person_id="person", recorded_by=words))
        work.owe(Owed(Piece.ENCOUNTER, "encounter", "encounter", "person", "referral"))
        work.owe(Owed(Piece.STATUS, "referral", "referral", "person", "referral"))
        messages.keep_inbox(
            work.connection, clock.now(), program_id=program, source="clinic", message_key="key",
            content_type=words, raw=words.encode(), focus=[], execution_id=words,
        )  # fmt: skip
        received = {"record_type": "referral", "record_id": "referral", "settled_at": clock.now()}
        mine = inbox_message.c.program_id == program
        work.connection.execute(update(inbox_message).where(mine).values(**received))
        for owed_id in work.connection.execute(
            select(outbox_message.c.id).where(outbox_message.c.program_id == program)
        ):
            tried = {"outbox_id": owed_id.id, "n": 1, "worker": "w", "epoch": 1, "started_at": clock.now()}
            work.connection.execute(insert(schema.attempt).values(program_id=program, **tried))


@pytest.fixture
def two(open_office: Callable[..., Office], clock: HeldClock) -> Office:
    office = open_office(as_basic)
    for program in (THEIRS, OURS):
        fill(office, program, clock)
    return office


def contents(connection: Connection, program: str) -> dict[str, list[str]]:
    """Every row of a program, in every table that knows programs."""
    return {
        table.name: sorted(map(repr, connection.execute(select(table).where(table.c.program_id == program))))
        for table in ALL_TABLES
        if "program_id" in table.c
    }


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(peerfhir.records.__path__):
        if not found.ispkg:
            yield __import__(f"peerfhir.records.{found.name}", fromlist=["x"])


def public_functions() -> dict[str, Callable[..., Any]]:
    """Every public function of the room that takes a connection, by "module.name"."""
    found = {}
    for module in modules():
        room = module.__name__.rpartition(".")[2]
        for name, one in inspect.getmembers(module, inspect.isfunction):
            full = f"{room}.{name}"
            if one.__module__ == module.__name__ and not name.startswith("_") and not {room, full} & OF_THE_DATABASE:
                found[full] = one
    return found


def arguments(function: Callable[..., Any], connection: Connection, clock: HeldClock, *, every: bool) -> dict[str, Any]:
    """What each parameter means; `every`: those with a default too.

    The ids of rows that are numbered through all programs are theirs, to try them.
    """
    theirs = select(func.min(outbox_message.c.id)).where(outbox_message.c.program_id == THEIRS)
    known: dict[str, Any] = {
        "connection": connection, "program_id": OURS, "now": clock.now(), "person_id": "person", "peer_id": "peer",
        "referral_id": "referral", "engagement_id": "engagement", "encounter_id": "encounter", "group_id": "group",
        "outcome_id": "outcome", "event_id": "safety", "grant_id": "grant", "record_id": "referral", "task_id": "task",
        "number": "PF-1", "user_id": "user", "client_uuid": "uuid", "source": "outcome:outcome", "prefix": "PF",
        "identifiers": (IDENTIFIER,), "noun": _NOUNS["referral"], "wanted": "referral", "reason": "stopped",
        "content": True, "open_only": False, "message_key": "key", "content_type": "x", "raw": b"x", "focus": [],
        "execution_id": "x", "is_terminal": lambda version: False, "newer_id": 10**6, "kind": "referral",
        "fault": NotFound(), "version": 1, "state": "ready", "endpoint": "clinic", "limit": 50, "keep": frozenset(),
        "since": datetime(1970, 1, 1, tzinfo=UTC), "order": (),
        "message_id": connection.execute(theirs).scalar_one() or 10**6,
    }  # fmt: skip
    if function is messages.show_inbox:
        inbox = select(inbox_message.c.id).where(inbox_message.c.program_id == THEIRS)
        known["message_id"] = connection.execute(inbox).scalar_one_or_none() or "unknown"
    if function is messages.keep_inbox:
        known["source"] = "clinic"
    row = owed.OwedRow(
        OURS, "clinic", "person", "new", Piece.STATUS, None, "existence", "person", "referral", "referral",
        "referral", 1, clock.now(),
    )  # fmt: skip
    known |= {"row": row, "newer": row}
    wanted = inspect.signature(function).parameters
    if "record" in wanted:
        noun = next((one for one in _NOUNS.values() if one.type.__name__ == str(wanted["record"].annotation)), None)
        noun = noun or _NOUNS["referral"]
        known["record"] = versions.at(connection, noun, OURS, noun.kind)
    return {
        name: known[name]
        for name, one in wanted.items()
        if (one.default is one.empty or every) and one.kind is not one.VAR_POSITIONAL
    }


def answers(engine: Engine, clock: HeldClock) -> dict[tuple[str, bool], Any]:
    """What every function says about our program; what it changes is taken back, and must not be theirs."""
    said: dict[tuple[str, bool], Any] = {}
    with reading(engine) as connection:
        before = contents(connection, THEIRS)
    for (name, function), every in itertools.product(public_functions().items(), (False, True)):
        assert {"program_id", "record", "row", "newer"} & set(inspect.signature(function).parameters), name
        with engine.connect() as connection, connection.begin() as transaction:
            try:
                answer = function(**arguments(function, connection, clock, every=every))
            except (NotFound, NotFoundHere) as nothing:
                answer = type(nothing).__name__
            assert contents(connection, THEIRS) == before, name
            transaction.rollback()
        # a new row has another number when the other program has rows
        said[name, every] = (
            answer is None if function is owed.owe_row else re.sub(r"\b[0-9a-f-]{36}\b", "uuid", repr(answer))
        )
    return said


def test_no_function_of_the_room_crosses_from_one_program_to_the_other(
    open_office: Callable[..., Office], engine: Engine, clock: HeldClock
) -> None:
    """Each says and does for one program what it would if the other did not exist."""
    office = open_office(as_basic)
    fill(office, OURS, clock)
    alone = answers(engine, clock)
    fill(office, THEIRS, clock)
    together = answers(engine, clock)
    assert len(alone) > 80
    for key, answer in together.items():
        assert answer == alone[key], key


def test_no_work_crosses_from_one_program_to_the_other(two: Office, engine: Engine) -> None:
    """Everything a step can ask or do, done for one program under the ids that the other has too."""
    with reading(engine) as connection:
        before = contents(connection, THEIRS)
    answers: list[Any] = []
    known = {
        "person_id": "person", "peer_id": "peer", "referral_id": "referral", "engagement_id": "engagement",
        "encounter_id": "encounter", "outcome_id": "outcome", "task_id": "task", "client_uuid": "uuid",
        "source": "outcome:outcome", "identifiers": (IDENTIFIER,), "instrument_id": "phq-9", "prefix": "PF",
        "reason": "stopped", "type_": "Basic", "id_": "encounter", "action": "read", "subject": "person/person",
        "owed": Owed(Piece.SUMMARY, "encounter", "encounter", "person", "referral"),
    }  # fmt: skip
    saves = {
        "person": "person", "peer": "peer", "referral": "referral", "engagement": "engagement", "encounter": "encounter",
        "session": "group", "outcome": "outcome", "event": "safety", "grant": "grant",
    }  # fmt: skip
    with two.work(made.actor(OURS)) as work:
        for name, method in inspect.getmembers(Work, inspect.isfunction):
            if name.startswith("_") or name in ("finish", "rerun_projection"):
                continue
            wanted = [one for one in inspect.signature(method).parameters.values() if one.default is one.empty]
            given = {
                one.name: known[one.name]
                if one.name in known
                else versions.at(work.connection, _NOUNS[saves[one.name]], OURS, saves[one.name])
                for one in wanted[1:]
            }
            answers.append(method(work, **given))
    assert len(answers) > 30
    assert "words of south" not in repr(answers)
    with reading(engine) as connection:
        assert contents(connection, THEIRS) == before


def test_their_messages_are_no_way_into_a_trace(two: Office, engine: Engine) -> None:
    with reading(engine) as connection:
        owed_ids = connection.execute(
            select(outbox_message.c.id).where(outbox_message.c.program_id == THEIRS)
        ).scalars()
        inbox_ids = connection.execute(select(inbox_message.c.id).where(inbox_message.c.program_id == THEIRS)).scalars()
        for wanted in [*map(str, owed_ids), *inbox_ids]:
            assert trace.trace(connection, OURS, wanted) == []
            assert trace.trace(connection, THEIRS, wanted) != []


def test_their_parked_projection_is_not_run_here(two: Office, engine: Engine) -> None:
    with writing(engine) as connection:
        theirs = select(func.min(outbox_message.c.id)).where(outbox_message.c.program_id == THEIRS)
        message_id = connection.execute(theirs).scalar_one()
        parked = {"endpoint": "", "state": "parked"}
        connection.execute(update(outbox_message).where(outbox_message.c.id == message_id).values(**parked))
    with pytest.raises(NotFoundHere):
        two.rerun_projection(made.actor(OURS), message_id)


def test_their_records_cannot_be_saved_over(two: Office, engine: Engine) -> None:
    with reading(engine) as connection:
        before = contents(connection, THEIRS)
        theirs = versions.at(connection, _NOUNS["person"], THEIRS, "person")
    with pytest.raises(NotFoundHere), two.work(made.actor(OURS)) as work:
        work.save_person(replace(theirs, family="ours"))
    with reading(engine) as connection:
        assert contents(connection, THEIRS) == before


def test_every_table_of_a_program_says_so() -> None:
    """The others hold nothing of a person: how an endpoint is, each key of a token once, mappings, the chain's end."""
    without = {table.name for table in ALL_TABLES if "program_id" not in table.c}
    mappings = {"mapping_version", "mapping_file", "mapping_reload"}
    assert without == {"endpoint_state", "used_jti", "audit_head"} | mappings
    assert all(not table.c.program_id.nullable for table in ALL_TABLES if "program_id" in table.c)
    assert schema.audit.c.program_id.nullable is False
