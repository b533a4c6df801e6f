"""Walking alongside someone -> EpisodeOfCare."""

from __future__ import annotations

from peerfhir.adapters import words
from peerfhir.adapters.pieces import Refs
from peerfhir.fhir.reader import Json
from peerfhir.mapping.registry import Mappings
from peerfhir.pathway.engagement import Engagement
from peerfhir.pathway.people import Program


def to_fhir(mappings: Mappings, engagement: Engagement, refs: Refs, program: Program) -> Json:
    """An engagement as the class `existence` may know it: that it is, since when, until when.

    The stages and the reason for closing tell more than that and stay here, as does the peer.
    Raises  MappingFailed (never)
    """
    record: Json = {
        "number": engagement.number,
        "status": engagement.status,
        "started_at": words.instant(engagement.started_at) if engagement.started_at else None,
        "ended_at": words.instant(engagement.ended_at) if engagement.ended_at else None,
        "patient_ref": refs.patient,
        "request_ref": refs.request,
        "program_ref": refs.program,
        "program_name": program.name,
    }
    return mappings.run("episode", record).only()
