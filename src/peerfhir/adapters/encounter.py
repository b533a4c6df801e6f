"""A meeting and its chart summary -> Encounter, DocumentReference, Procedure or a lower form of them."""

from __future__ import annotations

from peerfhir.adapters import labels, words
from peerfhir.adapters.pieces import PIECES, Refs
from peerfhir.fhir.reader import Json
from peerfhir.mapping.registry import Mappings
from peerfhir.pathway.encounter import Encounter
from peerfhir.pathway.engagement import Engagement
from peerfhir.pathway.people import Peer, Program
from peerfhir.pathway.vocabulary import Piece


def to_fhir(
    mappings: Mappings,
    piece: Piece,
    encounter: Encounter,
    refs: Refs,
    *,
    engagement: Engagement | None,
    peer: Peer | None,
    program: Program,
    named: bool,
    mapping: str | None = None,
) -> Json:
    """One piece of a meeting as FHIR.

    piece    ENCOUNTER, SUMMARY or PROCEDURE
    named    the class care-team-contact is granted, so the peer's name may go out
    mapping  the form the plan chose; None is the richest
    Raises   MappingFailed (never)
    """
    shown = peer if named else None
    record = _facts(encounter, refs, engagement, shown, program)
    if piece is Piece.SUMMARY:
        record |= words.attachment((encounter.summary or "") + words.signed(shown))
    else:
        record |= words.attachment(words.of_encounter(encounter, shown))
    resource = mappings.run(mapping or PIECES[piece][0].mapping, record).only()
    return labels.labelled(resource, labels.CONFIDENTIALITY_OF[piece])


def _facts(
    encounter: Encounter, refs: Refs, engagement: Engagement | None, peer: Peer | None, program: Program
) -> Json:
    """What the mappings of a meeting may know.

    The working note, the next step, the worry, the setting, the topic and the key of a group are left out here, so
    that no mapping can let them out.
    """
    return {
        "key": encounter.number.partition("-")[2] or encounter.number,
        "status": encounter.status,
        "service": encounter.service.value,
        "modality": encounter.modality.value,
        "started_at": words.instant(encounter.started_at),
        "ended_at": words.instant(encounter.ended_at),
        "written_at": words.instant(encounter.recorded_at or encounter.ended_at),
        "minutes": encounter.minutes,
        "patient_ref": refs.patient,
        "request_ref": refs.request,
        "program_ref": refs.program,
        "program_name": program.name,
        "encounter_ref": refs.encounter,
        "episode_ref": refs.episode,
        "episode_number": engagement.number if engagement else None,
        "peer_name": peer.display if peer else None,
        "peer_title": peer.title if peer else None,
        "recipient_refs": list(refs.recipients),
        "sender_ref": refs.sender,
    }
