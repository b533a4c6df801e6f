"""A whole loop for one test: gateway, worker and practice hospital, and the people who use their pages."""

from __future__ import annotations

import base64
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, func, select

from peerfhir.fhir.tables import metadata
from peerfhir.pathway.people import Actor, Peer, Person
from peerfhir.pathway.referral import Referral
from peerfhir.pathway.vocabulary import Modality, Role, ServiceType, Status, TaskStatus
from peerfhir.practice.app import create_app
from peerfhir.practice.hospital import Hospital, Practice
from peerfhir.practice.moods import MOODS
from peerfhir.practice.orders import Order
from peerfhir.practice.people import MARK, PATIENTS
from peerfhir.practice.visitor import Page, Visitor
from peerfhir.records import encounters, referrals
from peerfhir.records.database import open_engine, reading, writing
from peerfhir.records.schema import group_session, outbox_message
from peerfhir.wiring import House, Worker
from tests.support.house import ROOT, SECRET
from tests.support.served import Served

CANONICAL = "http://peerfhir.example.org/fhir"
ZONE = "Etc/GMT+5"  # behind UTC like the shipped program, and without an hour that comes twice in autumn
ENDPOINT = "general-hospital"
PEERS = ("ana", "ben", "cleo")
SUMMARY = "We talked about the week and set one goal: two social activities a week."
NOTE = "She laughed about the bus driver again."
TWELVE = (2, 2, 1, 2, 1, 1, 2, 1, 0)  # PHQ-9 answers, total 12
CHART = ("Encounter", "DocumentReference", "Procedure", "Observation", "QuestionnaireResponse")
_PARTNER_SECRET = "p" * 40
_MOST_ROUNDS = 60

# What these sites say beyond their CapabilityStatement; docs of the vendor, August 2026.
SITE_RULES = {
    "oracle-like": """
writes:
  Observation: {accept: false, because: this hospital takes only vital signs and laboratory results as Observations}
  DocumentReference: {mapping: summary-oracle}
  Procedure: {mapping: procedure-oracle}
""",
}


class RunningClock:
    """This machine's clock, which can be moved ahead."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead.total_seconds()

    def skip(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Version:
    """One version of one resource in the hospital's own store."""

    type: str
    id: str
    number: int
    source: str
    at: datetime
    resource: dict[str, Any]


@dataclass
class Ward:
    """A practice hospital with its server and its own store."""

    hospital: Hospital
    served: Served
    engine: Engine
    endpoint: str = ENDPOINT

    def versions(self) -> list[Version]:
        """Every version of everything in the hospital's own store."""
        return [
            Version(v["type"], v["id"], v["version"], v["source"], datetime.fromisoformat(v["at"]), v["resource"])
            for v in self.hospital.export()
        ]

    def arrived(self, patient: str = "p1") -> list[Version]:
        """First versions of chart resources about this patient that the program made."""
        about = {"reference": f"Patient/{patient}"}
        return [
            v for v in self.versions()
            if v.type in CHART and v.number == 1 and v.source == "program" and v.resource["subject"] == about
        ]  # fmt: skip

    def counts(self, patient: str = "p1") -> dict[str, int]:
        return dict(Counter(v.type for v in self.arrived(patient)))

    def of(self, kind: str, patient: str = "p1") -> list[dict[str, Any]]:
        return [v.resource for v in self.arrived(patient) if v.type == kind]

    def words(self, patient: str | None = None) -> str:
        """Everything the program has written here, attachments opened; of one patient, or of all."""
        about = f"Patient/{patient}"
        found = [
            v.resource for v in self.versions()
            if v.source == "program" and patient in (None, str(v.resource.get("subject", {}).get("reference"))[8:])
        ]  # fmt: skip
        orders = {v.id: v for v in self.versions() if v.type == "Task"}
        found += [v.resource for v in orders.values() if patient is None or v.resource["for"]["reference"] == about]
        return "\n".join(_text(each) for each in found)

    def tasks(self, task_id: str = "t1") -> list[dict[str, Any]]:
        """The versions of one Task, as clinicians saw them, oldest first."""
        found = [v for v in self.versions() if (v.type, v.id) == ("Task", task_id)]
        return [v.resource for v in sorted(found, key=lambda v: v.number)]

    def task(self, task_id: str = "t1") -> dict[str, Any]:
        return self.tasks(task_id)[-1]

    def shown(self, task_id: str = "t1") -> list[tuple[str, str]]:
        """(status, display) of each version, without repetitions."""
        said = [(t["status"], t["businessStatus"]["coding"][0]["display"]) for t in self.tasks(task_id)]
        return [one for at, one in enumerate(said) if at == 0 or said[at - 1] != one]

    def refusals(self) -> list[Any]:
        """What this hospital did not take of the program's requests, the first version conflicts included."""
        return [one for one in self.served.answered if one.status >= 400 and one.path.startswith(("/fhir", "/token"))]

    def edit(self, kind: str, resource_id: str, **changed: Any) -> None:
        """Someone at the hospital changes a resource of theirs."""
        with self.hospital.writing() as connection:
            store = self.hospital.store(connection)
            stored = store.read(kind, resource_id)
            store.update({**stored.resource, **changed}, None, stored.version)


@dataclass
class Loop:
    """One house, its worker and one hospital, for one program; nothing in it is a stand-in.

    passwords  by login; a login is the first name, in a further program with the program behind it
    """

    house: House
    gateway: Served
    ward: Ward
    worker: Worker
    clock: RunningClock
    passwords: dict[str, str]
    program: str
    _seen: dict[str, Visitor] = field(default_factory=dict)

    # -- the worker -----------------------------------------------------------------------------------------

    def turn(self) -> int:
        return self.worker.turn()

    def settle(self) -> None:
        """Turns until nothing is due, now or after waiting as long as it is put off."""
        for _ in range(_MOST_ROUNDS):
            self.worker.drain()
            if not self.waiting():
                return
            self.clock.skip(2)
        raise AssertionError(f"still waiting: {self.owed()}")

    def waiting(self) -> int:
        return sum(1 for _, _, state, _ in self.owed() if state in ("ready", "leased"))

    def owed(self, endpoint: str | None = None) -> list[tuple[str, str, str, str | None]]:
        """(piece, endpoint, state, reason) of every row of the outbox, oldest first."""
        c = outbox_message.c
        query = select(c.piece, c.endpoint, c.state, c.reason).order_by(c.id)
        with reading(self.house.engine) as connection:
            rows = connection.execute(query).all()
        return [tuple(row) for row in rows if endpoint in (None, row.endpoint)]

    def counted(self, table: Any) -> int:
        with reading(self.house.engine) as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())

    # -- the people -----------------------------------------------------------------------------------------

    def staff(self, name: str) -> Visitor:
        """Someone of the program, signed in."""
        login = name + _mark(self.house, self.program)
        if login not in self._seen:
            self._seen[login] = sign_in(self.gateway.url, login, self.passwords[login])
        return self._seen[login]

    def leave(self) -> None:
        """All staff go home; they sign in again when they are needed."""
        self._seen.clear()

    def refer(self, patient: str = "p1", *, take: bool = True, **said: str) -> Walk:
        """A clinician presses the button in a chart; the referral as the program has it once it was taken in."""
        clinician = Visitor(self.ward.served.url)
        clinician.open(f"/charts/{patient}")
        form = {"why": "Lonely since moving here.", "urgency": "routine", "agreed": "said-so", "contact": "mobile"}
        page = clinician.press(f"/charts/{patient}/refer", form | said)
        assert "said=sent" in page.url, page.url
        return self.newest() if take else Walk(self, "", "")

    def newest(self) -> Walk:
        """The referral that was received last, after a turn of the worker."""
        known = {one.id for one in self.referrals()}
        self.settle()
        new = [one for one in self.referrals() if one.id not in known]
        assert len(new) == 1, f"{len(new)} referrals"
        return Walk(self, new[0].id, new[0].person_id)

    def referrals(self) -> list[Referral]:
        with reading(self.house.engine) as connection:
            return referrals.queue(connection, self.program, open_only=False)

    def group_keys(self) -> list[str]:
        with reading(self.house.engine) as connection:
            return list(connection.execute(select(group_session.c.id)).scalars())

    def meeting_numbers(self, person_id: str) -> list[str]:
        with reading(self.house.engine) as connection:
            return [one.number for one in encounters.of_person(connection, self.program, person_id)]

    def local(self, **ahead: float) -> str:
        """A wall-clock time of the program, for a form."""
        return (self.clock.now().astimezone(ZoneInfo(ZONE)) + timedelta(**ahead)).strftime("%Y-%m-%dT%H:%M")

    def alone(self, given: str, family: str, peer: str = "ana") -> str:
        """Someone who came by themselves and walks with a peer already; the person's id."""
        with self.house.office.work(Actor("setting-up", Role.COORDINATOR, self.program)) as books:
            first = next(one for one in books.peers() if one.display.lower().startswith(peer))
            person = books.save_person(Person(books.new_id(), self.program, given, family))
            books.save_referral(
                Referral(
                    books.new_id(), self.program, person.id, books.next_number("PF"), Status.ENROLLED,
                    TaskStatus.COMPLETED, peer_id=first.id, received_at=books.now(), accepted_at=books.now(),
                    peer_accepted_at=books.now(),
                )
            )  # fmt: skip
        return person.id

    def group(self, peer: str, attendees: Sequence[str], **changed: str) -> None:
        """A group session with these people."""
        who = self.staff(peer)
        page = who.open("/groups/new")
        who.press(
            "/groups/new",
            {
                "client_uuid": page.fields["client_uuid"][0],
                "topic": "Finding your feet in a new town",
                "started_at": self.local(minutes=-45),
                "ended_at": self.local(minutes=-20),
                "modality": "in-person",
                "summary": "The group shared ideas for meeting people in a new town.",
                "working_note": "They compared tea shops.",
                "attendees": list(attendees),
                **changed,
            },
        )


@dataclass
class Walk:
    """One referral, and what its people do with it on the pages."""

    loop: Loop
    referral_id: str
    person_id: str
    peer: str = ""
    link: str = ""
    _person: Visitor | None = None

    @property
    def path(self) -> str:
        return f"/referrals/{self.referral_id}"

    def now(self) -> Referral:
        with reading(self.loop.house.engine) as connection:
            return referrals.at(connection, self.loop.program, self.referral_id)

    def lead(self, step: str, **fields: str) -> Page:
        """The coordinator takes a step."""
        return self._press(self.loop.staff("rosa"), f"{self.path}/{step}", fields)

    def act(self, step: str, **fields: str) -> Page:
        """The peer takes a step."""
        return self._press(self.loop.staff(self.peer), f"{self.path}/{step}", fields)

    def own(self, step: str, fields: dict[str, str] | None = None) -> Page:
        """The person does something on their own page."""
        if self._person is None:
            page = self.lead("link")
            self.link = page.ids["person-link"]["href"].removeprefix(self.loop.gateway.url)
            self._person = Visitor(self.loop.gateway.url)
        return self._press(self._person, f"{self.link}/{step}", fields or {}, self.link)

    def _press(self, who: Visitor, path: str, fields: dict[str, Any], form: str = "") -> Page:
        if not who.page.token:  # a form's token is good for the whole sign-in, or the whole link
            who.open(form or self.path)
        return who.press(path, fields)

    # -- the acts -------------------------------------------------------------------------------------------

    def to_proposed(self) -> Walk:
        self.lead("triage")
        self.lead("propose")
        return self

    def to_assigned(self) -> Walk:
        """Triage, proposals, the person's choice, the peer's yes."""
        self.to_proposed()
        first = self.now().proposals[0].peer_id
        self.own("choose", {"peer_id": first})
        with self.loop.house.office.work(Actor("looking", Role.COORDINATOR, self.loop.program)) as books:
            self.peer = books.peer(first).display.split()[0].lower()
        self.act("accept")
        return self

    def to_met(self) -> Walk:
        """Contact and the first meeting; nothing is shared yet."""
        self.to_assigned()
        self.act("contact", channel="phone", outcome="answered")
        self.act("meeting", at=self.loop.local(minutes=10))
        self.note(ago=90, working="First cup of tea. She is funny.", summary="", keep=True)
        return self

    def to_enrolled(self, *classes: str) -> Walk:
        """All the way; what is named is shared with the hospital before they enrol."""
        self.to_met()
        self.share(*classes)
        self.act("enrol")
        return self

    def share(self, *classes: str) -> Page:
        return self.own("sharing", {f"hospital.{each}": "on" for each in classes})

    def stop(self) -> Page:
        return self.own("stop")

    def note(
        self, *, ago: int = 60, working: str = NOTE, summary: str = SUMMARY, keep: bool = False, next_step: str = ""
    ) -> None:
        """A one-to-one meeting of twelve minutes, `ago` minutes before now."""
        path = f"/people/{self.person_id}/note"
        who = self.loop.staff(self.peer)
        page = who.open(path)
        fields: dict[str, Any] = {
            "client_uuid": page.fields["client_uuid"][0],
            "started_at": self.loop.local(minutes=-ago),
            "ended_at": self.loop.local(minutes=-ago + 12),
            "minutes": "12",
            "modality": "phone",
            "interventions": ["listened", "goal-setting"],
            "working_note": working,
            "summary": summary,
            "next_step": next_step,
        }
        who.press(path, fields | ({"keep_between_us": "on"} if keep else {}))

    def phq9(self, answers: Sequence[int] = TWELVE) -> None:
        path = f"/people/{self.person_id}/phq-9"
        who = self.loop.staff(self.peer)
        page = who.open(path)
        items = [(name, offered) for name, offered in page.fields.items() if name.startswith("/") and len(offered) >= 4]
        fields = {name: offered[answer] for (name, offered), answer in zip(items, answers, strict=False)}
        kept = {name: page.fields[name][0] for name in ("referral_id", "client_uuid")}
        who.press(path, fields | kept)


# -- setting it up ------------------------------------------------------------------------------------------


def sign_in(site: str, login: str, password: str) -> Visitor:
    visitor = Visitor(site)
    visitor.open("/sign-in")
    visitor.press("/sign-in", {"login": login, "password": password})
    return visitor


@contextmanager
def running(
    folder: Path, database_url: str, *, mood: str = "open", complete_on: str = "enrolled", owed: bool = True
) -> Iterator[Loop]:
    """A loop on an empty database.

    owed  the hospital has an endpoint, so that results are owed to it; otherwise it is a client and no more
    """
    with ExitStack() as stack:
        clock, gateway, bay = RunningClock(), Served(), Served()
        stack.callback(gateway.stop)
        stack.callback(bay.stop)
        house = furnish(folder, database_url, gateway.url, clock, {ENDPOINT: ("riverside", bay.url, mood)}, complete_on)
        stack.callback(house.engine.dispose)
        worker = house.worker()
        stack.callback(worker.outbox.close)
        passwords = people(house, "riverside")
        client = house.add_client(ENDPOINT, "system/*.cruds", endpoint=ENDPOINT if owed else None)
        ward = open_ward(folder / "hospital", bay, gateway.url, clock, mood, client)
        stack.callback(ward.engine.dispose)
        gateway.start(house.web())
        yield Loop(house, gateway, ward, worker, clock, passwords, "riverside")


def furnish(
    folder: Path,
    database_url: str,
    gateway: str,
    clock: RunningClock,
    hospitals: dict[str, tuple[str, str, str]],
    complete_on: str = "enrolled",
    programs: str = "",
) -> House:
    """A house with the shipped configuration, on an upgraded database of its own.

    hospitals  endpoint id -> (program, address, mood)
    programs   the text of program.yaml; the shipped one when empty
    """
    config = folder / "config"
    shutil.copytree(ROOT / "config", config)
    shutil.rmtree(config / "endpoints")
    text = programs or (config / "program.yaml").read_text("utf-8")
    text = re.sub(r"complete_on: \S+", f"complete_on: {complete_on}", text)
    (config / "program.yaml").write_text(re.sub(r"time_zone: \S+", f"time_zone: {ZONE}", text), "utf-8")
    (config / "endpoints").mkdir()
    (folder / "var").mkdir(exist_ok=True)
    secret = folder / "var" / "hospital.secret"
    secret.touch(mode=0o600)
    secret.write_text(_PARTNER_SECRET, "utf-8")
    for name, (program, address, mood) in hospitals.items():
        (config / "endpoints" / f"{name}.yaml").write_text(
            f"endpoint: {name}\nprogram: {program}\nbase_url: {address}/fhir\nallow_insecure_loopback: true\n"
            f"live: true\nauth: {{kind: client-secret, token_url: {address}/token, client_id: peerfhir, "
            "secret_file: var/hospital.secret}\nconnect_seconds: 1\nread_seconds: 10\ntotal_seconds: 15\n"
            "lease_seconds: 30\nretry_base_seconds: 0.25\nretry_cap_seconds: 1\nrate_per_second: 1000\n"
            + SITE_RULES.get(mood, ""),
            "utf-8",
        )
    environ = {
        "PEERFHIR_SECRET_KEY": SECRET,
        "PEERFHIR_MAPPINGS": str(ROOT / "mappings"),
        "PEERFHIR_DATABASE_URL": database_url,
        "PEERFHIR_BASE_URL": gateway,
    }
    house = House.open(config, environ)
    house.__dict__["clock"] = clock  # every room is given this one
    house.migrate()
    return house


def people(house: House, program: str) -> dict[str, str]:
    """A coordinator and three invented peers; their passwords by login."""
    mark = _mark(house, program)
    passwords = {f"rosa{mark}": house.add_user(f"rosa{mark}", "coordinator", "Rosa", program=program)[1]}
    common = Peer(
        id="", program_id=program, display="", title="Certified Peer Specialist", age_band="30-49",
        languages=frozenset({"en", "es"}), modalities=frozenset(Modality), services=frozenset(ServiceType),
        times=frozenset({"weekday-evening"}), area="27000", load=Decimal("4.0"),
        credential_until=date(datetime.now(UTC).year + 1, 12, 31),
    )  # fmt: skip
    for order, name in enumerate(PEERS):
        peer = replace(common, display=f"{name.title()} K. {MARK}", load=Decimal(4 + order))
        passwords[f"{name}{mark}"] = house.add_peer(f"{name}{mark}", peer)[1]
    return passwords


def _mark(house: House, program: str) -> str:
    return "" if program == house.settings.default_program else f"-{program}"


def open_ward(
    folder: Path, bay: Served, gateway: str, clock: RunningClock, mood: str, client: tuple[str, str | None],
    endpoint: str = ENDPOINT,
) -> Ward:  # fmt: skip
    """A practice hospital, listening."""
    folder.mkdir(parents=True)
    engine = open_engine(f"sqlite:///{folder / 'hospital.db'}")
    metadata.create_all(engine)
    practice = Practice(
        mood=MOODS[mood], base_url=bay.url, gateway=gateway, client=(client[0], client[1] or ""),
        partner=("peerfhir", _PARTNER_SECRET), key="k" * 32,
        program="https://peerfhir.example.org/organizations|riverside-peer-support", canonical=CANONICAL,
    )  # fmt: skip
    hospital = Hospital(practice, partial(reading, engine), partial(writing, engine), clock)
    hospital.furnish()
    bay.start(create_app(hospital))
    return Ward(hospital, bay, engine, endpoint)


def captured_order(loop: Loop, patient: str = PATIENTS[0].id, **said: str) -> dict[str, Any]:
    """The transaction that the hospital would send; it keeps its order, and nothing leaves."""
    sent: list[dict[str, Any]] = []
    loop.ward.hospital.program.send = lambda bundle: sent.append(bundle) or {}  # type: ignore[method-assign, func-returns-value]
    try:
        loop.ward.hospital.refer(Order(patient, "Lonely since moving here.", contact="mobile", **said))
    finally:
        del loop.ward.hospital.program.send
    return sent[0]


def _text(value: Any) -> str:
    """Every string in a resource, with attachments opened."""
    if isinstance(value, dict):
        opened = [
            base64.b64decode(inner).decode("utf-8", "replace") if key == "data" else _text(inner)
            for key, inner in value.items()
        ]
        return "\n".join(opened)
    if isinstance(value, list):
        return "\n".join(_text(each) for each in value)
    return str(value)
