"""FHIR sessions for tests: an engine, a store, and nothing that forbids."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from peerfhir.clock import Clock, SystemClock
from peerfhir.fhir import capability
from peerfhir.fhir.labels import Labels
from peerfhir.fhir.reader import Json, read
from peerfhir.fhir.rest import Call, Change, Reply, Rest
from peerfhir.fhir.store import Store
from peerfhir.fhir.writer import write
from peerfhir.records.database import reading, writing

BASE = "https://peerfhir.example/fhir"
EXAMPLES = Path(__file__).parent.parent / "fhir" / "examples"


@dataclass
class OpenSession:
    """Everything is allowed, nothing is changed, every change is remembered."""

    store: Store
    labels: Labels
    seen: list[Change] = field(default_factory=list)

    def may(self, interaction: str, resource_type: str) -> None: ...

    def before_write(self, method: str, resource: Json, previous: Json | None, if_match: str | None) -> Json:
        return resource

    def after_writes(self, changes: Sequence[Change], call: Call) -> None:
        self.seen.extend(changes)


class Server:
    """A Rest over an engine, and short words for asking it."""

    def __init__(self, engine: Engine, clock: Clock | None = None, *, source: str = "riverside",
                 program: str = "", session: Callable[..., Any] = OpenSession, **options: Any) -> None:  # fmt: skip
        self.engine = engine
        self.clock = clock or SystemClock()
        self.program = program or str(uuid.uuid4())
        self.labels = Labels(source=source)
        self.seen: list[Change] = []
        self.session = session
        self.rest = Rest(self.open, lambda: capability.build("PeerFHIR", base=BASE), **options)

    @contextmanager
    def open(self, call: Call, writes: bool) -> Iterator[Any]:
        with (writing if writes else reading)(self.engine) as connection:
            yield self.session(Store(connection, self.program, self.clock), self.labels, self.seen)

    def ask(self, method: str, path: str, body: Json = None, **headers: str) -> Reply:
        where, _, query = path.partition("?")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        raw = b"" if body is None else write(body)
        return self.rest.answer(Call(method, where, query, named, body, BASE, raw))

    def get(self, path: str, **headers: str) -> Json:
        reply = self.ask("GET", path, **headers)
        assert reply.status == 200, reply
        return read(reply.body, max_bytes=10**8)

    def post(self, resource: Json, **headers: str) -> Json:
        reply = self.ask("POST", resource["resourceType"], resource, **headers)
        assert reply.status == 201, reply.body
        return read(reply.body)


def example(name: str) -> Json:
    """One of the example resources, fresh."""
    return read((EXAMPLES / f"{name}.json").read_bytes())


def referral(number: int = 1) -> Json:
    """The referral transaction of the hospital, under identifiers and addresses of its own."""
    bundle = example("Bundle-referral-transaction")
    text = write(bundle).decode()
    for old in ("MRN-1001", "ORD-1001", "T-77", "CON-501", "/p1", "/sr1", "/t1", "/consent0"):
        text = text.replace(old, f"{old}-{number}")
    return read(text.encode())


def issues(reply: Reply) -> list[tuple[str, str]]:
    """(code, expression) of each issue of an OperationOutcome."""
    outcome = read(reply.body)
    assert outcome["resourceType"] == "OperationOutcome", outcome
    return [(one["code"], (one.get("expression") or [""])[0]) for one in outcome["issue"]]
