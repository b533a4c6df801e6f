"""Records with every field filled, made from the dataclasses themselves and a seed."""

from __future__ import annotations

import random
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from peerfhir.fhir.labels import Projected
from peerfhir.pathway.outcome import Instrument, Scale
from peerfhir.pathway.people import Actor, Identifier, Person, Program
from peerfhir.pathway.referral import Origin, Referral
from peerfhir.pathway.vocabulary import Recipient, Role, Status, TaskStatus

WORDS = ("Inés", "quiet", "o'clock", "a; b", "雪", 'say "so"', "line\nbreak", "%s", "{{x}}", "\\", "0", " ")
PROGRAMS = {name: Program(name, name.title()) for name in ("north", "south")}


class Maker:
    """Makes values of any annotated type. `full` fills every optional part."""

    def __init__(self, seed: int, *, full: bool = False) -> None:
        print(f"seed {seed}")
        self.random = random.Random(seed)
        self.full = full

    def id(self) -> str:
        return f"{self.random.getrandbits(64):016x}"

    def record(self, kind: type[Any], program_id: str = "north", **given: Any) -> Any:
        """A record that was never saved, of this program."""
        given = {"id": self.id(), "program_id": program_id, "version": 0, **given}
        if "number" in (names := {one.name for one in fields(kind)}):
            given.setdefault("number", f"{kind.__name__[:2].upper()}-{self.id()}")
        for name in names & {"client_uuid", "source"}:
            given.setdefault(name, self.id())
        if kind is Referral:
            given.setdefault("origin", Origin("clinic", "clinic", self.id(), self.id(), self.id()))
            given.setdefault("told", None)
            given.setdefault("closed_at", None)
        return self._dataclass(kind, given)

    def _dataclass(self, kind: type[Any], given: Mapping[str, Any]) -> Any:
        hints = typing.get_type_hints(kind)
        names = [one.name for one in fields(kind)]
        return kind(**{name: given[name] if name in given else self.value(hints[name]) for name in names})

    def value(self, hint: Any) -> Any:
        origin, inner = typing.get_origin(hint), typing.get_args(hint)
        if origin in (types.UnionType, typing.Union):
            some = [one for one in inner if one is not type(None)]
            return None if not self.full and self.random.random() < 0.3 else self.value(self.random.choice(some))
        if origin is tuple:
            return tuple(self.value(inner[0]) for _ in range(self._size()))
        if origin is frozenset:
            return frozenset(self.value(inner[0]) for _ in range(self._size()))
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return {self.id(): self.value(inner[1]) for _ in range(self._size())}
        if is_dataclass(hint):
            return self._dataclass(hint, {})
        return self._plain(hint)

    def _size(self) -> int:
        return self.random.randint(1 if self.full else 0, 3)

    def _plain(self, hint: Any) -> Any:
        if issubclass(hint, StrEnum):
            return self.random.choice(list(hint))
        if hint is bool:
            return self.random.random() < 0.5
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.random.randrange(10**14))
        made = {
            str: f"{self.random.choice(WORDS)} {self.id()[:4]}",
            int: self.random.randint(0, 500),
            Decimal: Decimal(self.random.randint(-999, 999)).scaleb(-self.random.randint(0, 3)),
            datetime: moment,
            date: moment.date(),
        }
        return made[hint]


def actor(program_id: str = "north", role: Role = Role.COORDINATOR) -> Actor:
    return Actor(f"u-{role}", role, program_id)


def person(maker: Maker, program_id: str = "north", **given: Any) -> Person:
    """A person with one identifier of their own."""
    given.setdefault("identifiers", (Identifier("http://hospital.example/mrn", maker.id()),))
    return maker.record(Person, program_id, **given)


def referral(
    maker: Maker, who: str, program_id: str = "north", endpoint: str | None = "clinic", **given: Any
) -> Referral:
    """An open referral from a hospital we can write back to."""
    given = {"status": Status.TRIAGE, "task_status": TaskStatus.REQUESTED, **given}
    made = maker.record(Referral, program_id, person_id=who, **given)
    return replace(made, origin=replace(made.origin, endpoint=endpoint))


def nothing_to_show(record: object, context: object) -> list[Projected]:
    return []


def instrument() -> Instrument:
    scale = Scale("total", ("a",), Decimal(0), Decimal(3))
    return Instrument("phq-9", "PHQ-9", "1", "http://x.example", "44249-1", "44261-6", "p", "t", (), scale)


RECIPIENTS = {"clinic": Recipient.HOSPITAL, "other": Recipient.REFERRER}
