"""A group session: a list of who was there, and a record of their own for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Blueprint, Response

from peerfhir.gateway.refusals import fault_of
from peerfhir.pathway import steps
from peerfhir.pathway.encounter import GroupSession
from peerfhir.pathway.people import Actor, Person
from peerfhir.pathway.refusals import NotFoundHere, Refusal
from peerfhir.pathway.vocabulary import Modality, ServiceType
from peerfhir.portal.desk import Desk, go
from peerfhir.portal.fields import Field, Filled, Option, problems, refused
from peerfhir.portal.forms import NOTE_CHARACTERS, SUMMARY_WORDS, GroupForm, read, wall_clock
from peerfhir.portal.notes import PEER, how_controls, usual_times
from peerfhir.portal.people import walking_with
from peerfhir.portal.words import Words
from peerfhir.records.work import Work

_WAYS = (Modality.IN_PERSON, Modality.VIDEO, Modality.PHONE, Modality.TEXT_CHAT, Modality.COMMUNITY)


@dataclass(frozen=True)
class GroupView:
    """The form of a group."""

    controls: Mapping[str, Field]
    anyone: bool


def mount(pages: Blueprint, desk: Desk) -> None:
    """The routes of groups."""
    pages.add_url_rule("/groups/new", "group", partial(_form, desk))
    pages.add_url_rule("/groups/new", "group_save", partial(_save, desk), methods=["POST"])


def _controls(words: Words, people: list[Person]) -> tuple[Field, ...]:
    say = words.say
    names = tuple(Option(one.id, f"{one.given} {one.family}") for one in people)
    return (
        Field("topic", say("group.topic"), hint=say("group.topic_hint"), needed=True),
        *how_controls(words, _WAYS),
        Field("attendees", say("group.fieldset_who"), "checks", hint=say("group.who_hint"), options=names, needed=True),
        Field(
            "summary", say("group.summary"), "area", words=SUMMARY_WORDS,
            hint=say("group.summary_hint", limit=SUMMARY_WORDS),
        ),
        Field(
            "working_note", say("group.working"), "area", limit=NOTE_CHARACTERS,
            hint=say("group.working_hint", limit=NOTE_CHARACTERS),
        ),
        Field("client_uuid", "", "hidden"),
    )  # fmt: skip


def _form(desk: Desk) -> Response:
    actor = desk.staff(PEER)
    with desk.work(actor) as work:
        people = walking_with(work, actor)
        work.audit("search", "people")
        calendar = desk.calendar(actor.program_id)
        start, end = usual_times(calendar, work.now())
        first = {"started_at": calendar.control(start), "ended_at": calendar.control(end), "client_uuid": work.new_id()}
        filled = Filled({name: (value,) for name, value in first.items()})
    return _print(desk, actor, people, filled)


def _print(desk: Desk, actor: Actor, people: list[Person], filled: Filled, status: int = 200) -> Response:
    controls = [filled.into(control) for control in _controls(desk.words, people)]
    view = GroupView({control.name: control for control in controls}, anyone=bool(people))
    found = problems(filled, controls)
    title = desk.words.say("group.title")
    return desk.page(
        "group.html", title, actor, here="/groups/new", status=status, narrow=True, view=view, problems=found
    )


def _save(desk: Desk) -> Response:
    actor = desk.staff(PEER)
    data, filled = read(GroupForm(), desk.posted(), desk.words)
    data, filled = wall_clock(data, filled, ("started_at", "ended_at"), desk.calendar(actor.program_id), desk.words)
    if filled.good and not data["attendees"]:
        filled = Filled(filled.values, {"attendees": desk.words.say("errors.nobody")})
    people: list[Person] = []
    try:
        with desk.work(actor) as work:
            people = walking_with(work, actor)
            if not filled.good:
                return _print(desk, actor, people, filled, 422)
            _check_known(people, data["attendees"])
            steps.record_group(work, _session(work, actor, data))
    except NotFoundHere:
        raise
    except Refusal as refusal:
        return _print(desk, actor, people, refused(filled, refusal, desk.words), fault_of(refusal).status)
    return go("/people", done="group")


def _check_known(people: list[Person], attendees: list[str]) -> None:
    """Only those on the facilitator's own list: somebody else's person is as unknown as nobody."""
    if not {one.id for one in people}.issuperset(attendees):
        raise NotFoundHere


def _session(work: Work, actor: Actor, data: Mapping[str, Any]) -> GroupSession:
    return GroupSession(
        id=data["client_uuid"] or work.new_id(),
        program_id=actor.program_id,
        peer_id=actor.peer_id or "",
        topic=data["topic"],
        service=ServiceType.GROUP_FACILITATED,
        modality=data["modality"],
        started_at=data["started_at"],
        ended_at=data["ended_at"],
        summary=data["summary"],
        attendees=tuple(dict.fromkeys(data["attendees"])),
        working_note=data["working_note"],
    )
