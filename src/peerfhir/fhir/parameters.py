"""The search parameters of each resource type served: name, kind, where the values stand, what they point at.

Source: the R4 search parameter registry, and SDOHCC's `output`, `supporting-info` and `source-reference`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_CODES = "http://hl7.org/fhir/"  # code systems of required codes, where an element carries the bare code


@dataclass(frozen=True)
class Parameter:
    """One search parameter.

    kind     token | reference | date | string | uri | quantity
    paths    element names; lists on the way are opened, a choice names each of its types, an address after
             `extension` keeps those with that url
    targets  resource types a reference may have; with the bare id all of them are tried
    system   of a token element that carries the code alone
    stored   the parameters whose index rows answer this one, where they are others' (patient uses subject's)
    many     of a date: a resource may have several
    said     the type a CapabilityStatement gives, where it is not the kind
    """

    name: str
    kind: str
    paths: tuple[tuple[str, ...], ...]
    targets: tuple[str, ...] = ()
    system: str = ""
    stored: tuple[str, ...] = ()
    many: bool = False
    said: str = ""


_WHO = ("Practitioner", "PractitionerRole", "Organization", "Patient", "RelatedPerson", "Device", "CareTeam")
_SUBJECT = ("Patient", "Group", "Location", "Device", "Organization", "Practitioner")


def _paths(*paths: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(path.split(".")) for path in paths)


def _token(name: str, *paths: str, system: str = "") -> Parameter:
    return Parameter(name, "token", _paths(*(paths or (name,))), system=system and _CODES + system)


def _extension(name: str, kind: str, url: str, *below: str) -> Parameter:
    return Parameter(name, kind, (("extension", url, *below),))


def _date(name: str, *paths: str, many: bool = False) -> Parameter:
    return Parameter(name, "date", _paths(*(paths or (name,))), many=many)


def _string(name: str, *paths: str) -> Parameter:
    return Parameter(name, "string", _paths(*(paths or (name,))))


def _uri(name: str, *paths: str, said: str = "uri") -> Parameter:
    return Parameter(name, "uri", _paths(*(paths or (name,))), said=said)


def _ref(name: str, *paths: str, to: tuple[str, ...] = _WHO) -> Parameter:
    return Parameter(name, "reference", _paths(*(paths or (name,))), to)


def _about(path: str = "subject") -> tuple[Parameter, ...]:
    """`subject` and `patient`, answered from the same rows."""
    return (
        _ref("subject", path, to=_SUBJECT),
        Parameter("patient", "reference", (), ("Patient",), stored=("subject",)),
    )


_PATIENT = _ref("patient", to=("Patient",))
_ENCOUNTER = _ref("encounter", to=("Encounter",))
_ID = _token("identifier")
_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
_NAME = Parameter(
    "name", "string", _paths("name.text", "name.prefix", "name.suffix"), stored=("name", "family", "given")
)
_HUMAN = (_NAME, _string("family", "name.family"), _string("given", "name.given"))
_PLACE = (
    _string("address"), _string("address-city", "address.city"), _string("address-state", "address.state"),
    _string("address-postalcode", "address.postalCode"),
)  # fmt: skip
_PROFILE = Parameter("_profile", "uri", _paths("meta.profile"))
_ANY_REQUEST = ("ServiceRequest", "CarePlan", "Task", "CommunicationRequest")
_ANYTHING = (
    "ServiceRequest", "Task", "Procedure", "Observation", "QuestionnaireResponse", "Goal", "CarePlan",
    "DocumentReference", "Condition", "Patient", "Encounter", "Consent", "Communication", "Bundle",
)  # fmt: skip
_EVERY = (
    *_ANYTHING, *(one for one in _WHO if one != "Patient"), "EpisodeOfCare", "Group",
    "HealthcareService", "Location", "Questionnaire", "Provenance",
)  # fmt: skip


def _of(*parameters: Parameter) -> Mapping[str, Parameter]:
    return {one.name: one for one in parameters}


PARAMETERS: Mapping[str, Mapping[str, Parameter]] = {
    "Patient": _of(
        _ID, *_HUMAN, _token("active"), _token("gender", system="administrative-gender"),
        _date("birthdate", "birthDate"), _date("death-date", "deceasedDateTime"), _token("telecom"),
        _extension("race", "token", f"{_CORE}race", "extension", "valueCoding"),
        _extension("ethnicity", "token", f"{_CORE}ethnicity", "extension", "valueCoding"),
        _extension("gender-identity", "token", f"{_CORE}genderIdentity", "valueCodeableConcept"),
    ),
    "Practitioner": _of(_ID, *_HUMAN, _token("active"), _token("telecom")),
    "PractitionerRole": _of(
        _ID, _token("active"), _ref("practitioner", to=("Practitioner",)), _ref("organization", to=("Organization",)),
        _token("role", "code"), _token("specialty"), _ref("location", to=("Location",)),
        _ref("service", "healthcareService", to=("HealthcareService",)), _ref("endpoint", to=("Endpoint",)),
    ),
    "Organization": _of(
        _ID, _token("active"), _string("name", "name", "alias"), _token("type"), *_PLACE,
        _ref("partof", "partOf", to=("Organization",)),
    ),
    "Location": _of(
        _ID, _string("name", "name", "alias"), _token("status", system="location-status"), *_PLACE,
        _ref("organization", "managingOrganization", to=("Organization",)),
    ),
    "HealthcareService": _of(
        _ID, _token("active"), _string("name"), _token("service-category", "category"), _token("service-type", "type"),
        _ref("location", to=("Location",)), _ref("organization", "providedBy", to=("Organization",)),
        _token("program"),
    ),
    "RelatedPerson": _of(_ID, *_HUMAN, _PATIENT, _token("active")),
    "ServiceRequest": _of(
        _ID, _token("status", system="request-status"), _token("intent", system="request-intent"),
        _token("priority", system="request-priority"), _token("category"), _token("code"), *_about(), _ENCOUNTER,
        _date("authored", "authoredOn"), _date("occurrence", "occurrenceDateTime", "occurrencePeriod"),
        _ref("requester"), _ref("performer"), _ref("based-on", "basedOn", to=_ANY_REQUEST),
        _ref("supporting-info", "supportingInfo", to=_ANYTHING), _PROFILE,
    ),
    "Task": _of(
        _ID, _token("status", system="task-status"), _token("intent", system="request-intent"),
        _token("priority", system="request-priority"), _token("code"), _token("business-status", "businessStatus"),
        _ref("focus", to=_ANYTHING), *_about("for"), _ENCOUNTER, _ref("owner", to=(*_WHO, "HealthcareService")),
        _ref("requester"), _ref("based-on", "basedOn", to=_ANY_REQUEST), _ref("part-of", "partOf", to=("Task",)),
        _date("authored-on", "authoredOn"), _date("modified", "lastModified"), _date("period", "executionPeriod"),
        _token("performer", "performerType"), _token("group-identifier", "groupIdentifier"),
        _ref("output", "output.valueReference", to=_ANYTHING), _PROFILE,
    ),
    "Consent": _of(
        _ID, _token("status", system="consent-state-codes"), _token("category"), _token("scope"), _PATIENT,
        _date("date", "dateTime"),
        _ref("source-reference", "sourceReference", to=("DocumentReference", "Consent", "QuestionnaireResponse")),
    ),
    "Encounter": _of(
        _ID, _token("status", system="encounter-status"), _token("class"), _token("type"), *_about(),
        _date("date", "period"), _ref("participant", "participant.individual"),
        _ref("service-provider", "serviceProvider", to=("Organization",)),
        _ref("episode-of-care", "episodeOfCare", to=("EpisodeOfCare",)),
        _ref("based-on", "basedOn", to=("ServiceRequest",)), _ref("part-of", "partOf", to=("Encounter",)),
        _ref("location", "location.location", to=("Location",)),
        _token("discharge-disposition", "hospitalization.dischargeDisposition"),
    ),
    "EpisodeOfCare": _of(
        _ID, _token("status", system="episode-of-care-status"), _token("type"), _PATIENT, _date("date", "period"),
        _ref("organization", "managingOrganization", to=("Organization",)), _ref("care-manager", "careManager"),
        _ref("incoming-referral", "referralRequest", to=("ServiceRequest",)),
    ),
    "DocumentReference": _of(
        _token("identifier", "identifier", "masterIdentifier"),
        _token("status", system="document-reference-status"), _token("type"), _token("category"), *_about(),
        _ref("author"), _ref("custodian", to=("Organization",)), _date("date"), _date("period", "context.period"),
        _ref("encounter", "context.encounter", to=("Encounter", "EpisodeOfCare")),
        _ref("related", "context.related", to=_ANYTHING),
    ),
    "Procedure": _of(
        _ID, _token("status", system="event-status"), _token("category"), _token("code"), *_about(), _ENCOUNTER,
        _date("date", "performedDateTime", "performedPeriod"), _ref("performer", "performer.actor"),
        _ref("based-on", "basedOn", to=_ANY_REQUEST), _ref("part-of", "partOf", to=("Procedure", "Observation")),
    ),
    "Observation": _of(
        _ID, _token("status", system="observation-status"), _token("category"), _token("code"), *_about(), _ENCOUNTER,
        _date("date", "effectiveDateTime", "effectivePeriod", "effectiveInstant"), _ref("performer"),
        _ref("based-on", "basedOn", to=_ANY_REQUEST), _ref("focus", to=_ANYTHING),
        _ref("derived-from", "derivedFrom", to=("QuestionnaireResponse", "Observation", "DocumentReference")),
        _ref("has-member", "hasMember", to=("Observation", "QuestionnaireResponse")),
        Parameter("value-quantity", "quantity", _paths("valueQuantity")),
    ),
    "QuestionnaireResponse": _of(
        _ID, _token("status", system="questionnaire-answers-status"), _uri("questionnaire", said="reference"),
        *_about(), _ENCOUNTER,
        _ref("author"), _ref("source"), _date("authored"), _ref("based-on", "basedOn", to=_ANY_REQUEST),
        _ref("part-of", "partOf", to=("Observation", "Procedure")),
    ),
    "Questionnaire": _of(
        _ID, _uri("url"), _token("version"), _token("status", system="publication-status"), _string("name"),
        _string("title"), _token("code", "item.code", "code"), _date("date"), _string("publisher"),
        _token("subject-type", "subjectType", system="resource-types"),
    ),
    "Communication": _of(
        _ID, _token("status", system="event-status"), _token("category"), *_about(), _ENCOUNTER, _ref("sender"),
        _ref("recipient"), _date("sent"), _date("received"), _ref("based-on", "basedOn", to=_ANY_REQUEST),
        _ref("part-of", "partOf", to=_ANYTHING),
    ),
    "Condition": _of(
        _ID, _token("clinical-status", "clinicalStatus"), _token("verification-status", "verificationStatus"),
        _token("category"), _token("code"), *_about(), _ENCOUNTER, _ref("asserter"),
        _date("onset-date", "onsetDateTime", "onsetPeriod"), _date("recorded-date", "recordedDate"),
        _date("abatement-date", "abatementDateTime", "abatementPeriod"),
        _extension("asserted-date", "date", "http://hl7.org/fhir/StructureDefinition/condition-assertedDate",
                   "valueDateTime"),
    ),
    "Goal": _of(
        _ID, _token("lifecycle-status", "lifecycleStatus", system="goal-status"),
        _token("achievement-status", "achievementStatus"), _token("category"), *_about(),
        _date("start-date", "startDate"), _date("target-date", "target.dueDate", many=True),
        _token("description"),
    ),
    "CarePlan": _of(
        _ID, _token("status", system="request-status"), _token("intent", system="request-intent"), _token("category"),
        *_about(), _ENCOUNTER, _date("date", "period"), _ref("based-on", "basedOn", to=("CarePlan",)),
        _ref("care-team", "careTeam", to=("CareTeam",)), _ref("goal", to=("Goal",)),
        _ref("activity-reference", "activity.reference", to=_ANYTHING),
    ),
    "CareTeam": _of(
        _ID, _token("status", system="care-team-status"), _token("category"), *_about(), _ENCOUNTER,
        _date("date", "period"), _ref("participant", "participant.member"), _token("role", "participant.role"),
    ),
    "Device": _of(
        _ID, _PATIENT, _token("status", system="device-status"), _token("type"),
    ),
    "Group": _of(
        _ID, _token("type", system="group-type"), _token("actual"), _token("code"),
        _token("characteristic", "characteristic.code"), _ref("member", "member.entity", to=_SUBJECT),
        _ref("managing-entity", "managingEntity"),
    ),
    "Provenance": _of(
        _ref("target", to=_EVERY), _ref("agent", "agent.who"), _date("recorded"),
        _ref("entity", "entity.what", to=_ANYTHING),
    ),
}  # fmt: skip

COMMON = {  # answered from the current row, for every type
    "_id": Parameter("_id", "id", ()),
    "_lastUpdated": Parameter("_lastUpdated", "updated", ()),
}


def of(resource_type: str) -> Mapping[str, Parameter]:
    """The parameters that a search of this type understands, beside result parameters such as _count."""
    return {**COMMON, **PARAMETERS.get(resource_type, {})}
