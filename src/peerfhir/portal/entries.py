"""Kinds of entries in a form: text, choices, times; each mistake is the key of a sentence."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from enum import StrEnum
from typing import Any

from marshmallow import ValidationError, fields

LINE_CHARACTERS = 200
MOST_MINUTES = 24 * 60
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Wrong(ValidationError):
    """A sentence of the catalogue by its key, with what fills its slots."""

    def __init__(self, key: str, **slots: object) -> None:
        super().__init__(key)
        self.messages = [(key, slots)]


class Text(fields.Field[str]):
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
            raise Wrong("bad_text")
        if len(text) > self._limit:
            raise Wrong("too_long", limit=self._limit)
        if self._words is not None and len(text.split()) > self._words:
            raise Wrong("too_many_words", limit=self._words)
        if self.required and not text:
            raise Wrong("needed")
        return text


class Password(fields.Field[str]):
    """Exactly what was typed."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return str(value)[:1000]


class Offered(fields.Field[Any]):
    """One of the answers that the page offers."""

    def __init__(self, choices: type[StrEnum], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._choices = choices

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if value == "":
            if self.required:
                raise Wrong("needed")
            return None
        try:
            return self._choices(value)
        except ValueError:
            raise Wrong("not_offered") from None


class Moment(fields.Field[Any]):
    """A wall-clock time of the program, without its zone: "2026-11-25T10:00"."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime | None:
        if value == "":
            if self.required:
                raise Wrong("needed")
            return None
        for shape in ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"):
            try:
                return datetime.strptime(value, shape)  # noqa: DTZ007 - the zone is the program's
            except ValueError:
                continue
        raise Wrong("not_a_time")


class Day(fields.Field[Any]):
    """A day: "2026-11-25"."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if value == "":
            return None
        try:
            return datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            raise Wrong("not_a_date") from None


class Minutes(fields.Field[Any]):
    """Whole minutes, or none given."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int | None:
        text = str(value).strip()
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 5):
            raise Wrong("not_a_number")
        if not 1 <= int(text) <= MOST_MINUTES:
            raise Wrong("number_range", low=1, high=MOST_MINUTES)
        return int(text)


class Key(fields.Field[str]):
    """The key that the form was given, so that the same form twice is once; anything else is no key."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = str(value)
        return text if _UUID.fullmatch(text) else ""


class Tick(fields.Field[bool]):
    """A box that is ticked, whatever it is called."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        return value not in ("", "no", "off", "false", "0")
