"""The people someone walks with, and one of them: getting in touch, meetings, answers, what may be shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from flask import Blueprint, Response

from peerfhir.pathway.consent import has_chosen, in_force
from peerfhir.pathway.encounter import GROUPS, Encounter
from peerfhir.pathway.outcome import Outcome
from peerfhir.pathway.people import Actor, Person
from peerfhir.pathway.referral import Referral, is_open
from peerfhir.pathway.refusals import NotFoundHere
from peerfhir.pathway.vocabulary import Role, ShareClass
from peerfhir.portal.desk import WITH_PEOPLE, Desk
from peerfhir.portal.fields import Fact
from peerfhir.portal.safety import Alarm, alarm_of
from peerfhir.portal.states import Chip, chip
from peerfhir.records import people as kept
from peerfhir.records import referrals
from peerfhir.records.encounters import group_at
from peerfhir.records.work import Work


@dataclass(frozen=True)
class PersonCard:
    """One person in a list."""

    href: str
    name: str
    chip: Chip | None
    last: str
    next: str = ""


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
    """The routes of people."""
    pages.add_url_rule("/people", "people", partial(_list, desk))
    pages.add_url_rule("/people/<person_id>", "person", partial(_person, desk))


# -- who may see whom


def theirs(work: Work, actor: Actor) -> list[Referral]:
    """The referrals of a peer who said yes, open or ended, oldest first; of a lead, all of the program."""
    if actor.role is not Role.PEER:
        return referrals.queue(work.connection, actor.program_id, open_only=False)
    found = referrals.of_peer(work.connection, actor.program_id, actor.peer_id or "")
    return [one for one in found if one.peer_accepted_at is not None]


def seen_by(work: Work, actor: Actor, person_id: str) -> tuple[Person, Referral | None]:
    """The person, and the latest referral that joins them to this actor.

    Raises  NotFoundHere for someone of another peer or program exactly as for nobody
    """
    person = work.person(person_id)
    mine = [one for one in work.referrals_of(person_id) if actor.role is not Role.PEER or _accepted(one, actor)]
    if actor.role is Role.PEER and not mine:
        raise NotFoundHere
    found = [one for one in mine if is_open(one)] or mine
    return person, found[-1] if found else None


def _accepted(referral: Referral, actor: Actor) -> bool:
    return referral.peer_id == actor.peer_id and referral.peer_accepted_at is not None


def walking_with(work: Work, actor: Actor) -> list[Person]:
    """The people with whom something may still be recorded, by name."""
    ids = dict.fromkeys(one.person_id for one in theirs(work, actor) if is_open(one))
    found = [work.person(person_id) for person_id in ids]
    return sorted((one for one in found if one.sharing_stopped_at is None), key=lambda one: (one.given, one.family))


# -- the list


def _list(desk: Desk) -> Response:
    actor = desk.staff(WITH_PEOPLE)
    with desk.work(actor) as work:
        latest = {one.person_id: one for one in theirs(work, actor)}
        persons = kept.list_of(work.connection, actor.program_id)
        shown = [one for one in persons if actor.role is not Role.PEER or one.id in latest]
        cards = [_card(desk, work, actor, one, latest.get(one.id)) for one in shown]
        work.audit("search", "people")
    words = desk.words
    lead = words.say("people.lead_peer" if actor.role is Role.PEER else "people.lead_all")
    cards.sort(key=lambda one: one.name)
    return desk.page("people.html", words.say("people.title"), actor, here="/people", lead=lead, cards=cards)


def _card(desk: Desk, work: Work, actor: Actor, person: Person, referral: Referral | None) -> PersonCard:
    words, calendar = desk.words, desk.calendar(actor.program_id)
    met = [one for one in work.encounters_of(person.id) if one.status == "finished"]
    last = words.say("people.last_met", when=calendar.day(calendar.local(met[-1].started_at).date())) if met else ""
    return PersonCard(
        href=f"/people/{person.id}",
        name=f"{person.given} {person.family}",
        chip=chip(referral, work.program, words) if referral else None,
        last=last or words.say("people.not_met"),
        next=_next(desk, actor, met[-1]) if met and _may_read(met[-1], actor) else "",
    )


def _next(desk: Desk, actor: Actor, meeting: Encounter) -> str:
    if not meeting.next_step:
        return ""
    if meeting.next_on is None:
        return desk.words.say("people.next", what=meeting.next_step)
    day = desk.calendar(actor.program_id).day(meeting.next_on)
    return desk.words.say("people.next_on", what=meeting.next_step, when=day)


# -- one person


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
    writes = (
        actor.role is Role.PEER and referral is not None and is_open(referral) and person.sharing_stopped_at is None
    )
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
        facts=_facts(desk, person),
        shared=shared_lines(desk, work, person),
        shared_note=note,
        meetings=tuple(_meeting(desk, work, actor, one) for one in met),
        answers=tuple(_answers(desk, work, actor, one) for one in outcomes),
        alarm=alarm_of(desk, work, person),
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
    """The working note is for the peer who wrote it and for supervisors. Source: domain.md 7.1."""
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
        next=_next(desk, actor, one) if working is not None else "",
        late=one.late,
        group=one.service in GROUPS,
    )


def _did(desk: Desk, taps: Sequence[str]) -> tuple[str, ...]:
    return tuple(desk.words.say(f"intervention.{tap}") for tap in taps)


def _answers(desk: Desk, work: Work, actor: Actor, one: Outcome) -> Answers:
    words = desk.words
    instrument = work.instrument(one.instrument_id)
    title = words.called(instrument.id, instrument.title)
    if one.total is None:
        text, note = words.say("person.score_none", title=title), words.say("person.score_few")
    else:
        text = words.say("person.score", title=title, total=one.total, high=instrument.scale.high)
        note = words.say("person.score_reached", band=one.band_label) if one.band_label else ""
    return Answers(desk.calendar(actor.program_id).moment(one.answered_at), text, note)
