"""What the acts of the walk share: who and where everyone is, what is known by now, and how it is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import ClassVar
from zoneinfo import ZoneInfo

from peerfhir.practice.cast import Cast, Stuck
from peerfhir.practice.dispatch import Dispatch
from peerfhir.practice.holdings import Holdings
from peerfhir.practice.stage import Stage
from peerfhir.practice.visitor import Page, Visitor


@dataclass
class Scene:
    """The stage with everyone on it, and what one act leaves to the next."""

    PATIENCE_SECONDS: ClassVar[float] = 30
    cast: Cast
    stage: Stage
    tell: Callable[[str], None]
    started: float = field(default_factory=time.monotonic)
    person_link: str = ""
    referral_path: str = ""
    person_path: str = ""
    peer_login: str = ""
    stopped_at: datetime | None = None

    @cached_property
    def chart(self) -> Holdings:
        """The hospital's own store."""
        return Holdings(self.cast)

    @cached_property
    def outbox(self) -> Dispatch:
        """What the program has to send."""
        return Dispatch(self.cast)

    def begin(self, name: str) -> None:
        """Tell the name of an act."""
        self.tell(name)

    def say(self, sentence: str) -> None:
        """Tell a hop, with the seconds since the start."""
        self.tell(f"{time.monotonic() - self.started:5.1f} s  {sentence}")

    def until(self, what: str, happened: Callable[[], bool]) -> None:
        """Wait until something has happened. Raises Stuck, NotReady."""
        until = time.monotonic() + self.PATIENCE_SECONDS
        while time.monotonic() < until:
            self.stage.check()
            if happened():
                return
            time.sleep(0.15)
        raise Stuck(f"waited {self.PATIENCE_SECONDS} s in vain: {what}")

    def sign_in(self, login: str, password: str) -> Visitor:
        """Somebody of the program's staff at the gateway."""
        visitor = Visitor(self.cast.gateway)
        visitor.open("/sign-in")
        visitor.press("/sign-in", {"login": login, "password": password})
        return visitor

    def link(self, page: Page, prefix: str) -> str:
        """The path of the first thing that a page links to. Raises Stuck."""
        for href, _ in page.links:
            path = href.removeprefix(self.cast.gateway)
            if path.startswith(prefix) and path.count("/") == 2 and not path.endswith("/new"):
                return path
        raise Stuck(f"no link to {prefix} on {page.url.removeprefix(self.cast.gateway)}")

    def local(self, ago: timedelta) -> str:
        """A moment from now on, as a form of the program takes it."""
        at = datetime.now(ZoneInfo(self.cast.time_zone)) + ago
        return at.strftime("%Y-%m-%dT%H:%M")

    def note(self, peer: Visitor, ago: timedelta, working: str, summary: str, *, keep: bool = False) -> None:
        """A meeting by phone, noted in two layers by the peer who had it."""
        path = f"{self.person_path}/note"
        page = peer.open(path)
        fields: dict[str, str | list[str]] = {
            "client_uuid": page.fields.get("client_uuid", [""])[0],
            "started_at": self.local(ago),
            "ended_at": self.local(ago + timedelta(minutes=12)),
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
