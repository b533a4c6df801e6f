"""Scenarios as folders: what arrives, what we make of it, what goes to the hospital."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from peerfhir.adapters import encounter as encounters
from peerfhir.adapters import referral as referrals
from peerfhir.adapters.author import author
from peerfhir.adapters.pieces import Refs
from peerfhir.adapters.writeback import plan
from peerfhir.config import compose
from peerfhir.fhir.reader import read, read_own
from peerfhir.fhir.writer import write
from peerfhir.mapping.registry import Mappings
from peerfhir.pathway.encounter import Encounter
from peerfhir.pathway.people import Person, Program
from peerfhir.pathway.referral import Referral, outward
from peerfhir.pathway.vocabulary import Intervention, Modality, Piece, ServiceType, Status, TaskStatus
from tests.adapters.offers import OFFERS, endpoint
from tests.support import shipped

HERE = Path(__file__).parent
CANONICAL = "http://peerfhir.example.org/fhir"
PROGRAM = Program(id="riverside", name="Riverside Peer Support Program")


@dataclass(frozen=True)
class Folder:
    """One scenario. Files are compared, or written when that was asked for."""

    path: Path
    rewrite: bool

    def json(self, name: str) -> Any:
        return read((self.path / name).read_bytes())

    def same(self, name: str, made: bytes) -> None:
        file = self.path / name
        if self.rewrite:
            file.write_bytes(made)
        assert file.read_bytes() == made, f"{file.name} differs; `make golden` rewrites it for review"

    def same_yaml(self, name: str, made: dict[str, Any]) -> None:
        """One key per line; a JSON value is a YAML value."""
        self.same(name, b"".join(b"%s: %s\n" % (key.encode(), write(value)) for key, value in made.items()))
        assert compose(self.path / name).plain() == made


@pytest.fixture(scope="session")
def mappings() -> Mappings:
    return shipped.mappings()


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Folder:
    return Folder(HERE / request.param, request.config.getoption("--rewrite-golden", default=False))


def lines(resources: list[Any]) -> bytes:
    """Resources for a reader: one element per line at the top, each exactly as it is sent."""
    return b"[\n" + b",\n".join(_spread(read_own(author(each))) for each in resources) + b"\n]\n"


def _spread(resource: dict[str, Any]) -> bytes:
    rows = b",\n".join(b"    %s: %s" % (write(key), write(value)) for key, value in resource.items())
    return b"  {\n%s\n  }" % rows


def ours(person: Person, referral: Referral) -> dict[str, Any]:
    """What the program knows of an order, in its own words."""
    assert referral.origin is not None
    assert referral.origin.placer is not None
    return {
        "given": person.given,
        "family": person.family,
        "birth_date": str(person.birth_date),
        "phone": person.phone,
        "language": person.wishes.language,
        "safe_contact": person.safe_contact,
        "service": referral.service.value,
        "priority": referral.priority.value,
        "reason": referral.reason,
        "requested_by": referral.requested_by,
        "contact_agreed": referral.contact_agreed,
        "contact_prohibited": referral.contact_prohibited,
        "placer": f"{referral.origin.placer.system}|{referral.origin.placer.value}",
    }


@pytest.mark.parametrize("folder", ["open/001_referral_accepted"], indirect=True)
def test_a_referral_is_accepted(mappings: Mappings, folder: Folder) -> None:
    sent = {each["resource"]["resourceType"]: each for each in folder.json("0_arrives.json")["entry"]}
    task, request, patient, requester, consent = (
        sent[kind]["resource"] for kind in ("Task", "ServiceRequest", "Patient", "PractitionerRole", "Consent")
    )
    person, draft = referrals.from_fhir(mappings, task, request, patient, requester, consent)
    folder.same_yaml("1_referral.yaml", ours(person, draft))
    at = datetime.fromisoformat("2026-11-21T16:30:00-05:00")
    accepted = replace(
        draft, number="PF-000123", status=Status.ASSIGNED, task_status=TaskStatus.ACCEPTED, accepted_at=at, version=5
    )
    refs = Refs(
        patient=task["for"]["reference"],
        request=task["focus"]["reference"],
        program=task["owner"]["reference"],
    )
    told = []
    for chosen in (False, True):
        shown = outward(accepted, choice_recorded=chosen, attendance=False)
        fragment = referrals.status_to_fhir(mappings, accepted, shown, refs, None, program=PROGRAM)
        told.append(referrals.merge_task(task, fragment))
    folder.same("2_to_ehr.json", lines(told))


@pytest.mark.parametrize("folder", ["oracle_like/002_first_meeting_shared"], indirect=True)
def test_a_first_meeting_is_shared_where_only_some_forms_are_taken(mappings: Mappings, folder: Folder) -> None:
    recorded = folder.json("0_recorded.json")
    encounter = Encounter(
        **{key: value for key, value in recorded.items() if key not in _TYPED},
        service=ServiceType(recorded["service"]),
        modality=Modality(recorded["modality"]),
        started_at=datetime.fromisoformat(recorded["started_at"]),
        ended_at=datetime.fromisoformat(recorded["ended_at"]),
        recorded_at=datetime.fromisoformat(recorded["recorded_at"]),
        interventions=tuple(Intervention(each) for each in recorded["interventions"]),
    )
    refs = Refs(patient="Patient/12724066", program="Organization/619848")
    sent, planned = [], {}
    for piece in (Piece.ENCOUNTER, Piece.SUMMARY, Piece.PROCEDURE):
        rung = plan(piece, OFFERS["oracle-like"], endpoint("oracle-like"))
        planned[piece.value] = f"{rung.number} {rung.form} by {rung.mapping}: {rung.reason}"
        made = encounters.to_fhir(
            mappings, piece, encounter, refs,
            engagement=None, peer=None, program=PROGRAM, named=False, mapping=rung.mapping,
        )  # fmt: skip
        sent.append(made)
        refs = replace(refs, encounter="Encounter/97957281") if piece is Piece.ENCOUNTER else refs
    folder.same_yaml("1_plan.yaml", planned)
    folder.same("2_to_ehr.json", lines(sent))
    assert recorded["working_note"] not in (folder.path / "2_to_ehr.json").read_text()


_TYPED = {"service", "modality", "started_at", "ended_at", "recorded_at", "interventions"}
