"""What must never leave, looked for in the bytes of everything that can."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace

import pytest

from peerfhir.adapters import consent, encounter, engagement, outcome, people, projection, referral
from peerfhir.adapters.author import author
from peerfhir.adapters.pieces import PIECES
from peerfhir.fhir.reader import Json
from peerfhir.mapping.registry import Mappings
from peerfhir.pathway.encounter import Encounter
from peerfhir.pathway.people import Person
from peerfhir.pathway.referral import SHOWN, Referral, outward
from peerfhir.pathway.vocabulary import Piece, Status
from tests.adapters.making import PROGRAM, Maker
from tests.adapters.shelf import Shelf, stored_task

SEEDS = range(40, 52)
MEETING = (Piece.ENCOUNTER, Piece.SUMMARY, Piece.PROCEDURE)
MORE = {"summary-oracle": Piece.SUMMARY, "procedure-oracle": Piece.PROCEDURE}


def forms_of_a_meeting(mappings: Mappings, maker: Maker, met: Encounter, named: bool) -> Iterator[Json]:
    choices = [(piece, form.mapping) for piece in MEETING for form in PIECES[piece]]
    for piece, mapping in [*choices, *((piece, name) for name, piece in MORE.items())]:
        yield encounter.to_fhir(
            mappings,
            piece,
            met,
            maker.refs(),
            engagement=None,
            peer=maker.peer(),
            program=PROGRAM,
            named=named,
            mapping=mapping,
        )


def everything(mappings: Mappings, maker: Maker, person: Person, order: Referral) -> Iterator[Json]:
    """One of everything that any mapping of ours can make of a person's records."""
    instrument = maker.instrument()
    walk = maker.engagement(order)
    met, answered = maker.encounter(person, order), maker.outcome(person, instrument, order)
    refs = replace(maker.refs(), response="QuestionnaireResponse/1", total="Observation/1")
    for attendance in (True, False):
        yield from forms_of_a_meeting(mappings, maker, met, named=attendance)
        for chosen in (True, False):
            shown = outward(order, choice_recorded=chosen, attendance=attendance)
            for form in PIECES[Piece.STATUS]:
                yield referral.status_to_fhir(mappings, order, shown, refs, walk, program=PROGRAM, mapping=form.mapping)
    for piece in (Piece.RESPONSE, Piece.ITEM, Piece.TOTAL, Piece.PANEL):
        for form in PIECES[piece]:
            detail = next(iter(answered.answers)) if piece is Piece.ITEM else None
            yield outcome.to_fhir(mappings, piece, answered, instrument, refs, detail, form.mapping)
    yield people.person_to_fhir(mappings, person)
    yield people.peer_to_fhir(mappings, maker.peer(), refs, PROGRAM)
    yield consent.to_fhir(mappings, maker.grant(person), refs, PROGRAM)
    yield engagement.to_fhir(mappings, walk, refs, PROGRAM)
    shelf = Shelf([person], [order], [walk])
    assert order.origin is not None
    shelf.stored["Task", str(order.origin.task_id)] = stored_task(order)
    for record in (order, walk, met, answered, maker.grant(person), person, maker.peer()):
        for projected in projection.project(mappings, {instrument.id: instrument}, record, shelf):
            yield projected.resource


# A question to the referrer and the place somebody is referred on to are typed for the referrer to read.
FOR_THE_REFERRER = {Status.INFO_NEEDED, Status.REDIRECTED, Status.DECLINED_PROGRAM, Status.WITHDRAWN_REFERRER}


@pytest.mark.parametrize("seed", SEEDS)
def test_no_private_field_is_in_any_output(mappings: Mappings, seed: int) -> None:
    maker = Maker(seed)
    person = maker.person()
    order = maker.referral(person, maker.random.choice([each for each in Status if each in SHOWN]))
    written = [readable(_whole(resource)) for resource in everything(mappings, maker, person, order)]
    assert len(maker.canaries) > 50
    assert len(written) > 30
    told = {order.status_reason} if order.status in FOR_THE_REFERRER else set()
    for text in written:
        assert not [canary for canary in maker.canaries if canary in text and canary not in told], f"seed {seed}"


def readable(resource: Json) -> str:
    """The bytes that leave, and what is packed in their attachments."""
    return "\n".join([author(resource).decode(), *_unpacked(resource)])


def _unpacked(value: Json) -> Iterator[str]:
    if isinstance(value, dict) and isinstance(value.get("data"), str):
        yield base64.b64decode(value["data"]).decode()
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _unpacked(inner)


def _whole(resource: Json) -> Json:
    """A Task fragment as part of a Task, so that it can be checked like everything else."""
    if resource["resourceType"] != "Task" or "focus" in resource:
        return resource
    maker = Maker(1)
    return referral.merge_task(stored_task(maker.referral(maker.person())), resource)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_of_one_attendee_leads_to_another_or_to_the_group(mappings: Mappings, seed: int) -> None:
    maker = Maker(seed)
    attendees = [maker.person() for _ in range(maker.random.randrange(2, 7))]
    orders = [maker.referral(person) for person in attendees]
    meetings = maker.group(attendees)
    shelf = Shelf(attendees, orders)
    for index, met in enumerate(meetings):
        made = [readable(each) for each in forms_of_a_meeting(mappings, maker, met, named=True)]
        made += [readable(each.resource) for each in projection.project(mappings, {}, met, shelf)]
        others = [secret for place, other in enumerate(attendees) if place != index for secret in _marks(other)]
        others += [
            secret for place, other in enumerate(meetings) if place != index for secret in (other.id, other.number)
        ]
        text = "\n".join(made)
        assert met.group_id is not None
        assert met.group_id not in text
        assert not [secret for secret in others if secret in text], f"seed {seed}"
        assert "Encounter" in text


def _marks(person: Person) -> list[str]:
    return [person.id, person.family, *(each.value for each in person.identifiers)]
