"""A small house with pages: two programs, their people, and a referral for each person."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Engine, update

from peerfhir.access import accounts, logins
from peerfhir.adapters.instruments import load_instruments
from peerfhir.clock import new_id
from peerfhir.config import EndpointSettings, ProgramSettings, Settings
from peerfhir.gateway.app import create_app
from peerfhir.gateway.parts import Parts
from peerfhir.pathway import steps
from peerfhir.pathway.people import Actor, Identifier, Peer, Person, Tag, Wishes
from peerfhir.pathway.referral import Origin, Referral
from peerfhir.pathway.vocabulary import Modality, Role, ServiceType, Status, TaskStatus
from peerfhir.portal.app import create_pages
from peerfhir.records.database import writing
from peerfhir.records.schema import outbox_message
from peerfhir.records.work import Work
from tests.portal.browse import Browser, Page
from tests.support import doors
from tests.support.clock import HeldClock
from tests.support.doors import BASE, PASSWORD

INSTRUMENTS = Path(__file__).parents[2] / "config" / "instruments"
ZONE = "America/New_York"
CRISIS = "In crisis, or thinking about suicide? Call or text 988, at any hour."


def settings(**changed: Any) -> Settings:
    programs = {
        name: ProgramSettings(
            id=name,
            name=f"{name.title()} Peer Support",
            organization=f"urn:x|{name}",
            time_zone=ZONE,
            crisis_line=CRISIS,
        )
        for name in ("riverside", "hilltop")
    }
    endpoints = {
        name: EndpointSettings(id=name, program=program, base_url=f"https://{name}.example.org/fhir")
        for name, program in (("general", "riverside"), ("county", "hilltop"))
    }
    return doors.furnished(programs, endpoints, **{"playground": True, **changed})


@dataclass
class Site:
    """The app, and shortcuts to what has to be there before a page can be looked at."""

    app: Flask
    parts: Parts
    clock: HeldClock
    peers: dict[str, Peer] = field(default_factory=dict)  # by login
    users: dict[str, str] = field(default_factory=dict)  # login -> user id

    def browser(self, login: str = "") -> Browser:
        """A browser; with a login in it when one is named; test_signin types passwords, which are slow on purpose."""
        made = Browser(self.app.test_client(), self.parts.settings.base_url)
        if login:
            program = "hilltop" if login.endswith(".h") else "riverside"
            with writing(self.parts.engine) as connection:
                key = logins.begin(connection, self.clock, self.users[login], program)
            made.web.set_cookie("peerfhir", key, domain="127.0.0.1")
            page = made.open("/")
            assert page.status == 200, page.text
        return made

    def signed_in(self, login: str) -> Browser:
        """A browser of someone who has typed their password."""
        made = self.browser()
        made.open("/sign-in")
        made.press("/sign-in", {"login": login, "password": PASSWORD})
        return made

    def add_user(self, login: str, role: Role, program: str = "riverside", peer_id: str | None = None) -> None:
        with writing(self.parts.engine) as connection:
            name = login.partition(".")[0].title()
            self.users[login], _ = accounts.add_user(
                connection, self.clock, program, login, name, role, PASSWORD, peer_id
            )

    def add_peer(self, login: str, program: str = "riverside", **given: Any) -> Peer:
        made = Peer(
            id=f"peer-{login}",
            program_id=program,
            display=f"{login.partition('.')[0].title()} T.",
            languages=given.pop("languages", frozenset({"en", "es"})),
            modalities=frozenset(Modality),
            services=frozenset(ServiceType),
            tags=(Tag("loneliness", "public"),),
            times=frozenset({"weekday-evening"}),
            credential_until=date(2030, 1, 1),
            load=Decimal(3),
            **given,
        )
        with self.parts.office.work(self.actor(Role.GATEWAY, program)) as work:
            self.peers[login] = work.save_peer(made)
        self.add_user(login, Role.PEER, program, made.id)
        return self.peers[login]

    def actor(self, role: Role, program: str = "riverside", **given: Any) -> Actor:
        return Actor(given.pop("id", f"a-{role}"), role, program, **given)

    def work(self, program: str = "riverside") -> AbstractContextManager[Work]:
        """A look at the records behind the pages."""
        return self.parts.office.work(self.actor(Role.GATEWAY, program))

    def refer(self, given: str, family: str, program: str = "riverside", **more: Any) -> Referral:
        """A hospital's order for one person, as the inbox takes it in."""
        endpoint = more.pop("endpoint", "general" if program == "riverside" else "county")
        key = new_id()
        person = Person(
            id="",
            program_id=program,
            given=given,
            family=family,
            identifiers=more.pop("identifiers", (Identifier("http://hospital.example/mrn", key),)),
            phone=more.pop("phone", "555 0100"),
            safe_contact=more.pop("safe_contact", "Mobile, after 5 pm, no voice message"),
            wishes=Wishes(language="en", times=frozenset({"weekday-evening"})),
        )
        draft = Referral(
            id="",
            program_id=program,
            person_id="",
            number="",
            status=Status.SENT,
            task_status=TaskStatus.REQUESTED,
            reason=more.pop("reason", "Lonely since moving here; would like to talk with someone who has been there."),
            requested_by=more.pop("requested_by", "Dr. Ada Okafor"),
            contact_agreed="said-so",
            origin=Origin(endpoint or "client", endpoint, task_id=f"task-{key}"),
            **more,
        )
        with self.parts.office.work(self.actor(Role.GATEWAY, program)) as work:
            return steps.receive_referral(work, person, draft)

    def deliver_all(self) -> None:
        """As if the worker had sent everything that was owed."""
        with writing(self.parts.engine) as connection:
            sent = {"state": "done", "settled_at": self.clock.now(), "form": "as asked", "rung": 1}
            connection.execute(update(outbox_message).where(outbox_message.c.state == "ready").values(**sent))

    # -- journeys, each through the pages

    def proposed(self, referral: Referral, lead: str = "carla") -> Browser:
        desk = self.browser(lead)
        desk.open(f"/referrals/{referral.id}")
        desk.press(f"/referrals/{referral.id}/triage")
        page = desk.press(f"/referrals/{referral.id}/propose")
        assert page.status == 200, page.text
        return desk

    def link(self, desk: Browser, referral: Referral) -> str:
        desk.open(f"/referrals/{referral.id}")
        page = desk.press(f"/referrals/{referral.id}/link")
        element = page.by_id("person-link")
        assert element is not None, page.text
        return element.attrs["href"].removeprefix(BASE)

    def choosing(self, referral: Referral, lead: str = "carla") -> str:
        """Up to the person's own page; its address."""
        return self.link(self.proposed(referral, lead), referral)

    def matched(self, referral: Referral, login: str = "tomas", lead: str = "carla") -> tuple[Browser, str]:
        """Up to the peer's yes; the peer's browser and the person's address."""
        own = self.choosing(referral, lead)
        person = self.browser()
        person.open(own)
        assert person.press(f"{own}/choose", {"peer_id": self.peers[login].id}).status == 200
        peer = self.browser(login)
        peer.open(f"/referrals/{referral.id}")
        page = peer.press(f"/referrals/{referral.id}/accept")
        assert page.status == 200, page.text
        return peer, own

    def share(self, own: str, *names: str) -> Page:
        person = self.browser()
        person.open(own)
        return person.press(f"{own}/sharing", dict.fromkeys(names, "on"))

    def note(self, **changed: Any) -> dict[str, Any]:
        """A note of the last half hour."""
        return {
            "started_at": "2026-11-21T17:45",
            "ended_at": "2026-11-21T18:15",
            "minutes": "30",
            "modality": "in-person",
            "interventions": ["listened", "goal-setting"],
            "working_note": "Rent worries; wants that kept between us.",
            "summary": "",
            "next_step": "Call next week",
            **changed,
        }

    def enrolled(self, referral: Referral, login: str = "tomas", lead: str = "carla") -> tuple[Browser, str]:
        """Up to walking together."""
        peer, own = self.matched(referral, login, lead)
        at = f"/referrals/{referral.id}"
        peer.open(f"/people/{referral.person_id}/note")
        page = peer.press(f"/people/{referral.person_id}/note", self.note(keep_between_us="yes"))
        assert page.status == 200, page.text
        peer.open(at)
        assert peer.press(f"{at}/enrol").status == 200
        return peer, own


def open_site(engine: Engine, clock: HeldClock, furnished: Site | None = None, **changed: Any) -> Site:
    """A site on a database; `furnished` names the staff who are in it already."""
    parts = doors.house(engine, clock, settings(**changed), instruments=load_instruments(INSTRUMENTS))
    parts = replace(parts, pages=create_pages)
    app = create_app(parts)
    app.testing = False  # faults are answered as in production
    if furnished is None:
        return Site(app, parts, clock)
    return Site(app, parts, clock, dict(furnished.peers), dict(furnished.users))


def build(engine: Engine, clock: HeldClock, **changed: Any) -> Site:
    """Both programs with staff: carla coordinates, sue supervises, tomas, ana and bea are peers, ed is an engineer."""
    site = open_site(engine, clock, **changed)
    for program, tail in (("riverside", ""), ("hilltop", ".h")):
        site.add_user(f"carla{tail}", Role.COORDINATOR, program)
        site.add_user(f"sue{tail}", Role.SUPERVISOR, program)
        site.add_user(f"ed{tail}", Role.ENGINEER, program)
        site.add_peer(f"tomas{tail}", program)
    site.add_peer("ana")
    site.add_peer("bea", languages=frozenset({"en"}))
    return site
