"""One person: getting in touch, meetings, answers, and what may be shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from flask import Blueprint, Response

from peerfhir.pathway.consent import has_chosen, in_force
from peerfhir.pathway.encounter import GROUPS, Encounter
from peerfhir.pathway.outcome import Change, Outcome
from peerfhir.pathway.people import Actor, Person
from peerfhir.pathway.referral import Referral, is_open
from peerfhir.pathway.vocabulary import Role, ShareClass
from peerfhir.portal.desk import WITH_PEOPLE, Desk
from peerfhir.portal.fields import Fact
from peerfhir.portal.people import seen_by, what_next
from peerfhir.portal.safety import Alarm, alarm_of
from peerfhir.portal.states import Chip, chip
from peerfhir.portal.words import Words
from peerfhir.records.encounters import group_at
from peerfhir.records.work import Work


@dataclass(frozen=True)
class Meeting:
    """One meeting as it is read again: the chart's layer, and the working note for those who may see it."""

    when: str
    how: str
    minutes: str
    peer: str
    did: tuple[str, ...]
    summary: str
    working: str | None  # None: not for this reader
    working_title: str
    next: str = ""
    late: bool = False
    group: bool = False


@dataclass(frozen=True)
class Answers:
    """One answered questionnaire: the total, never the single answers."""

    when: str
    text: str
    note: str


@dataclass(frozen=True)
class PersonView:
    """Everything the page of one person shows."""

    person_id: str
    name: str
    given: str
    chip: Chip | None
    facts: tuple[Fact, ...]
    shared: tuple[Fact, ...]
    shared_note: str
    meetings: tuple[Meeting, ...]
    answers: tuple[Answers, ...]
    alarm: Alarm | None
    note: str = ""  # where to write one
    questions: tuple[Fact, ...] = ()  # questionnaires that may be asked: text and address
    referral: str = ""


def mount(pages: Blueprint, desk: Desk) -> None:
    """The route of one person's page."""
    pages.add_url_rule("/people/<person_id>", "person", partial(_person, desk))


def _person(desk: Desk, person_id: str) -> Response:
    actor = desk.staff(WITH_PEOPLE)
    with desk.work(actor) as work:
        person, referral = seen_by(work, actor, person_id)
        view = _view(desk, work, actor, person, referral)
        work.audit("read", f"person/{person.id}", person.id)
    return desk.page("person.html", view.name, actor, here="/people", view=view, crisis=view.alarm is not None)


def _view(desk: Desk, work: Work, actor: Actor, person: Person, referral: Referral | None) -> PersonView:
    words = desk.words
    met = sorted(work.encounters_of(person.id), key=lambda one: one.started_at, reverse=True)
    outcomes = sorted(work.outcomes_of(person.id), key=lambda one: one.answered_at, reverse=True)
    still = referral is not None and is_open(referral)
    parted = actor.role is Role.PEER and not still
    if parted:  # what came after their time together is not theirs to read
        met = [one for one in met if one.peer_id == actor.peer_id]
        outcomes = [one for one in outcomes if one.recorded_by == actor.id]
    writes = actor.role is Role.PEER and still and person.sharing_stopped_at is None
    asked = [
        Fact(words.say("person.questionnaire", title=words.called(one.id, one.title)), f"/people/{person.id}/{one.id}")
        for one in desk.parts.instruments.values()
    ]
    note = ""
    if not has_chosen(person):
        note = words.say("person.shared_stopped" if person.sharing_stopped_at else "person.shared_none")
    return PersonView(
        person_id=person.id,
        name=f"{person.given} {person.family}",
        given=person.given,
        chip=chip(referral, work.program, words) if referral else None,
        facts=() if parted else _facts(desk, person),
        shared=() if parted else shared_lines(desk, work, person),
        shared_note="" if parted else note,
        meetings=tuple(_meeting(desk, work, actor, one) for one in met),
        answers=tuple(_answers(desk, work, actor, one, _before(outcomes, one)) for one in outcomes),
        alarm=None if parted else alarm_of(desk, work, person),
        note=f"/people/{person.id}/note" if writes else "",
        questions=tuple(asked) if writes else (),
        referral=f"/referrals/{referral.id}" if referral else "",
    )


def _facts(desk: Desk, person: Person) -> tuple[Fact, ...]:
    words = desk.words
    language = f"languages.{person.wishes.language}"
    lines = [
        ("safe_contact", person.safe_contact or words.say("referral.safe_contact_none")),
        ("phone", person.phone),
        ("email", person.email),
        ("language", words.say(language) if words.knows(language) else None),
    ]
    return tuple(Fact(words.say(f"person.{name}"), text) for name, text in lines if text)


def shared_lines(desk: Desk, work: Work, person: Person) -> tuple[Fact, ...]:
    """What may be shared now, one line for each recipient."""
    words = desk.words
    by: dict[str, list[str]] = {}
    order = list(ShareClass)
    for grant in sorted(work.grants_of(person.id), key=lambda one: order.index(one.share_class)):
        if in_force(grant, work.now()) and has_chosen(person):
            by.setdefault(grant.recipient, []).append(words.say(f"share_of.{grant.share_class}"))
    return tuple(
        Fact(words.say("person.shared_with", recipient=words.say(f"recipient_of.{recipient}")), "\n".join(what))
        for recipient, what in by.items()
    )


def _may_read(meeting: Encounter, actor: Actor) -> bool:
    """The working note is for the peer who wrote it and for supervisors. Source: docs/rules.md, Notes."""
    return actor.role is Role.SUPERVISOR or (actor.role is Role.PEER and meeting.peer_id == actor.peer_id)


def _meeting(desk: Desk, work: Work, actor: Actor, one: Encounter) -> Meeting:
    words, calendar = desk.words, desk.calendar(actor.program_id)
    working: str | None = None
    if _may_read(one, actor):
        working = (
            group_at(work.connection, actor.program_id, one.group_id).working_note if one.group_id else one.working_note
        )
    mine, peer = one.peer_id == actor.peer_id, work.peer(one.peer_id).display
    return Meeting(
        when=calendar.moment(one.started_at),
        how=words.say(f"modality.{one.modality}"),
        minutes=words.say("person.minutes", count=one.minutes),
        peer="" if mine else words.say("person.with_peer", name=peer),
        did=_did(desk, one.interventions),
        summary=one.summary or "",
        working=working,
        working_title=words.say("person.working") if mine else words.say("person.working_of", name=peer),
        next=what_next(desk, actor, one) if working is not None else "",
        late=one.late,
        group=one.service in GROUPS,
    )


def _did(desk: Desk, taps: Sequence[str]) -> tuple[str, ...]:
    return tuple(desk.words.say(f"intervention.{tap}") for tap in taps)


def _before(outcomes: Sequence[Outcome], one: Outcome) -> Outcome | None:
    """The answers before the last ones of a questionnaire; None for those that are not its last.

    outcomes  newest first
    """
    same = [each for each in outcomes if each.instrument_id == one.instrument_id][:2]
    return same[1] if len(same) > 1 and same[0] is one else None


def _answers(desk: Desk, work: Work, actor: Actor, one: Outcome, before: Outcome | None) -> Answers:
    words = desk.words
    instrument = work.instrument(one.instrument_id)
    title = words.called(instrument.id, instrument.title)
    if one.total is None:
        text, note = words.say("person.score_none", title=title), words.say("person.score_few")
    else:
        text = words.say("person.score", title=title, total=one.total, high=instrument.scale.high)
        note = words.say("person.score_reached", band=one.band_label) if one.band_label else ""
        if changed := _changed(words, instrument.change, one, before):
            note = f"{note}. {changed}" if note else changed
    return Answers(desk.calendar(actor.program_id).moment(one.answered_at), text, note)


def _changed(words: Words, change: Change | None, one: Outcome, before: Outcome | None) -> str:
    """How far the last total is from the one before, and whether that may be chance; only where a source says so."""
    least = change.least if change else None
    if change is None or least is None or before is None or one.total is None or before.total is None:
        return ""
    by = one.total - before.total
    key = "score_near" if abs(by) < least else "score_up" if by > 0 else "score_down"
    return words.say(f"person.{key}", by=abs(by), least=least, source=change.source)
