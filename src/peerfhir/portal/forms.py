"""marshmallow schemas of what the pages post; each mistake is the key of a sentence."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load

from peerfhir.pathway.vocabulary import ClosingReason, ContactOutcome, DeclineReason, Intervention, Modality, Stage
from peerfhir.portal.fields import Filled
from peerfhir.portal.words import Calendar, Words

NOTE_CHARACTERS = 600  # of a working note; domain.md 7.1
SUMMARY_WORDS = 120  # domain.md 7.1
SENTENCE_CHARACTERS = 500
LINE_CHARACTERS = 200
MOST_MINUTES = 24 * 60
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class _Wrong(ValidationError):
    """A sentence of the catalogue by its key, with what fills its slots."""

    def __init__(self, key: str, **slots: object) -> None:
        super().__init__(key)
        self.messages = [(key, slots)]


class _Text(fields.Field[str]):
    """Words of a person: ends trimmed, lines ended by \\n, no control characters.

    limit   characters, counted as the person sees them
    words   words
    Source  FHIR R4 string: no characters below 32 but tab, carriage return, line feed
    """

    def __init__(self, *, limit: int = LINE_CHARACTERS, words: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._limit = limit
        self._words = words

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = str(value).replace("\r\n", "\n").replace("\r", "\n").strip()
        if any(unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\n\t" for letter in text):
            raise _Wrong("bad_text")
        if len(text) > self._limit:
            raise _Wrong("too_long", limit=self._limit)
        if self._words is not None and len(text.split()) > self._words:
            raise _Wrong("too_many_words", limit=self._words)
        if self.required and not text:
            raise _Wrong("needed")
        return text


class _Password(fields.Field[str]):
    """Exactly what was typed."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return str(value)[:1000]


class _Offered(fields.Field[Any]):
    """One of the answers that the page offers."""

    def __init__(self, choices: type[StrEnum], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._choices = choices

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if value == "":
            if self.required:
                raise _Wrong("needed")
            return None
        try:
            return self._choices(value)
        except ValueError:
            raise _Wrong("not_offered") from None


class _Moment(fields.Field[Any]):
    """A wall-clock time of the program, without its zone: "2026-11-25T10:00"."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime | None:
        if value == "":
            if self.required:
                raise _Wrong("needed")
            return None
        for shape in ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"):
            try:
                return datetime.strptime(value, shape)  # noqa: DTZ007 - the zone is the program's
            except ValueError:
                continue
        raise _Wrong("not_a_time")


class _Day(fields.Field[Any]):
    """A day: "2026-11-25"."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if value == "":
            return None
        try:
            return datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            raise _Wrong("not_a_date") from None


class _Minutes(fields.Field[Any]):
    """Whole minutes, or none given."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int | None:
        text = str(value).strip()
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 5):
            raise _Wrong("not_a_number")
        if not 1 <= int(text) <= MOST_MINUTES:
            raise _Wrong("number_range", low=1, high=MOST_MINUTES)
        return int(text)


class _Key(fields.Field[str]):
    """The key that the form was given, so that the same form twice is once; anything else is no key."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = str(value)
        return text if _UUID.fullmatch(text) else ""


class _Tick(fields.Field[bool]):
    """A box that is ticked, whatever it is called."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        return value not in ("", "no", "off", "false", "0")


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

    login = _Text(required=True, limit=200)
    password = _Password(required=True)
    next = _Text(load_default="", limit=500)


class NothingForm(PageForm):
    """A button alone."""


class SentenceForm(PageForm):
    """A sentence that somebody else reads."""

    sentence = _Text(required=True, limit=SENTENCE_CHARACTERS)


class MaybeSentenceForm(PageForm):
    """A sentence, if one likes."""

    sentence = _Text(load_default="", limit=SENTENCE_CHARACTERS)


class DeclineForm(SentenceForm):
    """Why the program cannot take a referral."""

    reason = _Offered(DeclineReason, required=True)


class ContactForm(PageForm):
    """One try to get in touch."""

    channel = _Offered(Modality, required=True)
    outcome = _Offered(ContactOutcome, required=True)


class MeetingForm(PageForm):
    """When the first meeting is."""

    at = _Moment(required=True)


class StageForm(PageForm):
    """Where person and peer are."""

    stage = _Offered(Stage, required=True)


class CloseForm(PageForm):
    """How walking together ends."""

    reason = _Offered(ClosingReason, required=True)


class NoteForm(PageForm):
    """A meeting of one person and one peer, in two layers."""

    several = frozenset({"interventions"})

    client_uuid = _Key(load_default="")
    started_at = _Moment(required=True)
    ended_at = _Moment(required=True)
    minutes = _Minutes(load_default=None)
    modality = _Offered(Modality, required=True)
    setting = _Text(load_default="", limit=40)
    interventions = fields.List(_Offered(Intervention), load_default=list)
    working_note = _Text(load_default="", limit=NOTE_CHARACTERS)
    summary = _Text(load_default="", limit=4000, words=SUMMARY_WORDS)
    keep_between_us = _Tick(load_default=False)
    next_step = _Text(load_default="")
    next_on = _Day(load_default=None)
    worry = _Tick(load_default=False)


class GroupForm(PageForm):
    """A group meeting: who was there, about what, and one summary for all."""

    several = frozenset({"attendees"})

    client_uuid = _Key(load_default="")
    topic = _Text(required=True, limit=100)
    started_at = _Moment(required=True)
    ended_at = _Moment(required=True)
    modality = _Offered(Modality, required=True)
    attendees = fields.List(_Text(limit=64), load_default=list)
    summary = _Text(load_default="", limit=4000, words=SUMMARY_WORDS)
    working_note = _Text(load_default="", limit=NOTE_CHARACTERS)


class AnswersForm(PageForm):
    """What stands beside the answers of a questionnaire."""

    client_uuid = _Key(load_default="")
    referral_id = _Text(load_default="", limit=64)
    safe_now = _Text(load_default="", limit=10)


class ChooseForm(PageForm):
    """The peer a person would like; empty or "none" for none of these."""

    peer_id = _Text(load_default="", limit=64)
