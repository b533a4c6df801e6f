"""What the doors are built from; wiring fills it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from flask import Blueprint, current_app
from sqlalchemy import Engine

from peerfhir.clock import Clock
from peerfhir.config import EndpointSettings, Settings
from peerfhir.pathway.outcome import Instrument
from peerfhir.pathway.people import Program
from peerfhir.records.work import Office

if TYPE_CHECKING:
    from peerfhir.mapping.catalogue import Loaded

EXTENSION = "peerfhir"


class Active(Protocol):
    """The mappings of one moment: those that are used for delivery."""

    def active(self) -> tuple[Loaded, ...]: ...


class MappingsKnown(Protocol):
    """The mappings that were loaded: /readyz and the admin API name them, $transform and $translate use them."""

    def ids(self) -> tuple[str, ...]: ...
    def sha256(self, mapping_id: str) -> str: ...
    @property
    def now(self) -> Active: ...
    def get(self, mapping_id: str, overlay: str | None = None) -> Loaded: ...


@dataclass(frozen=True)
class Parts:
    """Everything wiring gives to the web app. `pages` adds the portal, which the gateway may not import.

    reload  reads the mappings again for whom it is given, in every process; says what is told of them
    follow  does what another process was asked to reload
    """

    settings: Settings
    engine: Engine
    clock: Clock
    office: Office
    mappings: MappingsKnown
    endpoints: Mapping[str, EndpointSettings]
    programs: Mapping[str, Program]
    instruments: Mapping[str, Instrument]
    pages: Callable[[Parts], Blueprint] | None = None
    reload: Callable[[str], Sequence[str]] = lambda asked_by: ()
    follow: Callable[[], None] = lambda: None


def parts() -> Parts:
    """The parts of the app that is answering."""
    return cast("Parts", current_app.extensions[EXTENSION])
