"""The catalogue of words: every sentence that a page shows, from words.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from peerfhir.config import compose

CATALOGUE = Path(__file__).with_name("words.yaml")
_NEAR_DAYS = 180  # further away, a day needs its year
_SLOT = re.compile(r"\{([a-z0-9_]+)\}")


class Words:
    """Sentences by dotted key: `say("queue.since", when=...)`.

    A slot that the page does not fill shows nothing, so that an edited sentence can never break a page.
    """

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self._tree = tree

    def _find(self, key: str) -> Any:
        found: Any = self._tree
        for name in key.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def say(self, key: str, /, **values: object) -> str:
        """The sentence, its {slots} filled. Raises KeyError when the catalogue has no such sentence."""
        found = self._find(key)
        if found is None or isinstance(found, Mapping | list):
            raise KeyError(key)
        return _SLOT.sub(lambda slot: str(values.get(slot[1], "")), str(found))

    def knows(self, key: str) -> bool:
        """There is a sentence under this key."""
        found = self._find(key)
        return found is not None and not isinstance(found, Mapping | list)

    def called(self, instrument_id: str, title: str) -> str:
        """What a questionnaire is called in short, where the catalogue says so; else its title."""
        key = f"instruments.{instrument_id}"
        return self.say(key) if self.knows(key) else title

    def under(self, key: str) -> dict[str, str]:
        """The sentences one level below a key, in the order of the catalogue."""
        found = self._find(key)
        if not isinstance(found, Mapping):
            raise KeyError(key)
        return {name: str(text) for name, text in found.items() if not isinstance(text, Mapping | list)}

    def names(self, key: str) -> tuple[str, ...]:
        """A list of the catalogue, for example the months."""
        found = self._find(key)
        if not isinstance(found, list):
            raise KeyError(key)
        return tuple(str(text) for text in found)

    def sentences(self) -> tuple[str, ...]:
        """Every dotted key of a sentence."""

        def walk(tree: Mapping[str, Any], before: str) -> list[str]:
            found: list[str] = []
            for name, below in tree.items():
                if isinstance(below, Mapping):
                    found += walk(below, f"{before}{name}.")
                elif not isinstance(below, list):
                    found.append(f"{before}{name}")
            return found

        return tuple(walk(self._tree, ""))


@cache
def catalogue(path: Path = CATALOGUE) -> Words:
    """The words of one file. Raises config.YamlProblem with the place of a mistake."""
    return Words(compose(path).plain())


class Calendar:
    """Days and times as people of the program write them."""

    def __init__(self, words: Words, zone: str, now: datetime) -> None:
        self._words = words
        self.zone = ZoneInfo(zone)
        self._today = self.local(now).date()

    def local(self, instant: datetime) -> datetime:
        """An instant in the program's own time."""
        return instant.astimezone(self.zone)

    def instant(self, local: datetime) -> datetime | None:
        """A wall-clock time of the program -> UTC; None for an hour that the change of clocks leaves out."""
        found = local.replace(tzinfo=self.zone).astimezone(UTC)
        return found if found.astimezone(self.zone).replace(tzinfo=None) == local else None

    def control(self, instant: datetime) -> str:
        """An instant as a date-and-time control holds it: to the minute."""
        return self.local(instant).strftime("%Y-%m-%dT%H:%M")

    def time(self, instant: datetime) -> str:
        """The time of day."""
        local = self.local(instant)
        half = self._words.say("dates.am" if local.hour < 12 else "dates.pm")
        slots = {"hour12": (local.hour - 1) % 12 + 1, "hour24": f"{local.hour:02}", "minute": f"{local.minute:02}"}
        return self._words.say("dates.time", ampm=half, **slots)

    def day(self, day: date) -> str:
        """A day with its weekday."""
        return self._words.say("dates.day", **self._slots(day))

    def day_year(self, day: date) -> str:
        """A day with its year."""
        return self._words.say("dates.day_year", **self._slots(day))

    def moment(self, instant: datetime) -> str:
        """A day and a time, short for what is near."""
        day = self.local(instant).date()
        name = {0: "today", 1: "yesterday", -1: "tomorrow"}.get((self._today - day).days)
        if name is None:
            name = "moment" if abs((self._today - day).days) < _NEAR_DAYS else "moment_year"
        return self._words.say(f"dates.{name}", time=self.time(instant), **self._slots(day))

    def _slots(self, day: date) -> dict[str, object]:
        words = self._words
        return {
            "weekday": words.names("dates.days")[day.weekday()],
            "month": words.names("dates.months")[day.month - 1],
            "day": day.day,
            "year": day.year,
        }
