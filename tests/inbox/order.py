"""Orders as the door stores them, and what works on them: for tests of the inbox."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from sqlalchemy import Connection, Engine, select

from peerfhir.adapters.projection import project
from peerfhir.clock import Clock
from peerfhir.fhir.labels import Labels
from peerfhir.fhir.store import Store
from peerfhir.inbox import receive
from peerfhir.inbox.process import Inbox
from peerfhir.mapping.registry import Mappings
from peerfhir.pathway.people import Program
from peerfhir.pathway.vocabulary import Recipient
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import inbox_message
from peerfhir.records.work import Office
from tests.support.shipped import mappings as mappings_that_ship

PROGRAM = "riverside"
PLACER = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PLAC"}]}
PROGRAMS = {name: Program(name, name.title()) for name in (PROGRAM, "lakeside")}


@cache
def shipped() -> Mappings:
    return mappings_that_ship()


def office_of(engine: Engine, clock: Clock) -> Office:
    return Office(
        engine,
        clock,
        programs=PROGRAMS,
        instruments={},
        recipients={"general": Recipient.HOSPITAL},
        project=partial(project, shipped(), {}),
    )


def inbox_of(engine: Engine, clock: Clock, owner: str = "w1", **more: Any) -> Inbox:
    return Inbox(engine, clock, office_of(engine, clock), shipped(), owner, **more)


def order(n: int) -> dict[str, dict[str, Any]]:
    """The resources of one order, with ids of our own store."""
    return {
        "Patient": {
            "resourceType": "Patient",
            "identifier": [{"system": "https://general.example.org/mrn", "value": f"MRN-{n}"}],
            "name": [{"use": "official", "family": f"Family{n}", "given": ["Given"]}],
            "gender": "female",
            "birthDate": "1988-04-12",
        },
        "ServiceRequest": {
            "resourceType": "ServiceRequest",
            "identifier": [{"type": PLACER, "system": "https://general.example.org/orders", "value": f"ORD-{n}"}],
            "status": "active",
            "intent": "order",
            "priority": "urgent",
            "code": {
                "coding": [{"system": "http://snomed.info/sct", "code": "461481000124109"}],
                "text": "Referral to peer support",
            },
            "subject": {"reference": f"Patient/p{n}"},
            "authoredOn": "2026-11-21T14:05:00-05:00",
            "reasonCode": [{"text": "Lonely since moving here."}],
        },
        "Task": {
            "resourceType": "Task",
            "identifier": [{"system": "https://general.example.org/tasks", "value": f"T-{n}"}],
            "status": "requested",
            "intent": "order",
            "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
            "focus": {"reference": f"ServiceRequest/sr{n}"},
            "for": {"reference": f"Patient/p{n}"},
            "authoredOn": "2026-11-21T14:05:02-05:00",
            "requester": {"reference": "https://general.example.org/fhir/PractitionerRole/clin1"},
        },
    }


IDS = {"Patient": "p", "ServiceRequest": "sr", "Task": "t"}


def place(
    engine: Engine, clock: Clock, n: int, *, source: str = "general", program: str = PROGRAM, leave_out: str = "",
    **task: Any,
) -> str:  # fmt: skip
    """Store an order and keep its message, as the door does in one commit; the message's id."""
    with writing(engine) as connection:
        store = Store(connection, program, clock)
        for kind, resource in order(n).items():
            if kind != leave_out:
                changes = task if kind == "Task" else {}
                store.create({**resource, **changes}, Labels(source=source), id=f"{IDS[kind]}{n}")
        return keep(connection, clock, n, 1, source=source, program=program)


def change(engine: Engine, clock: Clock, n: int, *, source: str = "general", **task: Any) -> str:
    """The hospital writes its Task again; the message's id."""
    with writing(engine) as connection:
        store = Store(connection, PROGRAM, clock)
        stored = store.read("Task", f"t{n}")
        version = store.update({**order(n)["Task"], "id": f"t{n}", **task}, None, stored.version).version
        return keep(connection, clock, n, version, source=source)


def keep(
    connection: Connection, clock: Clock, n: int, version: int, *, source: str = "general", program: str = PROGRAM
) -> str:
    key = f"Task/t{n}/_history/{version}"
    return receive.keep(
        connection,
        clock,
        program_id=program,
        source=source,
        message_key=key,
        content_type="application/fhir+json",
        raw=b'{"resourceType":"Bundle"}',
        focus=[f"Patient/p{n}/_history/1", key],
        execution_id=f"x-{n}",
    )


def messages(engine: Engine) -> dict[str, Any]:
    """Message id -> row."""
    with reading(engine) as connection:
        return {row.id: row for row in connection.execute(select(inbox_message))}
