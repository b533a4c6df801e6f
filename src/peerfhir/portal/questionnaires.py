"""A questionnaire -> an accessible form, and what its answers lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Blueprint, Response

from peerfhir.gateway.refusals import fault_of
from peerfhir.pathway import steps
from peerfhir.pathway.outcome import Instrument, Outcome
from peerfhir.pathway.people import Actor, Person
from peerfhir.pathway.refusals import NotFoundHere, Refusal
from peerfhir.portal.desk import WITH_PEOPLE, Desk, Posted
from peerfhir.portal.fields import Field, Filled, Option, Problem, options, problems, refused
from peerfhir.portal.forms import AnswersForm, read
from peerfhir.portal.notes import PEER, writable
from peerfhir.portal.people import seen_by
from peerfhir.portal.safety import alarm_of
from peerfhir.portal.words import Words
from peerfhir.records.work import Work

SAFE_NOW = ("yes", "no", "unsure")


@dataclass(frozen=True)
class Question:
    """One question: where it stands among all, and its control."""

    place: str
    control: Field


@dataclass(frozen=True)
class QuestionsView:
    """The form of a questionnaire."""

    action: str
    back: str
    notices: tuple[str, ...]
    questions: tuple[Question, ...]
    safe_now: Field | None  # only where an answer may need someone to act
    hidden: tuple[Field, ...]
    copyright: str


def mount(pages: Blueprint, desk: Desk) -> None:
    """The routes of questionnaires: one per instrument that the service has."""
    for name in desk.parts.instruments:
        at = f"/people/<person_id>/{name}"
        pages.add_url_rule(at, f"questions_{name}", partial(_form, desk, name=name))
        pages.add_url_rule(at, f"questions_save_{name}", partial(_save, desk, name=name), methods=["POST"])
        pages.add_url_rule(f"{at}/<outcome_id>", f"answers_{name}", partial(_answers, desk, name=name))


# -- the form


def _controls(instrument: Instrument, words: Words) -> tuple[Field, ...]:
    """One group of radio buttons per question; the last one of each skips it."""
    skip = Option("", words.say("questions.skip"))
    return tuple(
        Field(
            item.link_id,
            item.text,
            "radios",
            options=(*(Option(one.code, one.display) for one in item.options), skip),
            needed=True,  # no "(if you like)" beside each: every question has its own way to skip it
        )
        for item in instrument.items
        if item.options
    )


def _safe_now(words: Words) -> Field:
    return Field("safe_now", words.say("questions.safe_now"), "radios", hint=words.say("questions.safe_now_hint"),
                 options=options(words.under("safe_now"), SAFE_NOW))  # fmt: skip


def _view(instrument: Instrument, words: Words, person: Person, filled: Filled) -> QuestionsView:
    controls = _controls(instrument, words)
    of = len(controls)
    watched = any(item.sentinel for item in instrument.items)
    return QuestionsView(
        action=f"/people/{person.id}/{instrument.id}",
        back=f"/people/{person.id}",
        notices=instrument.notices,
        questions=tuple(
            Question(words.say("questions.question", n=n, of=of), filled.into(control))
            for n, control in enumerate(controls, 1)
        ),
        safe_now=filled.into(_safe_now(words)) if watched else None,
        hidden=tuple(filled.into(Field(name, "", "hidden")) for name in ("referral_id", "client_uuid")),
        copyright=instrument.copyright,
    )


def _form(desk: Desk, person_id: str, name: str) -> Response:
    actor = desk.staff(PEER)
    with desk.work(actor) as work:
        person, referral = writable(work, actor, person_id)
        instrument = work.instrument(name)
        filled = Filled({"referral_id": (referral.id,), "client_uuid": (work.new_id(),)})
        work.audit("read", f"person/{person.id}", person.id)
    return _print(desk, actor, instrument, person, filled)


def _print(
    desk: Desk, actor: Actor, instrument: Instrument, person: Person, filled: Filled, status: int = 200
) -> Response:
    view = _view(instrument, desk.words, person, filled)
    title = desk.words.say(
        "questions.title", title=desk.words.called(instrument.id, instrument.title), given=person.given
    )
    found: tuple[Problem, ...] = problems(filled, [question.control for question in view.questions])
    return desk.page(
        "questions.html", title, actor, here="/people", status=status, narrow=True, view=view, problems=found
    )


# -- what came back


def _save(desk: Desk, person_id: str, name: str) -> Response:
    actor = desk.staff(PEER)
    posted = desk.posted()
    data, filled = read(AnswersForm(), posted, desk.words)
    person: Person | None = None
    instrument = desk.parts.instruments[name]
    try:
        with desk.work(actor) as work:
            person, referral = writable(work, actor, person_id)
            if data.get("referral_id") not in (None, "", referral.id):
                raise NotFoundHere
            if not (filled := _checked(instrument, posted, filled, desk.words)).good:
                return _print(desk, actor, instrument, person, filled, 422)
            draft = _draft(work, actor, person, referral.id, instrument, posted, data)
            safe_now = data["safe_now"] if data["safe_now"] in SAFE_NOW else None
            saved = steps.record_outcome(work, draft, safe_now=safe_now)
    except NotFoundHere:
        raise
    except Refusal as refusal:
        if person is None:
            raise
        back = refused(filled, refusal, desk.words)
        return _print(desk, actor, instrument, person, back, fault_of(refusal).status)
    return Response(status=303, headers={"Location": f"/people/{person.id}/{name}/{saved.id}"})


def _checked(instrument: Instrument, posted: Posted, filled: Filled, words: Words) -> Filled:
    """Each answer is one of those offered, or none."""
    wrong = dict(filled.errors)
    for item in instrument.items:
        given = [value for value in posted.get(item.link_id, ()) if value]
        if len(given) > 1 or not {option.code for option in item.options}.issuperset(given):
            wrong[item.link_id] = words.say("errors.not_offered")
    return Filled(filled.values, wrong, filled.general)


def _draft(
    work: Work, actor: Actor, person: Person, referral_id: str, instrument: Instrument, posted: Posted,
    data: Mapping[str, Any],
) -> Outcome:  # fmt: skip
    given = {item.link_id: posted[item.link_id][0] for item in instrument.items if posted.get(item.link_id)}
    return Outcome(
        id="",
        program_id=actor.program_id,
        person_id=person.id,
        instrument_id=instrument.id,
        number="",
        answered_at=work.now(),
        answers={link_id: code for link_id, code in given.items() if code},
        referral_id=referral_id,
        client_uuid=data["client_uuid"] or None,
    )


# -- afterwards


def _answers(desk: Desk, person_id: str, outcome_id: str, name: str) -> Response:
    """Thanks, the total, and, where an answer needs someone to act, help first."""
    actor = desk.staff(WITH_PEOPLE)
    words = desk.words
    with desk.work(actor) as work:
        person, _ = seen_by(work, actor, person_id)
        outcome = work.outcome(outcome_id)
        if outcome.person_id != person.id or outcome.instrument_id != name:
            raise NotFoundHere
        instrument = work.instrument(name)
        alarm = alarm_of(desk, work, person, f"outcome:{outcome.id}")
        work.audit("read", f"outcome/{outcome.id}", person.id)
    total = "" if outcome.total is None else words.say("score.total", total=outcome.total, high=instrument.scale.high)
    return desk.page(
        "score.html", words.say("score.title", given=person.given), actor, here="/people", narrow=True,
        crisis=alarm is not None and not alarm.skipped, alarm=alarm, total=total,
        label=words.say("score.total_label", title=words.called(instrument.id, instrument.title)),
        band=words.say("score.band", band=outcome.band_label) if outcome.band_label else "",
        back=f"/people/{person.id}", given=person.given,
    )  # fmt: skip
