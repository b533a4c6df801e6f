"""What a peer records: meetings, groups and answered questionnaires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from peerfhir.pathway.encounter import (
    GROUPS,
    Encounter,
    GroupSession,
    check_no_names,
    check_texts,
    check_times,
    group_records,
    is_late,
)
from peerfhir.pathway.keeping import keep, owe_encounter, owe_outcome, referral_of
from peerfhir.pathway.outcome import DECLINED, Outcome, answered, score
from peerfhir.pathway.people import Person
from peerfhir.pathway.ports import Books
from peerfhir.pathway.referral import TRANSITIONS, Event, Referral, move
from peerfhir.pathway.refusals import AlreadyRecorded, BadTimes, Closed, NotFoundHere, SharingStopped, WrongActor
from peerfhir.pathway.safety import level_of, raise_once
from peerfhir.pathway.vocabulary import Role, ServiceType

_OPEN_TO_ALL = GROUPS | {ServiceType.WARM_LINE}  # any peer of the program; the others are for the person's own peer
_CLOCK_SKEW = timedelta(minutes=5)


def record_encounter(books: Books, draft: Encounter, *, keep_between_us: bool = False) -> Encounter:
    """Record one finished meeting of one person; the first one of a referral moves it to `intro-done`.

    draft            id, number, referral_id and engagement_id may be empty: they are found or made here
    keep_between_us  nothing of the summary leaves; the meeting itself does, where attendance is granted
    Returns          the encounter as saved; the same client_uuid again gives the first one
    Raises           WrongActor, SharingStopped, Closed, BadTimes, TooLong, AlreadyRecorded
    """
    _check_own(books, draft.peer_id)
    person = books.person(draft.person_id)
    twin = books.encounter_by_client_uuid(draft.client_uuid) if draft.client_uuid else None
    if twin is not None:
        if (twin.person_id, twin.peer_id) != (draft.person_id, draft.peer_id):
            raise AlreadyRecorded(field="client_uuid")
        return twin
    referral = _referral_for_meeting(books, draft, person)
    now = books.now()
    check_times(draft.started_at, draft.ended_at, draft.minutes, now)
    summary = None if keep_between_us else (draft.summary or "").strip() or None
    check_texts(summary=summary, working_note=draft.working_note, next_step=draft.next_step, topic=draft.topic)
    met = _first_meeting(books, draft, referral)
    saved = _save_meeting(books, person, referral, replace(draft, summary=summary))
    if draft.worry:
        raise_once(books, person.id, f"encounter:{saved.id}", "urgent")
    if met is not None:
        keep(books, person, met)
    return saved


def _check_own(books: Books, peer_id: str) -> None:
    if books.actor.role is not Role.PEER or books.actor.peer_id != peer_id:
        raise WrongActor


def _referral_for_meeting(books: Books, draft: Encounter, person: Person) -> Referral | None:
    """The open referral this meeting belongs to. Raises SharingStopped, NotFoundHere, Closed or WrongActor."""
    if person.sharing_stopped_at is not None:
        raise SharingStopped  # no encounter after withdrawal
    if draft.referral_id is not None and books.referral(draft.referral_id).person_id != person.id:
        raise NotFoundHere
    for_all = draft.service in _OPEN_TO_ALL
    referral = referral_of(books, person, draft.referral_id, peer_id=None if for_all else draft.peer_id)
    if referral is None and (draft.referral_id is not None or not for_all):
        raise WrongActor if referral_of(books, person, draft.referral_id, peer_id=None) else Closed
    return referral


def _first_meeting(books: Books, draft: Encounter, referral: Referral | None) -> Referral | None:
    if referral is None or draft.service in _OPEN_TO_ALL or (referral.status, Event.MEET) not in TRANSITIONS:
        return None
    return move(referral, Event.MEET, books.actor, books.program, books.now())


def _save_meeting(books: Books, person: Person, referral: Referral | None, draft: Encounter) -> Encounter:
    """Save with our own keys and owe what may go; the number is drawn at random and points to nothing."""
    now = books.now()
    engagement = books.engagement_of(referral.id) if referral is not None else None
    saved = books.save_encounter(
        replace(
            draft,
            id=draft.id or books.new_id(),
            program_id=books.program.id,
            number=draft.number or f"E-{books.new_id()}",
            referral_id=referral.id if referral is not None else None,
            engagement_id=engagement.id if engagement is not None else None,
            status="finished",
            recorded_at=now,
            recorded_by=books.actor.id,
            late=is_late(draft.ended_at, now, books.program.note_due_hours),
            version=0,
        )
    )
    owe_encounter(books, person, referral, saved)
    return saved


def record_group(books: Books, session: GroupSession) -> list[Encounter]:
    """Record a group session: one separate encounter per attendee, none pointing to another.

    session.id  a uuid made by the form: the same session twice is once
    Returns     the encounters, in the order of the attendees
    Raises      WrongActor, SharingStopped (field says which line), BadTimes, TooLong, NamesSomeone, AlreadyRecorded
    Source      docs/rules.md, Notes
    """
    _check_own(books, session.peer_id)
    session = replace(session, id=session.id or books.new_id(), program_id=books.program.id, version=0)
    people = [books.person(person_id) for person_id in session.attendees]
    twins = [_of_group(books, person.id, session.id) for person in people]
    known = [twin for twin in twins if twin is not None]
    if known and len(known) == len(twins):
        return known
    if known or not people or len({person.id for person in people}) < len(people):
        raise AlreadyRecorded("Each attendee is recorded once.", field="attendees")
    _check_group(books, session, people)
    records = group_records(
        session,
        [f"E-{books.new_id()}" for _ in people],
        [books.new_id() for _ in people],
    )
    books.save_group(replace(session, recorded_at=books.now()))
    return [
        _save_meeting(books, person, referral_of(books, person, None, peer_id=None), record)
        for person, record in zip(people, records, strict=True)
    ]


def _of_group(books: Books, person_id: str, group_id: str) -> Encounter | None:
    return next((e for e in books.encounters_of(person_id) if e.group_id == group_id), None)


def _check_group(books: Books, session: GroupSession, people: list[Person]) -> None:
    for line, person in enumerate(people):
        if person.sharing_stopped_at is not None:
            raise SharingStopped(field=f"attendees.{line}")
    minutes = (session.ended_at - session.started_at) // timedelta(minutes=1)
    check_times(session.started_at, session.ended_at, minutes, books.now())
    check_texts(summary=session.summary, working_note=session.working_note, next_step=None, topic=session.topic)
    check_no_names((("summary", session.summary), ("topic", session.topic)), people)


def record_outcome(books: Books, draft: Outcome, *, safe_now: str | None = None) -> Outcome:
    """Score and keep one completed questionnaire; a sentinel answer raises one safety event.

    draft     answers by link id; blank or asked-declined counts as missing, declined is kept as the reason
    safe_now  yes | no | unsure | None, the answer to "Are they safe right now?"; it can only raise the level
    Returns   the outcome as saved; the same submission again gives the first one, and no second event
    Raises    WrongActor, SharingStopped, Closed, BadAnswer (nothing is kept), BadTimes
    Source    docs/rules.md, Questionnaires
    """
    person = books.person(draft.person_id)
    instrument = books.instrument(draft.instrument_id)
    referral = _referral_for_answers(books, draft, person)
    options = answered(instrument, draft.answers)
    answers = {link_id: option.code for link_id, option in options.items()}
    twin = _same_submission(books, draft, answers)
    if twin is not None:
        return twin
    if draft.answered_at.tzinfo is None or draft.answered_at > books.now() + _CLOCK_SKEW:
        raise BadTimes(field="answered_at")
    result = score(instrument, answers)
    engagement = books.engagement_of(referral.id) if referral is not None else None
    saved = books.save_outcome(
        replace(
            draft,
            id=draft.id or books.new_id(),
            program_id=books.program.id,
            number=draft.number or books.next_number("QR"),
            answers=answers,
            absent=_absent(draft.answers, answers),
            referral_id=referral.id if referral is not None else None,
            engagement_id=engagement.id if engagement is not None else None,
            total=result.total,
            band_code=result.band.code if result.band else None,
            band_label=result.band.label if result.band else None,
            absent_reason=result.reason,
            sentinel=result.sentinel,
            recorded_by=books.actor.id,
            version=0,
        )
    )
    if result.sentinel_level is not None:
        state = "raised" if result.sentinel == "raised" else "sentinel-unknown"
        raise_once(books, person.id, f"outcome:{saved.id}", level_of(result.sentinel_level, safe_now), state=state)
    owe_outcome(books, person, referral, saved, instrument)
    return saved


def _referral_for_answers(books: Books, draft: Outcome, person: Person) -> Referral | None:
    actor = books.actor
    if person.sharing_stopped_at is not None:
        raise SharingStopped
    if draft.referral_id is not None and books.referral(draft.referral_id).person_id != person.id:
        raise NotFoundHere
    if actor.role is Role.PERSON and actor.person_id == person.id:
        return referral_of(books, person, draft.referral_id, peer_id=None)
    if actor.role is not Role.PEER or actor.peer_id is None:
        raise WrongActor
    referral = referral_of(books, person, draft.referral_id, peer_id=actor.peer_id)
    if referral is None:
        raise WrongActor if referral_of(books, person, draft.referral_id, peer_id=None) else Closed
    return referral


def _same_submission(books: Books, draft: Outcome, answers: Mapping[str, str]) -> Outcome | None:
    for known in books.outcomes_of(draft.person_id):
        same_form = draft.client_uuid is not None and known.client_uuid == draft.client_uuid
        same_answers = (known.instrument_id, known.answered_at, dict(known.answers)) == (
            draft.instrument_id,
            draft.answered_at,
            dict(answers),
        )
        if same_form or same_answers or (draft.id and known.id == draft.id):
            return known
    return None


def _absent(given: Mapping[str, str], answers: Mapping[str, str]) -> dict[str, str]:
    """Why an item has no answer, where the person said so (T29)."""
    return {link_id: DECLINED for link_id, text in given.items() if link_id not in answers and text.strip() == DECLINED}
