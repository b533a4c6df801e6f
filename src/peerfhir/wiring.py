"""Builds the web app and the worker from configuration; the only file that knows every room."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peerfhir.clock import SystemClock
from peerfhir.config import Settings
from peerfhir.config.load import load
from peerfhir.errors import BadConfiguration, DatabaseBusy, Fault
from peerfhir.pathway.people import Program, Weights
from peerfhir.pathway.vocabulary import CompleteOn, Recipient

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine

    from peerfhir.activation import Pinned, Reloading
    from peerfhir.adapters.projection import Context
    from peerfhir.fhir.labels import Projected
    from peerfhir.inbox.process import Inbox
    from peerfhir.mapping.instruments import Form
    from peerfhir.mapping.registry import Mappings, Standing
    from peerfhir.outbox.deliver import Outbox
    from peerfhir.pathway.outcome import Instrument
    from peerfhir.records.work import Office

_FASTEST_POLL_SECONDS = 0.05
_SLOWEST_POLL_SECONDS = 0.5
_TURN_SECONDS = 0.25  # how long a turn waits for hospitals; slower answers are found by later turns
_FINISH_SECONDS = 8.0


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
        if self.is_new:
            self.migrate()

    @property
    def is_new(self) -> bool:
        """Whether an embedded database does not exist yet; looking into it would make it."""
        prefix, url = "sqlite:///", self.settings.database_url
        return url.startswith(prefix) and not Path(url.removeprefix(prefix)).exists()

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
        """Everything that a service opens when it starts; nothing is kept of it. Raises BadConfiguration."""
        from peerfhir.activation import refusals
        from peerfhir.fhir import site

        self.check_schema()
        _ = self.reloads_seen, self.programs, self.instruments, self.mappings, site.judge()
        refusals(self.engine, self.mappings, development=self.settings.development)
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
    def forms(self) -> Mapping[str, Form]:
        """The questionnaires as mappings see them, as they were at the start."""
        from peerfhir.adapters.questionnaires import forms

        return forms(self.settings.config_dir / "instruments", self.instruments)

    @cached_property
    def profiles(self) -> Mapping[str, Any]:
        """The profiles of the site's packages, which mappings may claim."""
        from peerfhir.fhir.site import FOLDER, installed
        from peerfhir.mapping.packaged import Packaged

        return Packaged(installed(self.settings.config_dir / FOLDER))

    @cached_property
    def mappings(self) -> Mappings:
        """The mappings as they were at the start, every one checked."""
        return self.read_mappings()

    def read_mappings(self) -> Mappings:
        """The mappings as they are now. Raises BadConfiguration with every problem of every file."""
        from peerfhir.activation import read

        return read(self.settings, self.forms, self.profiles)

    @cached_property
    def reloads_seen(self) -> int:
        """The last reload that was asked for before the mappings were read."""
        from peerfhir.records import kept
        from peerfhir.records.database import reading

        with reading(self.engine) as connection:
            return kept.asked(connection)[0]

    @cached_property
    def standing(self) -> Standing:
        """The mappings in use, active from here on. Raises BadConfiguration."""
        from peerfhir.activation import activate
        from peerfhir.logs import log
        from peerfhir.mapping.registry import Standing

        _ = self.reloads_seen
        for line in activate(self.engine, self.clock, self.mappings, development=self.settings.development):
            log().warning(line)
        return Standing(self.mappings)

    @cached_property
    def reloading(self) -> Reloading:
        """Puts other mappings in their place while the service runs."""
        from peerfhir.activation import Reloading

        return Reloading(
            self.engine,
            self.clock,
            self.standing,
            self.read_mappings,
            seen=self.reloads_seen,
            development=self.settings.development,
        )

    @cached_property
    def pinned(self) -> Pinned:
        """Mappings as they were, by their content hash."""
        from peerfhir.activation import Pinned

        return Pinned(self.settings.canonical, self.profiles, self.settings.config_dir / "privacy.yaml")

    @cached_property
    def office(self) -> Office:
        """Where works are opened."""
        from peerfhir.adapters.projection import project
        from peerfhir.records.work import Office

        standing, instruments = self.standing, self.instruments

        def projected(record: object, context: Context) -> Sequence[Projected]:
            return project(standing.now, instruments, record, context)

        endpoints = self.settings.endpoints
        return Office(
            self.engine,
            self.clock,
            programs=self.programs,
            instruments=self.instruments,
            recipients={name: Recipient(each.recipient) for name, each in endpoints.items()},
            horizon={name: timedelta(hours=each.horizon_hours) for name, each in endpoints.items()},
            project=projected,
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
                mappings=self.standing,
                endpoints=self.settings.endpoints,
                programs=self.programs,
                instruments=self.instruments,
                pages=create_pages,
                reload=self.reloading.reload,
                follow=self.reloading.follow,
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
            Inbox(
                self.engine,
                self.clock,
                self.office,
                self.standing,
                owner,
                settings=self.settings.endpoints,
            ),
            Outbox(
                self.engine,
                self.clock,
                {name: each for name, each in self.settings.endpoints.items() if each.live},
                lambda endpoint: Ehr(endpoint, self.clock),
                Render(
                    self.standing,
                    self.clock,
                    programs=self.programs,
                    instruments=self.instruments,
                    pinned=self.pinned,
                    made_with=self.made_with,
                ),
                owner=owner,
            ),
            owner,
            self.reloading.follow,
        )

    @property
    def made_with(self) -> tuple[str, str]:
        """What runs the mappings: this version, and the FHIR packages that are installed."""
        from importlib.metadata import version

        from peerfhir.fhir.site import FOLDER, installed

        packages = [path.stem for path in installed(self.settings.config_dir / FOLDER)]
        return f"peerfhir {version('peerfhir')}", " ".join(packages)


@dataclass
class Worker:
    """One turn of inbox and outbox after another, until it is told to stop."""

    inbox: Inbox
    outbox: Outbox
    owner: str = "worker"
    follow: Callable[[], None] = lambda: None  # reads the mappings again when somebody asked for it

    def turn(self) -> int:
        """One turn; how many messages were handled."""
        self.follow()
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

        self.follow()
        try:
            return self.inbox.run_once() + self.outbox.run_once(patience=_TURN_SECONDS)
        except DatabaseBusy:
            log().warning("the database was busy")
            return 0
