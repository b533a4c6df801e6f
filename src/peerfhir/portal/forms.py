"""marshmallow schemas of what the pages post."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load

from peerfhir.pathway.vocabulary import ClosingReason, ContactOutcome, DeclineReason, Intervention, Modality, Stage
from peerfhir.portal.entries import Day, Key, Minutes, Moment, Offered, Password, Text, Tick
from peerfhir.portal.fields import Filled
from peerfhir.portal.words import Calendar, Words

NOTE_CHARACTERS = 600  # of a working note; docs/rules.md, Notes
SUMMARY_WORDS = 120  # docs/rules.md, Notes
SENTENCE_CHARACTERS = 500


class PageForm(Schema):
    """What a page posts: names to one value each, but for those in `several`. Names it does not know are ignored."""

    class Meta:
        unknown = EXCLUDE

    several: frozenset[str] = frozenset()

    @pre_load
    def _singly(self, data: Mapping[str, tuple[str, ...]], **kwargs: Any) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for name, declared in self.fields.items():
            values = data.get(name, ())
            if name in self.several:
                flat[name] = [value for value in values if value]
            elif len(values) > 1:
                raise ValidationError({name: [("not_offered", {})]})
            elif values or declared.required:
                flat[name] = values[0] if values else ""
        return flat


def read(form: PageForm, posted: Mapping[str, tuple[str, ...]], words: Words) -> tuple[dict[str, Any], Filled]:
    """What was posted, as values of the pathway; beside it what was entered, with a sentence for each mistake.

    Returns  only the values that are right when something needs another look
    """
    try:
        return dict(form.load(posted)), Filled(posted)
    except ValidationError as wrong:
        found = wrong.messages if isinstance(wrong.messages, dict) else {}
        return dict(wrong.valid_data or {}), Filled(
            posted, {name: _sentence(each, words) for name, each in found.items()}
        )


def _sentence(found: Any, words: Words) -> str:
    """The first mistake of a field in words."""
    while isinstance(found, dict | list):  # a list of values says which of them; the page says it of all
        found = next(iter(found.values() if isinstance(found, dict) else found))
    key, slots = found if isinstance(found, tuple) else ("needed", {})
    return words.say(f"errors.{key}", **slots)


def wall_clock(
    data: dict[str, Any], filled: Filled, names: Iterable[str], calendar: Calendar, words: Words
) -> tuple[dict[str, Any], Filled]:
    """The named wall-clock times as instants of the program's zone.

    An hour that never was is a mistake, and so is an end that is not after its start.
    """
    wrong = dict(filled.errors)
    for name in names:
        if isinstance(data.get(name), datetime):
            data[name] = calendar.instant(data[name])
            if data[name] is None:
                wrong[name] = words.say("errors.gap")
    start, end = data.get("started_at"), data.get("ended_at")
    if start is not None and end is not None and end <= start:
        wrong["ended_at"] = words.say("errors.ends_before")
    return data, Filled(filled.values, wrong, filled.general)


class SignInForm(PageForm):
    """Name and password; `next` is where the person wanted to go."""

    login = Text(required=True, limit=200)
    password = Password(required=True)
    next = Text(load_default="", limit=500)


class NothingForm(PageForm):
    """A button alone."""


class SentenceForm(PageForm):
    """A sentence that somebody else reads."""

    sentence = Text(required=True, limit=SENTENCE_CHARACTERS)


class MaybeSentenceForm(PageForm):
    """A sentence, if one likes."""

    sentence = Text(load_default="", limit=SENTENCE_CHARACTERS)


class DeclineForm(SentenceForm):
    """Why the program cannot take a referral."""

    reason = Offered(DeclineReason, required=True)


class ContactForm(PageForm):
    """One try to get in touch."""

    channel = Offered(Modality, required=True)
    outcome = Offered(ContactOutcome, required=True)
    client_uuid = Key(load_default="")


class MeetingForm(PageForm):
    """When the first meeting is."""

    at = Moment(required=True)


class StageForm(PageForm):
    """Where person and peer are."""

    stage = Offered(Stage, required=True)


class CloseForm(PageForm):
    """How walking together ends."""

    reason = Offered(ClosingReason, required=True)


class NoteForm(PageForm):
    """A meeting of one person and one peer, in two layers."""

    several = frozenset({"interventions"})

    client_uuid = Key(load_default="")
    started_at = Moment(required=True)
    ended_at = Moment(required=True)
    minutes = Minutes(load_default=None)
    modality = Offered(Modality, required=True)
    setting = Text(load_default="", limit=40)
    interventions = fields.List(Offered(Intervention), load_default=list)
    working_note = Text(load_default="", limit=NOTE_CHARACTERS)
    summary = Text(load_default="", limit=4000, words=SUMMARY_WORDS)
    keep_between_us = Tick(load_default=False)
    next_step = Text(load_default="")
    next_on = Day(load_default=None)
    worry = Tick(load_default=False)


class GroupForm(PageForm):
    """A group meeting: who was there, about what, and one summary for all."""

    several = frozenset({"attendees"})

    client_uuid = Key(load_default="")
    topic = Text(required=True, limit=100)
    started_at = Moment(required=True)
    ended_at = Moment(required=True)
    modality = Offered(Modality, required=True)
    attendees = fields.List(Text(limit=64), load_default=list)
    summary = Text(load_default="", limit=4000, words=SUMMARY_WORDS)
    working_note = Text(load_default="", limit=NOTE_CHARACTERS)


class AnswersForm(PageForm):
    """What stands beside the answers of a questionnaire."""

    client_uuid = Key(load_default="")
    referral_id = Text(load_default="", limit=64)
    safe_now = Text(load_default="", limit=10)


class ChooseForm(PageForm):
    """The peer a person would like; empty or "none" for none of these."""

    peer_id = Text(load_default="", limit=64)
