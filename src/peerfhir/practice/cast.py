"""Who plays the walk: where everyone is, and how they get in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


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
