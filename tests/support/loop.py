"""A whole loop for one test: gateway, worker and practice hospital, and the people who use their pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from peerfhir.pathway.people import Actor, Person
from peerfhir.pathway.referral import Referral
from peerfhir.pathway.vocabulary import Role, Status, TaskStatus
from peerfhir.practice.visitor import Page, Visitor
from peerfhir.records import encounters, referrals
from peerfhir.records.database import reading
from peerfhir.records.schema import group_session, outbox_message
from peerfhir.wiring import House, Worker
from tests.support.served import Served
from tests.support.ward import Ward

ZONE = "Etc/GMT+5"  # behind UTC like the shipped program, and without an hour that comes twice in autumn
SUMMARY = "We talked about the week and set one goal: two social activities a week."
NOTE = "She laughed about the bus driver again."
TWELVE = (2, 2, 1, 2, 1, 1, 2, 1, 0)  # PHQ-9 answers, total 12
_MOST_ROUNDS = 60


class Skipping(Protocol):
    """A clock that can be moved ahead."""

    def now(self) -> datetime: ...
    def skip(self, seconds: float) -> None: ...


@dataclass
class Loop:
    """One house, its worker and one hospital, for one program; nothing in it is a stand-in.

    passwords  by login; a login is the first name, in a further program with the program behind it
    """

    house: House
    gateway: Served
    ward: Ward
    worker: Worker
    clock: Skipping
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
        login = name + mark_of(self.house, self.program)
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
        self.answer("phq-9", answers)

    def answer(self, questionnaire: str, answers: Sequence[int]) -> None:
        """Fill in a questionnaire; an answer is its place among those offered."""
        path = f"/people/{self.person_id}/{questionnaire}"
        who = self.loop.staff(self.peer)
        page = who.open(path)
        items = [(name, offered) for name, offered in page.fields.items() if name.startswith("/") and len(offered) >= 4]
        fields = {name: offered[answer] for (name, offered), answer in zip(items, answers, strict=False)}
        kept = {name: page.fields[name][0] for name in ("referral_id", "client_uuid")}
        who.press(path, fields | kept)


def sign_in(site: str, login: str, password: str) -> Visitor:
    visitor = Visitor(site)
    visitor.open("/sign-in")
    visitor.press("/sign-in", {"login": login, "password": password})
    return visitor


def mark_of(house: House, program: str) -> str:
    """What stands behind the logins of a program that is not the first."""
    return "" if program == house.settings.default_program else f"-{program}"
