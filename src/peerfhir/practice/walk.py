"""Plays one referral as each real party would, over HTTP, and tells every hop."""

from __future__ import annotations

import base64
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from peerfhir.fhir.reader import read
from peerfhir.fhir.writer import write
from peerfhir.practice.people import PATIENTS
from peerfhir.practice.stage import Stage
from peerfhir.practice.visitor import Page, Visitor, fetch

OUTAGE_SECONDS = 5
STATUS_NOTE = "Peer support referral status"
_PATIENCE_SECONDS = 30

# What the hospital should find in its own store for two meetings and one PHQ-9, when attendance, summary and
# scores are shared and item answers are not. Source: what each mood accepts (moods.py) and the write-back ladder.
EXPECTED: dict[str, dict[str, int]] = {
    "open": {"Encounter": 2, "DocumentReference": 2, "Procedure": 2, "Observation": 2},
    "epic-like": {"DocumentReference": 4, "Procedure": 2, "Observation": 2},
    "oracle-like": {"Encounter": 2, "DocumentReference": 3, "Procedure": 2},
    "athena-like": {"Encounter": 2, "DocumentReference": 2, "Procedure": 2, "Observation": 2},  # read at our API
}
ANSWERS = (2, 2, 1, 2, 1, 1, 2, 1, 0)  # PHQ-9, total 12
FIRST_NOTE = "First cup of tea. She is funny."
LAST_NOTE = "A short call before the weekend; she sounded tired."
NOTE = "She laughed about the bus driver again. Rent worries; wants that kept between us."
GROUP_NOTE = "Quiet start. Good moment when the three of them compared tea shops."
SUMMARY = "We talked about the week and set one goal: two social activities a week."


class Stuck(Exception):
    """Something that should have happened did not, within its time."""


@dataclass(frozen=True)
class Cast:
    """Where everyone is and how they get in. Keys are made anew for each run."""

    mood: str
    gateway: str
    hospital: str
    hospital_key: str
    coordinator: tuple[str, str]  # login, password
    peer_passwords: Mapping[str, str]  # login -> password; the login is the peer's first name
    companions: tuple[str, ...]  # names of others who come to the group
    admin: tuple[str, str]  # client id and secret of the integration engineer's tool
    time_zone: str
    start_hospital: Callable[[], None]
    start_worker: Callable[[], None]


@dataclass
class Walk:
    """One referral, told in four acts."""

    cast: Cast
    stage: Stage
    tell: Callable[[str], None]
    verbose: bool = False
    started: float = field(default_factory=time.monotonic)
    person_link: str = ""
    referral_path: str = ""
    person_path: str = ""
    peer_login: str = ""
    stopped_at: datetime | None = None

    # -- the four acts ---------------------------------------------------------------------------------------

    def play(self) -> str:
        """All four acts; returns the last line. Raises Stuck, PageRefused, Unanswered or NotReady."""
        self.referred()
        self.matched()
        self.together()
        self.their_choice()
        return self.closing()

    def referred(self) -> None:
        """The hospital places the order and sends it; the chart shows that it was received."""
        self._act("REFERRED")
        clinician = Visitor(self.cast.hospital)
        who = PATIENTS[0]
        clinician.open(f"/charts/{who.id}")
        order = {
            "why": "Lonely since moving here; would like to talk with someone who has been there.",
            "urgency": "routine",
            "agreed": "said-so",
            "contact": "mobile, after 17:00, no voicemail",
        }
        before = time.monotonic()
        page = clinician.press(f"/charts/{who.id}/refer", order)
        while "said=not-sent" in page.url and time.monotonic() < before + _PATIENCE_SECONDS:
            time.sleep(0.3)
            page = clinician.press(f"/charts/{who.id}/refer", order)  # the same order goes out again
        if "said=sent" not in page.url:
            raise Stuck("the program did not take the order")
        took = round((time.monotonic() - before) * 1000)
        self._say(f'Dr. Okafor presses "Refer to peer support" in {who.name}\'s chart; no diagnosis is asked for')
        self._say(f"the hospital keeps its order and sends it as one transaction; answered in {took} ms, kept first")
        self._until("the chart says that the referral was received", lambda: self._chart_says("Received", "Being"))

    def matched(self) -> None:
        """Triage, proposals, the person's choice, the peer's yes, contact and a first meeting."""
        self._act("MATCHED")
        desk = self._sign_in(*self.cast.coordinator)
        self.referral_path = self._link(desk.open("/referrals"), "/referrals/")
        desk.open(self.referral_path)
        desk.press(f"{self.referral_path}/triage")
        page = desk.press(f"{self.referral_path}/propose")
        self.person_path = self._link(page, "/people/")
        page = desk.press(f"{self.referral_path}/link")
        self.person_link = page.ids["person-link"]["href"].removeprefix(self.cast.gateway)
        person = Visitor(self.cast.gateway)
        page = person.open(self.person_link)
        peers = [value for value in page.fields.get("peer_id", []) if value and value != "none"]
        if not 1 <= len(peers) <= 3:
            raise Stuck(f"{len(peers)} peers were proposed, one to three are right")
        self._say(f"triage; {len(peers)} peers proposed, each with reasons in plain words; nothing assigned by itself")
        chosen = peers[0]
        person.press(f"{self.person_link}/choose", {"peer_id": chosen})
        self.peer_login = self._who_was_chosen(desk.open(self.referral_path))
        peer = self._sign_in(self.peer_login, self.cast.peer_passwords[self.peer_login])
        peer.open(self.referral_path)
        peer.press(f"{self.referral_path}/accept")
        self._say(f"Marisol chooses {self.peer_login.title()} on her own page; {self.peer_login.title()} says yes")
        page = peer.open(self.referral_path)
        once = page.fields.get("client_uuid", [""])[0]
        peer.press(f"{self.referral_path}/contact", {"channel": "phone", "outcome": "answered", "client_uuid": once})
        peer.press(f"{self.referral_path}/meeting", {"at": self._local(timedelta(minutes=10))})
        self._note(peer, timedelta(minutes=-90), FIRST_NOTE, "", keep=True)
        self._until("the chart says no more than it may", lambda: self._chart_says("In contact"))
        self._say("contact by phone, first meeting held; nobody has been told more: she has not chosen yet")

    def together(self) -> None:
        """Sharing is chosen; meetings and a score travel, across an outage."""
        self._act("TOGETHER")
        person = Visitor(self.cast.gateway)
        person.open(self.person_link)
        person.press(
            f"{self.person_link}/sharing",
            {f"hospital.{each}": "on" for each in ("attendance", "summary", "scores")},
        )
        self._say("Marisol lets the hospital see: attendance, summary, scores. Not: single answers, anything else")
        peer = self._sign_in(self.peer_login, self.cast.peer_passwords[self.peer_login])
        self._note(peer, timedelta(minutes=-60), NOTE, SUMMARY)
        self._until("the first meeting is in the chart", lambda: self._found() >= self._share_of_expected(1))
        peer.open(self.referral_path)
        peer.press(f"{self.referral_path}/enrol")
        self._until("the chart says they work together", lambda: self._chart_says("Working together"))
        self._say("a note in two layers: the summary arrives, the working note stays; the hospital's Task is fulfilled")
        self.stage.stop("hospital")
        off = time.monotonic()
        self._group(peer)
        self._phq9(peer)
        waiting = self._waiting()
        time.sleep(max(0.0, OUTAGE_SECONDS - (time.monotonic() - off)))
        self.cast.start_hospital()
        self._say(
            f"the hospital was off for {OUTAGE_SECONDS} s: a group of three and a PHQ-9 were recorded, {waiting} waited"
        )
        self._until("what waited has arrived", lambda: self._found() >= sum(EXPECTED[self.cast.mood].values()))
        self._say("it is back: each went out once, under the EpisodeOfCare, since the referral itself is fulfilled")

    def their_choice(self) -> None:
        """The person stops; what waits is cancelled; the hospital learns one thing."""
        self._act("THEIR CHOICE")
        self.stage.stop("worker")  # as an operator does for an upgrade: so that something is waiting
        try:
            peer = self._sign_in(self.peer_login, self.cast.peer_passwords[self.peer_login])
            self._note(peer, timedelta(minutes=-15), LAST_NOTE, "A short check-in call.")
            queued = self._waiting()
            person = Visitor(self.cast.gateway)
            person.open(self.person_link)
            person.press(f"{self.person_link}/stop")
            self.stopped_at = datetime.now(UTC)
        finally:
            self.cast.start_worker()
        self._until("the chart says that the referral is closed", lambda: self._chart_says("Referral closed"))
        self._until("nothing waits any more", lambda: self._waiting() == 0)
        self._say(f"Marisol stops sharing, two taps, no reason; {queued} waiting messages are cancelled unsent")
        self._say('the hospital sees "Referral closed", and nothing of why')

    def closing(self) -> str:
        """What arrived and what was kept back, from the hospital's own store; the last line."""
        store = self._store()
        ours = self._arrived(store)
        counts = Counter(version["type"] for version in ours)
        self.tell("")
        told = sum(1 for version in store if version["version"] == 1 and _status_words(version))
        arrived = [f"{n} {name}" for name, n in sorted(counts.items())] + ([f"{told} status notes"] if told else [])
        how = ", read by the hospital at our API" if self.cast.mood == "athena-like" else ""
        self.tell("ARRIVED      " + (", ".join(arrived) or "nothing") + how)
        for line in self._rungs():
            self.tell(f"             {line}")
        secrets = self._secrets()
        everything = _words_of(store)
        kept = [label for label, text in secrets if text not in everything]
        leaked = sorted({label for label, text in secrets if text in everything})
        by_label = Counter(kept)
        self.tell("KEPT BACK    " + ", ".join(f"{n} {label}" for label, n in by_label.items()))
        if leaked:
            raise Stuck(f"the hospital's store holds what it should not: {', '.join(leaked)}")
        if self.verbose:
            for version in ours:
                self.tell(f"  {self.cast.hospital}/fhir/{version['type']}/{version['id']}")
        expected = EXPECTED[self.cast.mood]
        lost = sum(max(0, n - counts.get(name, 0)) for name, n in expected.items())
        doubled = sum(n - 1 for n in Counter(_key(version) for version in ours).values())
        after = sum(1 for version in ours if self.stopped_at and version["at"] > self.stopped_at.isoformat())
        hops = len(self._states(store))
        seconds = round(time.monotonic() - self.started)
        return (
            f"LOOP CLOSED hops={hops} arrived={len(ours)} doubled={doubled} lost={lost} outages=1 "
            f"kept_back={len(kept)} after_stop={after} seconds={seconds}"
        )

    # -- what peers do ----------------------------------------------------------------------------------------

    def _note(self, peer: Visitor, ago: timedelta, working: str, summary: str, *, keep: bool = False) -> None:
        path = f"{self.person_path}/note"
        page = peer.open(path)
        fields: dict[str, str | list[str]] = {
            "client_uuid": page.fields.get("client_uuid", [""])[0],
            "started_at": self._local(ago),
            "ended_at": self._local(ago + timedelta(minutes=12)),
            "minutes": "12",
            "modality": "phone",
            "interventions": ["listened", "goal-setting"],
            "working_note": working,
            "summary": summary,
            "next_step": "Call next week",
        }
        if keep:
            fields["keep_between_us"] = "on"
        peer.press(path, fields)

    def _group(self, peer: Visitor) -> None:
        page = peer.open("/groups/new")
        attendees = [value for value in page.fields.get("attendees", []) if value][:3]
        if len(attendees) < 3:
            raise Stuck("three people were expected for the group")
        peer.press(
            "/groups/new",
            {
                "topic": "Finding your feet in a new town",
                "started_at": self._local(timedelta(minutes=-45)),
                "ended_at": self._local(timedelta(minutes=-20)),
                "modality": "in-person",
                "summary": "The group shared ideas for meeting people in a new town.",
                "attendees": attendees,
                "working_note": GROUP_NOTE,
                "client_uuid": page.fields.get("client_uuid", [""])[0],
            },
        )

    def _phq9(self, peer: Visitor) -> None:
        page = peer.open(f"{self.person_path}/phq-9")
        items = [(name, offered) for name, offered in page.fields.items() if name.startswith("/") and len(offered) >= 4]
        answers = {name: offered[answer] for (name, offered), answer in zip(items, ANSWERS, strict=False)}
        if len(answers) != len(ANSWERS):
            raise Stuck(f"{len(answers)} questions were found on the form, nine were expected")
        kept = {name: page.fields[name][0] for name in ("referral_id", "client_uuid") if page.fields.get(name)}
        peer.press(f"{self.person_path}/phq-9", {**kept, **answers})

    def _who_was_chosen(self, page: Page) -> str:
        found = [login for login in self.cast.peer_passwords if login.title() in page.text]
        chosen = page.ids.get("chosen-peer", {}).get("data-peer", "")
        if chosen:
            found = [login for login in self.cast.peer_passwords if chosen.lower().startswith(login)]
        if not found:
            raise Stuck("the referral page does not say which peer was chosen")
        return found[0]

    # -- looking ----------------------------------------------------------------------------------------------

    def _sign_in(self, login: str, password: str) -> Visitor:
        visitor = Visitor(self.cast.gateway)
        visitor.open("/sign-in")
        visitor.press("/sign-in", {"login": login, "password": password})
        return visitor

    def _link(self, page: Page, prefix: str) -> str:
        for href, _ in page.links:
            path = href.removeprefix(self.cast.gateway)
            if path.startswith(prefix) and path.count("/") == 2 and not path.endswith("/new"):
                return path
        raise Stuck(f"no link to {prefix} on {page.url.removeprefix(self.cast.gateway)}")

    def _local(self, ago: timedelta) -> str:
        at = datetime.now(ZoneInfo(self.cast.time_zone)) + ago
        return at.strftime("%Y-%m-%dT%H:%M")

    def _store(self) -> list[dict[str, Any]]:
        """Every version in the hospital's own store: type, id, version, source, at, resource."""
        if self.cast.mood == "athena-like":  # its statement offers no place to write to: it asks our API instead
            self._hospital("POST", "/practice/look")
        return list(self._hospital("GET", "/practice/export")["versions"])

    def _hospital(self, method: str, path: str) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the hospital we started
            self.cast.hospital + path, method=method, headers={"Authorization": f"Bearer {self.cast.hospital_key}"}
        )
        return read(fetch(request, self.cast.hospital), max_bytes=64 * 1024 * 1024)

    def _arrived(self, store: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """First versions of chart resources that the peer program made."""
        chart = {"Encounter", "DocumentReference", "Procedure", "Observation", "QuestionnaireResponse"}
        return [
            v for v in store
            if v["type"] in chart and v["version"] == 1 and v["source"] != "hospital" and not _status_words(v)
        ]  # fmt: skip

    def _found(self) -> int:
        expected = EXPECTED[self.cast.mood]
        counts = Counter(version["type"] for version in self._arrived(self._store()))
        return sum(min(n, counts.get(name, 0)) for name, n in expected.items())

    def _share_of_expected(self, meetings: int) -> int:
        """What the first meeting alone brings: one of everything but the scores."""
        expected = EXPECTED[self.cast.mood]
        notes = {"epic-like": 2}.get(self.cast.mood, 1)
        return meetings * sum(notes if name == "DocumentReference" else 1 for name in expected if name != "Observation")

    def _states(self, store: list[dict[str, Any]]) -> list[str]:
        """The referral's states as the clinicians saw them: the Task's versions, or messages that said so."""
        said: list[str] = []
        for version in store:
            resource = version["resource"]
            words = ""
            if version["type"] == "Task":
                coding = (resource.get("businessStatus", {}).get("coding") or [{}])[0]
                words = resource.get("businessStatus", {}).get("text") or coding.get("display", "")
            else:
                words = _status_words(version)
            if words and (not said or said[-1] != words):
                said.append(words)
        return said

    def _chart_says(self, *words: str) -> bool:
        states = self._states(self._store())
        return bool(states) and any(each in states[-1] for each in words)

    def _admin(self, path: str) -> Any:
        form = urlencode({"grant_type": "client_credentials", "scope": "admin"}).encode()
        basic = base64.b64encode(":".join(self.cast.admin).encode()).decode()
        request = urllib.request.Request(  # noqa: S310 - the gateway we started
            f"{self.cast.gateway}/oauth/token",
            data=form,
            headers={"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"},
        )
        token = read(fetch(request, self.cast.gateway))["access_token"]
        request = urllib.request.Request(  # noqa: S310 - as above
            f"{self.cast.gateway}{path}", headers={"Authorization": f"Bearer {token}"}
        )
        return read(fetch(request, self.cast.gateway))

    def _messages(self) -> list[dict[str, Any]]:
        return list(self._admin("/admin/outbox")["messages"])

    def _waiting(self) -> int:
        return sum(1 for message in self._messages() if message["state"] in ("ready", "leased"))

    def _rungs(self) -> list[str]:
        """Which form each piece took where it was not the richest one, and why."""
        lower = {
            f"{message['piece']} as {message['form']}: {message['rung_reason']}"
            for message in self._messages()
            if (message.get("rung") or 1) > 1
        }
        return sorted(lower)

    def _secrets(self) -> list[tuple[str, str]]:
        """What must not be in the hospital's store: label and exact words or codes."""
        found = [("working notes", note) for note in (FIRST_NOTE, NOTE, GROUP_NOTE, LAST_NOTE)]
        found += [("other attendees' names", name) for name in self.cast.companions]
        items = ["44250-9", "44255-8", "44259-0", "44254-1", "44251-7", "44258-2", "44252-5", "44253-3", "44260-8"]
        return found + [("single answers", code) for code in items]

    # -- telling ----------------------------------------------------------------------------------------------

    def _act(self, name: str) -> None:
        self.tell(name)

    def _say(self, sentence: str) -> None:
        self.tell(f"{time.monotonic() - self.started:5.1f} s  {sentence}")

    def _until(self, what: str, happened: Callable[[], bool]) -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until:
            self.stage.check()
            if happened():
                return
            time.sleep(0.15)
        raise Stuck(f"waited {_PATIENCE_SECONDS} s in vain: {what}")


def _key(version: dict[str, Any]) -> str:
    identifier = version["resource"].get("identifier", [{}])
    first = identifier[0] if isinstance(identifier, list) else identifier
    return f"{version['type']} {first.get('system')}|{first.get('value')}"


def _status_words(version: dict[str, Any]) -> str:
    """What a document or message says of the referral's state, where the hospital's Task cannot be written."""
    resource = version["resource"]
    attached: list[dict[str, Any]] = []
    if version["type"] == "DocumentReference" and resource.get("type", {}).get("text") == STATUS_NOTE:
        attached = [content["attachment"] for content in resource["content"]]
    elif version["type"] == "Communication":
        attached = [payload.get("contentAttachment", {}) for payload in resource.get("payload", [])]
    return " ".join(base64.b64decode(each.get("data", "")).decode("utf-8", "replace") for each in attached)


def _words_of(store: list[dict[str, Any]]) -> str:
    """Everything in the store that the peer program sent or changed, with attachments opened."""
    texts: list[str] = []

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "data" and isinstance(inner, str):
                    texts.append(base64.b64decode(inner).decode("utf-8", "replace"))
                else:
                    collect(inner)
        elif isinstance(value, list):
            for inner in value:
                collect(inner)
        elif value is not None:
            texts.append(str(value))

    for version in store:
        collect(version["resource"])
    return "\n".join(texts) + write([v["resource"] for v in store]).decode()
