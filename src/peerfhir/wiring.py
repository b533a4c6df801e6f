"""Builds the web app, the worker and the practice hospital from configuration; the only file that knows every room."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from peerfhir.clock import SystemClock
from peerfhir.config import Settings, compose
from peerfhir.config.load import load
from peerfhir.errors import BadConfiguration, BadRequest, DatabaseBusy, Fault, NotFound
from peerfhir.pathway.people import Actor, Peer, Program, Weights
from peerfhir.pathway.vocabulary import CompleteOn, Modality, Recipient, Role, ServiceType

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine

    from peerfhir.access.accounts import Account
    from peerfhir.access.clients import Client
    from peerfhir.inbox.process import Inbox
    from peerfhir.mapping.registry import Mappings
    from peerfhir.outbox.deliver import Outbox
    from peerfhir.pathway.outcome import Instrument
    from peerfhir.records.work import Office

E = TypeVar("E", bound=StrEnum)
_INBOX_COLUMNS = ("id", "program_id", "source", "received_at", "state", "reason", "attempts", "record_id")
_OUTBOX_COLUMNS = ("id", "program_id", "endpoint", "idem", "state", "form", "rung", "reason", "attempts", "created_at")
_FASTEST_POLL_SECONDS = 0.05
_SLOWEST_POLL_SECONDS = 0.5
_TURN_SECONDS = 0.25  # how long a turn waits for hospitals; slower answers are found by later turns
_FINISH_SECONDS = 8.0
_SWITCH_SECONDS = 0.002
BLOCKING_THREADS = 256  # two workers with these hold against 400 slow clients; see docs/operating.md
BACKPRESSURE = 1000
BACKLOG = 2048
HEADER_READ_MILLISECONDS = 10_000
KILL_SECONDS = 10


@dataclass(frozen=True)
class House:
    """One configured PeerFHIR: its rooms are opened when they are first needed."""

    settings: Settings

    @classmethod
    def open(cls, config: Path, environ: Mapping[str, str]) -> House:
        """Read the configuration. Raises BadConfiguration with every problem."""
        from peerfhir.fhir import site

        mappings = environ.get("PEERFHIR_MAPPINGS")
        settings = load(config, environ, mappings_dir=Path(mappings) if mappings else None)
        site.use(settings.config_dir / site.FOLDER)
        return cls(settings)

    # -- the database --------------------------------------------------------------------------------------

    @property
    def database_name(self) -> str:
        """The database without its password."""
        from sqlalchemy import make_url

        return make_url(self.settings.database_url).render_as_string(hide_password=True)

    def migrate(self) -> None:
        """Bring the schema up to date."""
        from peerfhir.records.database import upgrade

        upgrade(self.engine)

    def migrate_if_new(self) -> None:
        """Make the schema of an embedded database that does not exist yet; an old one is never changed unasked."""
        prefix = "sqlite:///"
        url = self.settings.database_url
        if url.startswith(prefix) and not Path(url.removeprefix(prefix)).exists():
            self.migrate()

    def check_schema(self) -> None:
        """Raises BadConfiguration when the schema is not the one this version needs, or there is no database."""
        from peerfhir.records.database import check_schema

        try:
            check_schema(self.engine)
        except BadConfiguration:
            raise
        except Fault as fault:
            sentence = (
                "the database does not answer" if isinstance(fault, DatabaseBusy) else "this is no database of ours"
            )
            raise BadConfiguration((f"PEERFHIR_DATABASE_URL: {sentence}",)) from fault

    def check(self) -> None:
        """Everything that a service opens when it starts. Raises BadConfiguration."""
        from peerfhir.fhir import site

        self.check_schema()
        _ = self.programs, self.instruments, self.mappings, site.judge()
        self.engine.dispose()  # `serve` forks after this: no child may hold our connection

    # -- the rooms -------------------------------------------------------------------------------------------

    @cached_property
    def clock(self) -> SystemClock:
        """This machine's clock."""
        return SystemClock()

    @cached_property
    def engine(self) -> Engine:
        """The database."""
        from peerfhir.records.database import open_engine

        prefix = "sqlite:///"
        if self.settings.database_url.startswith(prefix):
            Path(self.settings.database_url.removeprefix(prefix)).parent.mkdir(parents=True, exist_ok=True)
        return open_engine(self.settings.database_url)

    @cached_property
    def programs(self) -> dict[str, Program]:
        """The programs as the pathway knows them."""
        made = {}
        for each in self.settings.programs.values():
            try:
                weights = Weights(**each.weights)
            except TypeError as fault:
                raise BadConfiguration(
                    (f"{self.settings.config_dir / 'program.yaml'}:1:1: {each.id}.weights: an unknown criterion",)
                ) from fault
            made[each.id] = Program(
                id=each.id,
                name=each.name,
                complete_on=CompleteOn(each.complete_on),
                caseload_cap=Decimal(each.caseload_cap),
                contact_attempts=each.contact_attempts,
                weights=weights,
                time_zone=each.time_zone,
                recipients=frozenset(Recipient(one) for one in each.recipients),
                crisis_line=each.crisis_line,
            )
        return made

    @cached_property
    def instruments(self) -> Mapping[str, Instrument]:
        """The questionnaires of config/instruments."""
        from peerfhir.adapters.instruments import load_instruments

        return load_instruments(self.settings.config_dir / "instruments")

    @cached_property
    def mappings(self) -> Mappings:
        """The mappings, every one checked."""
        from peerfhir.adapters.pieces import NEEDED
        from peerfhir.adapters.questionnaires import forms
        from peerfhir.mapping.registry import Mappings

        loaded = Mappings.load(
            self.settings.mappings_dir,
            canonical=self.settings.canonical,
            instruments=forms(self.settings.config_dir / "instruments", self.instruments),
        )
        known = frozenset(loaded.ids())
        problems = [
            f"{self.settings.mappings_dir / name}:1:1: this mapping is needed and not there"
            for name in sorted(NEEDED - known)
        ]
        for endpoint in self.settings.endpoints.values():
            file = self.settings.config_dir / "endpoints" / f"{endpoint.id}.yaml"
            problems += [
                f"{compose(file).at(('writes', kind, 'mapping'))}: writes.{kind}.mapping: no mapping of that name"
                for kind, rule in endpoint.writes.items()
                if rule.mapping is not None and rule.mapping not in known
            ]
            problems += [
                f"{compose(file).at(('overlays', at))}: overlays: {what}"
                for at, what in loaded.refused(endpoint.id, endpoint.overlays)
            ]
        if problems:
            raise BadConfiguration(tuple(problems))
        return loaded

    @cached_property
    def office(self) -> Office:
        """Where works are opened."""
        from peerfhir.adapters.projection import project
        from peerfhir.records.work import Office

        endpoints = self.settings.endpoints
        return Office(
            self.engine,
            self.clock,
            programs=self.programs,
            instruments=self.instruments,
            recipients={name: Recipient(each.recipient) for name, each in endpoints.items()},
            horizon={name: timedelta(hours=each.horizon_hours) for name, each in endpoints.items()},
            project=partial(project, self.mappings, self.instruments),
        )

    def web(self) -> Flask:
        """The web app of the doors, with the pages."""
        from peerfhir.gateway.app import Parts, create_app
        from peerfhir.portal.app import create_pages

        return create_app(
            Parts(
                settings=self.settings,
                engine=self.engine,
                clock=self.clock,
                office=self.office,
                mappings=self.mappings,
                endpoints=self.settings.endpoints,
                programs=self.programs,
                instruments=self.instruments,
                pages=create_pages,
            )
        )

    def worker(self) -> Worker:
        """What drains the inbox and the outbox."""
        from peerfhir.inbox.process import Inbox
        from peerfhir.outbox.deliver import Outbox
        from peerfhir.outbox.ehr import Ehr
        from peerfhir.outbox.render import Render

        owner = f"{os.getpid()}-{secrets.token_hex(6)}"
        return Worker(
            Inbox(self.engine, self.clock, self.office, self.mappings, owner),
            Outbox(
                self.engine,
                self.clock,
                {name: each for name, each in self.settings.endpoints.items() if each.live},
                lambda endpoint: Ehr(endpoint, self.clock),
                Render(self.mappings, self.clock, programs=self.programs, instruments=self.instruments),
                owner=owner,
            ),
            owner,
        )

    # -- what the command line asks ------------------------------------------------------------------------

    def program_id(self, asked: str | None) -> str:
        """The program that was named, or the default one. Raises BadRequest."""
        if asked is not None and asked not in self.programs:
            raise BadRequest(f"There is no such program; there are: {', '.join(self.programs)}.", place="--program")
        return asked or self.settings.default_program

    def add_client(
        self,
        name: str,
        scope: str,
        *,
        program: str | None = None,
        endpoint: str | None = None,
        jwks: bytes | None = None,
    ) -> tuple[str, str | None]:
        """Register a client; (id, secret or None when it signs with its key)."""
        from peerfhir.access.clients import add_client
        from peerfhir.records.database import writing

        if endpoint is not None and endpoint not in self.settings.endpoints:
            raise BadRequest("There is no such endpoint in config/endpoints.", place="--endpoint")
        with writing(self.engine) as connection:
            return add_client(connection, self.clock, self.program_id(program), name, scope, endpoint, jwks)

    def list_clients(self) -> Sequence[Client]:
        """Every client."""
        from peerfhir.access.clients import list_clients
        from peerfhir.records.database import reading

        with reading(self.engine) as connection:
            return list_clients(connection)

    def revoke_client(self, client_id: str) -> bool:
        """End a client; False when there is no active one."""
        from peerfhir.access.clients import revoke_client
        from peerfhir.records.database import writing

        with writing(self.engine) as connection:
            return revoke_client(connection, self.clock, client_id)

    def add_user(
        self,
        login: str,
        role: str,
        display: str,
        *,
        program: str | None = None,
        languages: str = "en",
        services: str = "one-to-one",
        credential_until: str | None = None,
    ) -> tuple[str, str]:
        """Add an account; (id, password). A peer joins the roster with it."""
        from peerfhir.access.accounts import add_user
        from peerfhir.records.database import writing

        home = self.program_id(program)
        kind = _member(Role, role, "--role")
        if kind is Role.PEER:
            peer = Peer(
                id="",
                program_id=home,
                display=display,
                languages=frozenset(_listed(languages)),
                services=frozenset(_member(ServiceType, each, "--services") for each in _listed(services)),
                modalities=frozenset(Modality),
                credential_until=_day(credential_until, "--credential-until") if credential_until else None,
            )
            return self.add_peer(login, peer)
        with writing(self.engine) as connection:
            return add_user(connection, self.clock, home, login, display, kind)

    def add_peer(self, login: str, peer: Peer) -> tuple[str, str]:
        """Add a peer to the roster, with an account; (user id, password)."""
        from peerfhir.access.accounts import add_user

        with self.office.work(Actor("command-line", Role.COORDINATOR, peer.program_id)) as books:
            kept = books.save_peer(replace(peer, id=books.new_id()))
            ident, password = add_user(
                books.connection, self.clock, peer.program_id, login, peer.display, Role.PEER, peer_id=kept.id
            )
            books.save_peer(replace(kept, user_id=ident))
        return ident, password

    def list_users(self) -> Sequence[Account]:
        """Everyone who may sign in."""
        from peerfhir.access.accounts import list_users
        from peerfhir.records.database import reading

        with reading(self.engine) as connection:
            return list_users(connection)

    def inbox_list(self, state: str | None) -> list[dict[str, Any]]:
        """Received messages of every program, without content."""
        from peerfhir.records import messages

        return self._shown(_INBOX_COLUMNS, partial(messages.list_inbox, state=state))

    def inbox_show(self, message_id: str) -> dict[str, Any]:
        """One received message. Raises NotFound."""
        from peerfhir.records import messages

        return self._first(lambda connection, program: messages.show_inbox(connection, program, message_id))

    def outbox_list(self, state: str | None) -> list[dict[str, Any]]:
        """Owed messages of every program, without content."""
        from peerfhir.records import messages

        return self._shown(_OUTBOX_COLUMNS, partial(messages.list_outbox, state=state))

    def outbox_show(self, message_id: int, *, body: bool = False) -> dict[str, Any]:
        """One owed message with its attempts. Raises NotFound."""
        from peerfhir.records import messages

        return self._first(
            lambda connection, program: messages.show_outbox(connection, program, message_id, content=body)
        )

    def inbox_rerun(self, message_id: str) -> None:
        """Process a parked message again. Raises NotFound, Conflict when it is not parked."""
        from peerfhir.inbox.parked import rerun

        rerun(self.engine, self.clock, self.inbox_show(message_id)["program_id"], message_id)

    def outbox_rerun(self, message_id: int, *, pinned: bool) -> int:
        """Owe a parked message again; the id it has now. Raises NotFound, Conflict when it is not parked."""
        from peerfhir.outbox.parked import CURRENT, PINNED, rerun

        program = self.outbox_show(message_id)["program_id"]
        actor = Actor("command-line", Role.ENGINEER, program)
        return rerun(
            self.engine,
            self.clock,
            program,
            message_id,
            PINNED if pinned else CURRENT,
            project=partial(self.office.rerun_projection, actor),
        )

    def trace(self, identifier: str) -> list[str]:
        """The story of one referral, a line each; empty when nothing of that id is known."""
        from peerfhir.records import trace
        from peerfhir.records.database import reading

        with reading(self.engine) as connection:
            for program in self.programs:
                if hops := trace.trace(connection, program, identifier):
                    return [
                        f"{hop.at:%Y-%m-%d %H:%M:%S}  {hop.kind:<10}  {hop.what:<18}  {hop.detail}".rstrip()
                        for hop in hops
                    ]
        return []

    def _shown(
        self, columns: Sequence[str], listed: Callable[..., Sequence[Mapping[str, Any]]]
    ) -> list[dict[str, Any]]:
        from peerfhir.records.database import reading

        with reading(self.engine) as connection:
            rows = [row for program in self.programs for row in listed(connection, program)]
        return [{column: row[column] for column in columns} for row in rows]

    def _first(self, shown: Callable[..., Mapping[str, Any]]) -> dict[str, Any]:
        from peerfhir.records.database import reading

        with reading(self.engine) as connection:
            for program in self.programs:
                try:
                    return dict(shown(connection, program))
                except NotFound:
                    continue
        raise NotFound("Nothing of that id is known here.")

    def report(self) -> list[str]:
        """What `peerfhir check` says when everything is right, and what a site still has to confirm."""
        from peerfhir.records.database import journal

        endpoints = self.settings.endpoints
        lines = [
            f"programs     {', '.join(self.programs)}",
            f"mappings     {len(self.mappings.ids())} checked",
            f"instruments  {', '.join(self.instruments)}",
            f"database     {self.database_name} ({journal(self.engine)})",
        ]
        for each in endpoints.values():
            lines.append(f"endpoint     {each.id}: {'live' if each.live else 'dry run, nothing is sent'}")
        if "example.org" in self.settings.canonical:
            lines.append("confirm      canonical is still an example: choose a base you own before anything leaves")
        for program in self.programs.values():
            if not program.crisis_line:
                lines.append(f"confirm      {program.id} has no crisis_line; each page of a person needs one")
        return lines


@dataclass
class Worker:
    """One turn of inbox and outbox after another, until it is told to stop."""

    inbox: Inbox
    outbox: Outbox
    owner: str = "worker"

    def turn(self) -> int:
        """One turn; how many messages were handled."""
        return self.inbox.run_once() + self.outbox.run_once()

    def drain(self) -> int:
        """Turns until nothing is due."""
        total = 0
        while handled := self.turn():
            total += handled
        return total

    def run_forever(self) -> None:
        """Until SIGTERM or SIGINT; then what is in flight is finished, for 8 s at most. Idle, it waits 50 ms to 0.5 s.

        What has no answer by then is in doubt: its lease ends by itself, and the next worker looks before it sends.
        """
        from peerfhir.logs import log

        stop = threading.Event()

        def end(*_: object) -> None:
            stop.set()
            self.inbox.stop()
            self.outbox.stop()

        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, end)
        log().info("at work", owner=self.owner)
        pause = _FASTEST_POLL_SECONDS
        while not stop.is_set():
            busy = self._brief_turn() or self.outbox.in_flight()
            pause = _FASTEST_POLL_SECONDS if busy else min(_SLOWEST_POLL_SECONDS, pause * 1.5)
            stop.wait(pause)
        settled = self.outbox.close(_FINISH_SECONDS)
        log().info("stopped", state="settled" if settled else "in doubt")
        if not settled:
            os._exit(0)  # a thread that waits for a silent hospital cannot be ended, and Python would wait for it

    def _brief_turn(self) -> int:
        """A turn that never keeps a signal waiting, nor ends the worker because the database was busy."""
        from peerfhir.logs import log

        try:
            return self.inbox.run_once() + self.outbox.run_once(patience=_TURN_SECONDS)
        except DatabaseBusy:
            log().warning("the database was busy")
            return 0


def web_from_environment() -> Flask:
    """The web app of one server process; what `peerfhir serve` hands to the server."""
    from peerfhir.logs import set_up

    # A thread that holds the database's turn gives the interpreter away at each statement; with the usual 5 ms it
    # would wait that long for threads that are only computing, and everybody else with it.
    sys.setswitchinterval(_SWITCH_SECONDS)
    set_up()
    return House.open(Path(os.environ.get("PEERFHIR_CONFIG", "config")), os.environ).web()


def serve_web(
    settings: Settings, config: Path, *, host: str | None = None, port: int | None = None, with_worker: bool = False
) -> None:
    """Run the server until it is told to stop; beside it the worker, when asked."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings

    # what each server process needs is read once, before they are forked: a restart is faster, memory is shared
    import peerfhir.gateway.app
    import peerfhir.portal.app  # noqa: F401

    os.environ["PEERFHIR_CONFIG"] = str(config.resolve())
    worker = None
    if with_worker:
        worker = subprocess.Popen([sys.executable, "-m", "peerfhir.cli", "work"])
    server = Granian(
        "peerfhir.wiring:web_from_environment",
        factory=True,
        interface=Interfaces.WSGI,
        address=host or settings.host,
        port=port or settings.port,
        workers=settings.workers,
        blocking_threads=BLOCKING_THREADS,
        backpressure=BACKPRESSURE,
        backlog=BACKLOG,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_READ_MILLISECONDS),
        respawn_failed_workers=True,
        workers_kill_timeout=KILL_SECONDS,
        websockets=False,
        log_enabled=False,
    )
    try:
        server.serve()
    finally:
        if worker is not None:
            worker.terminate()
            worker.wait(timeout=KILL_SECONDS + 2)


def serve_practice(folder: Path, mood: str, port: int, gateway: str, environ: Mapping[str, str]) -> None:
    """Run the practice hospital: one process, its own database file."""
    from functools import partial as bound

    from werkzeug.serving import make_server

    from peerfhir.fhir.tables import metadata
    from peerfhir.practice.app import create_app
    from peerfhir.practice.hospital import Hospital, Practice
    from peerfhir.practice.moods import MOODS
    from peerfhir.records.database import open_engine, reading, writing

    if mood not in MOODS:
        raise BadRequest(f"There is no such mood; there are: {', '.join(MOODS)}.", place="--mood")
    folder.mkdir(parents=True, exist_ok=True)
    engine = open_engine(f"sqlite:///{folder.resolve() / 'hospital.db'}")
    metadata.create_all(engine)
    hospital = Hospital(
        Practice(
            mood=MOODS[mood],
            base_url=f"http://127.0.0.1:{port}",
            gateway=gateway,
            client=(environ.get("PRACTICE_CLIENT_ID", ""), environ.get("PRACTICE_SECRET", "")),
            partner=(environ.get("PRACTICE_PARTNER_ID", "peerfhir"), environ.get("PRACTICE_PARTNER_SECRET") or _key()),
            key=environ.get("PRACTICE_KEY") or _key(),
            program=environ.get(
                "PRACTICE_PROGRAM", "https://peerfhir.example.org/organizations|riverside-peer-support"
            ),
            canonical=environ.get("PRACTICE_CANONICAL", "http://peerfhir.example.org/fhir"),
        ),
        bound(reading, engine),
        bound(writing, engine),
        SystemClock(),
    )
    hospital.furnish()
    server = make_server("127.0.0.1", port, create_app(hospital), threaded=True)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start())
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        server.server_close()
        engine.dispose()


def make_secret(config: Path) -> Path | None:
    """The file that signs forms, where settings name one and it is not there yet; its path when it was made."""
    named = compose(config / "peerfhir.yaml").plain().get("secret_key_file")
    path = config.resolve().parent / str(named) if named else None
    if path is None or path.exists():
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(_key() + "\n", "utf-8")
    return path


def _key() -> str:
    return secrets.token_urlsafe(48)


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _day(text: str, place: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as fault:
        raise BadRequest("Write a day as 2027-12-31.", place=place) from fault


def _member(kind: type[E], value: str, place: str) -> E:
    try:
        return kind(value)
    except ValueError as fault:
        raise BadRequest(f"'{value}' is not one of: {', '.join(kind)}.", place=place) from fault
