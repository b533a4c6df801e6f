"""The person served <-> Patient, a peer specialist -> PractitionerRole, and who a referrer is."""

from __future__ import annotations

from datetime import date

from peerfhir.adapters.pieces import Refs
from peerfhir.fhir.reader import Json
from peerfhir.mapping.registry import Mappings
from peerfhir.pathway.people import Identifier, Peer, Person, Program, Wishes

_REFERRER_MAPPINGS = {
    "PractitionerRole": "referrer-role",
    "Practitioner": "referrer-practitioner",
    "Organization": "referrer-organization",
}


def person_to_fhir(mappings: Mappings, person: Person) -> Json:
    """A person as a Patient: names, identifiers, birth date and ways to reach; nothing of what the person wishes.

    Raises  MappingFailed (never)
    """
    record: Json = {
        "identifiers": [{"system": each.system, "value": each.value} for each in person.identifiers],
        "given": person.given,
        "family": person.family,
        "birth_date": person.birth_date.isoformat() if person.birth_date else None,
        "phone": person.phone,
        "email": person.email,
        "area": person.area,
    }
    return mappings.run("patient", record).only()


def person_from_fhir(mappings: Mappings, patient: Json) -> Person:
    """A Patient as a person, a draft without id and program.

    Raises  MappingFailed (never), for example when there is no name
    """
    values = mappings.run("person", patient).values
    birth = values.get("birth_date")
    return Person(
        id="",
        program_id="",
        given=" ".join(values.get("given", ())),
        family=values["family"],
        identifiers=tuple(
            Identifier(each["system"], each["value"])
            for each in values.get("identifiers", ())
            if "system" in each and "value" in each
        ),
        birth_date=date.fromisoformat(birth) if birth and len(birth) == len("2000-01-01") else None,
        phone=values.get("phone"),
        email=values.get("email"),
        area=values.get("area"),
        wishes=Wishes(language=values.get("language")),
    )


def peer_to_fhir(mappings: Mappings, peer: Peer, refs: Refs, program: Program) -> Json:
    """A peer as a PractitionerRole of the program; tags, exclusions and caseload stay where they are.

    Raises  MappingFailed (never)
    """
    record: Json = {
        "peer_id": peer.id,
        "name": peer.display,
        "title": peer.title,
        "languages": sorted(peer.languages),
        "program_ref": refs.program,
        "program_name": program.name,
    }
    return mappings.run("practitioner-role", record).only()


def referrer_name(mappings: Mappings, requester: Json | None) -> str | None:
    """How the requester of an order is called, from whichever resource says so; None when none does."""
    mapping = _REFERRER_MAPPINGS.get((requester or {}).get("resourceType", ""))
    if requester is None or mapping is None:
        return None
    name: str | None = mappings.run(mapping, requester).values.get("name")
    return name
