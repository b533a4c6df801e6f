"""A note in two layers: written, shown as the hospital will see it, and saved exactly so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from flask import Blueprint, Response, request

from peerfhir.gateway.refusals import fault_of
from peerfhir.pathway import steps
from peerfhir.pathway.encounter import Encounter, check_texts, check_times, draft_summary
from peerfhir.pathway.people import Actor, Person
from peerfhir.pathway.referral import Referral, is_open
from peerfhir.pathway.refusals import NotFoundHere, Refusal, SharingStopped
from peerfhir.pathway.vocabulary import Intervention, Modality, Role, ServiceType
from peerfhir.portal.desk import Desk, Posted, go
from peerfhir.portal.fields import Field, Filled, Option, options, problems, refused
from peerfhir.portal.forms import NOTE_CHARACTERS, SUMMARY_WORDS, NoteForm, read, wall_clock
from peerfhir.portal.people import seen_by
from peerfhir.portal.preview import Preview, preview_of
from peerfhir.portal.words import Calendar, Words
from peerfhir.records.work import Work

PEER = frozenset({Role.PEER})
_OFTEN = (
    Intervention.LISTENED, Intervention.SHARED_EXPERIENCE, Intervention.GOAL_SETTING, Intervention.ACTION_PLAN,
    Intervention.COPING_SKILL, Intervention.NAVIGATE_SYSTEM, Intervention.RESOURCE_LINK, Intervention.CHECKIN,
)  # fmt: skip
_USUAL = timedelta(minutes=30)
_FIVE = timedelta(minutes=5)
_HOW = (
    Modality.IN_PERSON, Modality.PHONE, Modality.VIDEO, Modality.TEXT_CHAT, Modality.HOME, Modality.COMMUNITY,
    Modality.BEDSIDE, Modality.ED_BEDSIDE,
)  # fmt: skip
_TO_ONE = frozenset(
    {ServiceType.ONE_TO_ONE, ServiceType.MENTORING, ServiceType.BEDSIDE_ED, ServiceType.DISCHARGE_BRIDGE}
)


@dataclass(frozen=True)
class NoteView:
    """The form of a note."""

    given: str
    action: str
    back: str
    controls: Mapping[str, Field]


def mount(pages: Blueprint, desk: Desk) -> None:
    """The routes of notes."""
    pages.add_url_rule("/people/<person_id>/note", "note", partial(_form, desk))
    pages.add_url_rule("/people/<person_id>/note", "note_save", partial(_save, desk), methods=["POST"])


# -- the form


def usual_times(calendar: Calendar, now: datetime) -> tuple[datetime, datetime]:
    """The half hour that has just passed, to five minutes, in the program's own time."""
    end = calendar.local(now).replace(second=0, microsecond=0)
    end -= timedelta(minutes=end.minute % 5)
    return end - _USUAL, end


def how_controls(words: Words, ways: tuple[Modality, ...] = _HOW) -> tuple[Field, ...]:
    """When and how a meeting was; the same for one person and for a group."""
    return (
        Field("started_at", words.say("note.started"), "moment", needed=True),
        Field("ended_at", words.say("note.ended"), "moment", needed=True),
        Field(
            "modality",
            words.say("note.modality"),
            "radios",
            options=options(words.under("modality"), ways),
            needed=True,
        ),
    )


def _controls(words: Words, given: str) -> tuple[Field, ...]:
    say, taps = words.say, words.under("intervention")
    nowhere = (Option("", say("note.setting_none")),)
    others = [code for code in taps if code not in _OFTEN]
    return (
        *how_controls(words),
        Field("minutes", say("note.minutes"), "number", hint=say("note.minutes_hint")),
        Field("setting", say("note.setting"), "select", options=nowhere + options(words.under("setting"))),
        Field(
            "working_note", say("note.working"), "area", limit=NOTE_CHARACTERS,
            hint=say("note.working_hint", limit=NOTE_CHARACTERS, given=given),
        ),
        Field(
            "interventions", say("note.fieldset_did"), "checks", hint=say("note.did_hint"),
            options=options(taps, _OFTEN), more=options(taps, others),
        ),
        Field(
            "summary", say("note.summary"), "area", words=SUMMARY_WORDS, limit=SUMMARY_WORDS * 8,
            hint=say("note.summary_hint", limit=SUMMARY_WORDS),
        ),
        Field("keep_between_us", say("note.keep"), "check", hint=say("note.keep_hint", given=given)),
        Field("next_step", say("note.next_step")),
        Field("next_on", say("note.next_on"), "day"),
        Field("worry", say("note.worry"), "check", hint=say("note.worry_hint")),
        Field("client_uuid", "", "hidden"),
        Field("drafted", "", "hidden"),
    )  # fmt: skip


def _first_values(desk: Desk, work: Work, person: Person, referral: Referral) -> Posted:
    """What the form starts with: the booked meeting, else the half hour that has just passed; how they met last."""
    calendar, now = desk.calendar(person.program_id), work.now()
    start, end = usual_times(calendar, now)
    booked = referral.meeting_at
    if booked is not None and booked < now < booked + timedelta(hours=12):
        start = calendar.local(booked)
        end = max(min(end, start + 2 * _USUAL), start + _FIVE)
    met = work.encounters_of(person.id)
    private = set(desk.words.names("note.at_home")) & set(re.findall(r"\w+", (person.safe_contact or "").lower()))
    values = {
        "started_at": calendar.control(start),
        "ended_at": calendar.control(end),
        "modality": met[-1].modality if met else "",
        "keep_between_us": "yes" if private else "",
        "client_uuid": work.new_id(),
    }
    return {name: (value,) for name, value in values.items() if value}


def _form(desk: Desk, person_id: str) -> Response:
    actor = desk.staff(PEER)
    with desk.work(actor) as work:
        person, referral = writable(work, actor, person_id)
        values = _first_values(desk, work, person, referral)
        work.audit("read", f"person/{person.id}", person.id)
    return _print(desk, actor, person, Filled(values))


def _print(desk: Desk, actor: Actor, person: Person, filled: Filled, status: int = 200) -> Response:
    words = desk.words
    controls = [filled.into(control) for control in _controls(words, person.given)]
    view = NoteView(
        given=person.given,
        action=f"/people/{person.id}/note",
        back=f"/people/{person.id}",
        controls={control.name: control for control in controls},
    )
    title = words.say("note.title", given=person.given)
    found = problems(filled, controls)
    return desk.page("note.html", title, actor, here="/people", status=status, narrow=True, view=view, problems=found)


def writable(work: Work, actor: Actor, person_id: str) -> tuple[Person, Referral]:
    """The person and the open referral a note of this peer belongs to. Raises NotFoundHere, SharingStopped."""
    person, referral = seen_by(work, actor, person_id)
    if person.sharing_stopped_at is not None:
        raise SharingStopped
    if referral is None or not is_open(referral):
        raise NotFoundHere
    return person, referral


# -- what came back


def _save(desk: Desk, person_id: str) -> Response:
    actor = desk.staff(PEER)
    posted = dict(desk.posted())
    show = posted.pop("show", ("save",))[0]
    data, filled = read(NoteForm(), posted, desk.words)
    data, filled = wall_clock(data, filled, ("started_at", "ended_at"), desk.calendar(actor.program_id), desk.words)
    person: Person | None = None
    try:
        with desk.work(actor) as work:
            person, referral = writable(work, actor, person_id)
            if show == "edit" or not filled.good:
                return _print(desk, actor, person, filled, 200 if filled.good else 422)
            draft = _draft(work, actor, person, referral, data)
            if show == "preview":
                return _show(desk, work, actor, person, referral, draft, filled, keep=data["keep_between_us"])
            steps.record_encounter(work, draft, keep_between_us=data["keep_between_us"])
    except Refusal as refusal:
        if person is None:
            raise
        return _print(desk, actor, person, refused(filled, refusal, desk.words), fault_of(refusal).status)
    return go(f"/people/{person_id}", done="note")


def _draft(work: Work, actor: Actor, person: Person, referral: Referral, data: Mapping[str, Any]) -> Encounter:
    whole = (data["ended_at"] - data["started_at"]) // timedelta(minutes=1)
    minutes = whole if data["minutes"] is None else data["minutes"]
    check_times(data["started_at"], data["ended_at"], minutes, work.now())
    return Encounter(
        id="",
        program_id=actor.program_id,
        person_id=person.id,
        peer_id=actor.peer_id or "",
        referral_id=referral.id,
        engagement_id=None,
        number="",
        service=referral.service if referral.service in _TO_ONE else ServiceType.ONE_TO_ONE,
        modality=data["modality"],
        started_at=data["started_at"],
        ended_at=data["ended_at"],
        minutes=minutes,
        setting=data["setting"] or None,
        interventions=tuple(dict.fromkeys(data["interventions"])),
        working_note=data["working_note"],
        summary=data["summary"] or None,
        next_step=data["next_step"] or None,
        next_on=data["next_on"],
        worry=data["worry"],
        client_uuid=data["client_uuid"] or None,
    )


def _show(
    desk: Desk, work: Work, actor: Actor, person: Person, referral: Referral, draft: Encounter, filled: Filled,
    *, keep: bool,
) -> Response:  # fmt: skip
    """The preview. An empty summary is written from the taps; one we wrote is written anew when the taps change."""
    typed, ours = draft.summary or "", " ".join(filled.values.get("drafted", ()))
    summary = typed
    drafted = not typed or typed == ours
    if drafted:
        summary = draft_summary(
            draft.interventions, modality=draft.modality, minutes=draft.minutes, next_step=draft.next_step,
            next_on=draft.next_on,
        )  # fmt: skip
    check_texts(summary=summary, working_note=draft.working_note, next_step=draft.next_step)
    view: Preview = preview_of(desk, work, person, referral, draft, summary, keep=keep, drafted=drafted)
    again = {**filled.values, "summary": (summary,), "drafted": (summary if drafted else "",)}
    hidden = [Field(name, "", "hidden", values=values) for name, values in again.items() if any(values)]
    words = desk.words
    return desk.page(
        "preview.html", words.say("preview.title"), actor, here="/people", view=view, hidden=hidden,
        action=request.path, given=person.given,
    )  # fmt: skip
