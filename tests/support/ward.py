"""A practice hospital behind a server of its own, and what stands in its own store."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from peerfhir.clock import Clock
from peerfhir.fhir.tables import metadata
from peerfhir.practice.app import create_app
from peerfhir.practice.hospital import Hospital, Practice
from peerfhir.practice.moods import MOODS
from peerfhir.records.database import open_engine, reading, writing
from tests.support.served import Served

CANONICAL = "http://peerfhir.example.org/fhir"
ENDPOINT = "general-hospital"
PARTNER_SECRET = "p" * 40
CHART = ("Encounter", "DocumentReference", "Procedure", "Observation", "QuestionnaireResponse")


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


def open_ward(
    folder: Path, bay: Served, gateway: str, clock: Clock, mood: str, client: tuple[str, str | None],
    endpoint: str = ENDPOINT,
) -> Ward:  # fmt: skip
    """A practice hospital, listening."""
    folder.mkdir(parents=True)
    engine = open_engine(f"sqlite:///{folder / 'hospital.db'}")
    metadata.create_all(engine)
    practice = Practice(
        mood=MOODS[mood], base_url=bay.url, gateway=gateway, client=(client[0], client[1] or ""),
        partner=("peerfhir", PARTNER_SECRET), key="k" * 32,
        program="https://peerfhir.example.org/organizations|riverside-peer-support", canonical=CANONICAL,
    )  # fmt: skip
    hospital = Hospital(practice, partial(reading, engine), partial(writing, engine), clock)
    hospital.furnish()
    bay.start(create_app(hospital))
    return Ward(hospital, bay, engine, endpoint)


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
