from __future__ import annotations

import pytest
from sqlalchemy import insert, select

from peerfhir.outbox import addresses
from peerfhir.outbox.addresses import Address
from peerfhir.records.database import reading, writing
from peerfhir.records.schema import outbox_message, remote
from tests.support.owing import PROGRAM, owe


@pytest.mark.parametrize(
    ("headers", "body", "found"),
    [
        ({"location": "https://h/fhir/Encounter/9"}, None, Address("Encounter/9")),
        ({"location": "https://h/fhir/Encounter/9/_history/3", "etag": 'W/"3"'}, None, Address("Encounter/9", 'W/"3"')),
        ({"location": "Encounter/9"}, None, Address("Encounter/9")),
        ({"location": "/fhir/Encounter/eXyZ.12-_~/_history/1"}, None, Address("Encounter/eXyZ.12-_~")),
        ({"content-location": "Encounter/9"}, None, Address("Encounter/9")),
        ({"location": "https://h/fhir/Encounter/9?_format=json"}, None, Address("Encounter/9")),
        ({"location": "https://h/fhir/Patient/9"}, None, None),
        ({"location": "https://h/fhir/Encounter/"}, None, None),
        ({"location": "https://h/fhir/Encounter/a b"}, None, None),
        ({}, {"resourceType": "Encounter", "id": "7", "meta": {"versionId": "2"}}, Address("Encounter/7", 'W/"2"')),
        (
            {"etag": '"x"'},
            {"resourceType": "Encounter", "id": "7", "meta": {"versionId": "2"}},
            Address("Encounter/7", '"x"'),
        ),
        ({}, {"resourceType": "Encounter", "id": "7/../8"}, None),
        ({}, {"resourceType": "Encounter", "id": 7}, None),
        ({}, {"resourceType": "Patient", "id": "7"}, None),
        ({}, ["Encounter"], None),
        ({}, None, None),
    ],
)
def test_an_address_is_read_from_whatever_the_answer_has(headers, body, found):
    assert addresses.read(headers, body, "Encounter") == found


def test_a_newer_address_replaces_the_older_and_programs_do_not_meet(engine, clock):
    with writing(engine) as connection:
        for program, reference in ((PROGRAM, "Task/1"), ("p2", "Task/2"), (PROGRAM, "Task/3")):
            addresses.remember(connection, program, "h1", "Task/ours", Address(reference, 'W/"1"'), clock.now())
    with reading(engine) as connection:
        assert addresses.of(connection, PROGRAM, "h1", "Task/ours") == "Task/3"
        assert addresses.of(connection, "p2", "h1", "Task/ours") == "Task/2"
        assert addresses.of(connection, PROGRAM, "h2", "Task/ours") is None
        assert addresses.of(connection, PROGRAM, "h1", None) is None


def test_what_was_settled_for_a_referral_is_known_with_its_form(engine, clock):
    for number in ("E-1", "E-2", "E-3"):
        owe(engine, clock, number)
    with writing(engine) as connection:
        found = {"E-1": ("done", "Encounter"), "E-2": ("done", "kept"), "E-3": ("parked", "Encounter")}
        for number, (state, form) in found.items():
            connection.execute(
                outbox_message.update()
                .where(outbox_message.c.record_id == number)
                .values(state=state, form=form, referral_id="r1")
            )
        row = {"program_id": PROGRAM, "endpoint": "h1", "at": clock.now()}
        connection.execute(insert(remote).values(**row, local="E-1:encounter", reference="Encounter/9"))
    with reading(engine) as connection:
        assert addresses.sent_of(connection, PROGRAM, "h1", "r1") == [
            ("encounter", "Encounter", "Encounter/9"),
            ("encounter", "kept", None),
        ]
        assert addresses.sent_of(connection, "p2", "h1", "r1") == []
        assert connection.execute(select(remote.c.local)).scalars().all() == ["E-1:encounter"]
