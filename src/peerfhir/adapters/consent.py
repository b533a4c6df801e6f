"""A grant -> Consent, and an order's Consent -> whether the person agreed to be contacted."""

from __future__ import annotations

from dataclasses import dataclass

from peerfhir.adapters import words
from peerfhir.adapters.pieces import Refs
from peerfhir.fhir.reader import Json
from peerfhir.mapping.registry import Mappings
from peerfhir.pathway.consent import Grant
from peerfhir.pathway.people import Program


@dataclass(frozen=True)
class Agreement:
    """What an order says about making contact; it grants no share class.

    contact_agreed  said-so | signed | not-asked
    refused         the person said no: make no contact, the referrer will arrange it
    """

    contact_agreed: str = "not-asked"
    refused: bool = False


def to_fhir(mappings: Mappings, grant: Grant, refs: Refs, program: Program) -> Json:
    """A line of the ledger as a Consent; an ended one is inactive, and why it ended is not said.

    Raises  MappingFailed (never)
    """
    sentence = (
        f"{program.name} may share the class {grant.share_class.value} with the recipient {grant.recipient.value}."
    )
    ends = [moment for moment in (grant.until, grant.ended_at) if moment is not None]
    record: Json = {
        "number": grant.id,
        "active": grant.ended_at is None,
        "granted_at": words.instant(grant.granted_at),
        "ends_at": words.instant(min(ends)) if ends else None,
        "share_class": grant.share_class.value,
        "recipient": grant.recipient.value,
        "purpose": grant.purpose,
        "patient_ref": refs.patient,
        "program_ref": refs.program,
        "program_name": program.name,
        **words.attachment(sentence),
    }
    return mappings.run("consent", record).only()


def agreement(mappings: Mappings, consent: Json | None) -> Agreement:
    """The contact agreement in an order's Consent; no Consent, or one that is not active, is "not asked".

    Raises  MappingFailed (never)
    """
    if consent is None:
        return Agreement()
    values = mappings.run("contact-agreement", consent).values
    if values.get("refused"):
        return Agreement(refused=True)
    if not values.get("agreed"):
        return Agreement()
    if values["words"] != "other":  # the words of the order's own question
        return Agreement(values["words"])
    return Agreement("signed" if values.get("written") else "said-so")
