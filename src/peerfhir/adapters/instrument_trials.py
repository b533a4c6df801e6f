"""`instruments test` and `instruments list`: what the examples of an instrument gave, and what an instrument is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from peerfhir.adapters.instrument_examples import Verdict, lacking, verdicts
from peerfhir.adapters.instruments import Shelved
from peerfhir.mapping.problems import Problem
from peerfhir.mapping.told import as_json, counted
from peerfhir.pathway.outcome import Change, Instrument, Schedule

Json = Any


@dataclass(frozen=True)
class Tried:
    """The examples of one instrument, and those that it needs and has not."""

    name: str
    verdicts: tuple[Verdict, ...]
    lacking: tuple[Problem, ...]

    @property
    def failed(self) -> bool:
        return bool(self.lacking) or any(one.problems for one in self.verdicts)

    def lines(self) -> Iterator[str]:
        """For a person: one line for each example, and what is wrong below it."""
        yield self.name
        width = max((len(one.path.stem) for one in self.verdicts), default=0) + 2
        for one in self.verdicts:
            yield f"  {one.path.stem:<{width}}{'FAIL' if one.problems else 'pass'}"
            yield from (f"    {problem}" for problem in one.problems)
        yield from (f"  {problem}" for problem in self.lacking)
        failed = sum(bool(one.problems) for one in self.verdicts)
        yield f"  {counted(len(self.verdicts), 'example')}, {failed or 'none'} failed"

    def json(self) -> dict[str, Json]:
        """For a program."""
        examples = [
            {"name": one.path.stem, "passed": not one.problems, "problems": [as_json(each) for each in one.problems]}
            for one in self.verdicts
        ]
        return {"id": self.name, "examples": examples, "lacking": [as_json(one) for one in self.lacking]}


def tried(folder: Path, instrument: Instrument, word: str = "") -> Tried:
    """Run the examples of an instrument.

    folder  the instrument's
    word    only examples whose name holds it; which ones are lacking is asked only without it, and when all pass
    """
    examples = folder / "examples"
    found = tuple(one for one in verdicts(examples, instrument) if word in one.path.stem)
    ready = not word and not any(one.problems for one in found)
    return Tried(folder.name, found, tuple(lacking(examples, instrument)) if ready else ())


@dataclass(frozen=True)
class Row:
    """One line of the list."""

    HEAD: ClassVar[tuple[str, ...]] = (
        "id", "version", "title", "items", "range", "missing", "licence", "change", "asked",
    )  # fmt: skip
    instrument: Instrument
    licence: str

    def cells(self) -> tuple[str, ...]:
        """As text, in the order of HEAD."""
        one, scale = self.instrument, self.instrument.scale
        return (
            one.id, one.version, one.title, f"{len(scale.items)} of {len(one.items)}", f"{scale.low}-{scale.high}",
            f"up to {scale.max_missing}" if scale.max_missing else "none", self.licence,
            _changed(one.change), _asked(one.schedule),
        )  # fmt: skip

    def json(self) -> dict[str, Json]:
        """For a program; what an instrument does not say is null."""
        one, scale = self.instrument, self.instrument.scale
        change, schedule = one.change, one.schedule
        return {
            "id": one.id, "version": one.version, "title": one.title, "url": one.url, "items": len(one.items),
            "scored": len(scale.items), "range": [scale.low, scale.high], "missing": scale.max_missing,
            "licence": self.licence,
            "change": {"mcid": change.mcid, "reliable": change.reliable, "source": change.source} if change else None,
            "schedule": vars(schedule) if schedule else None,
        }  # fmt: skip


def row(shelved: Shelved) -> Row | None:
    """The line of an instrument; None for one that was not loaded."""
    return Row(shelved.instrument, shelved.licence) if shelved.instrument else None


def _changed(change: Change | None) -> str:
    if change is None:
        return "-"
    parts: list[tuple[str, Decimal | None]] = [("mcid", change.mcid), ("reliable", change.reliable)]
    return ", ".join(f"{name} {value}" for name, value in parts if value is not None)


def _asked(schedule: Schedule | None) -> str:
    if schedule is None:
        return "-"
    return f"day {schedule.baseline_days}, then every {schedule.every_days} (+/-{schedule.window_days})"
