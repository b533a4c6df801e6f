"""Writes `src/peerfhir/fhir/definitions_r4.json` from the R4B models: `python -m tests.support.make_definitions`.

What R4B added to R4 (CodeableReference, RatioRange) is left out; the types below exist in both.
Code lists that the models cut short (they end in "+") are given in full here, from the R4 value sets of the same name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fhir.resources.R4B import get_fhir_model_class

from peerfhir.fhir import definitions, writer

# engineering: the forty types the loop and its neighbours meet
RESOURCES = [
    "ServiceRequest", "Task", "Encounter", "QuestionnaireResponse", "Questionnaire", "Observation", "Consent",
    "Provenance", "AuditEvent", "DocumentReference", "CareTeam", "CarePlan", "Goal", "Communication", "Bundle",
    "CapabilityStatement", "OperationOutcome", "PractitionerRole", "HealthcareService", "Subscription",
    "Procedure", "Patient", "Practitioner", "RelatedPerson", "Organization", "Location", "Endpoint", "Condition",
    "EpisodeOfCare", "Flag", "Group", "MessageHeader", "CommunicationRequest", "Composition", "Appointment",
    "Parameters", "Binary", "Device", "List", "Basic",
]  # fmt: skip

ADDED_BY_R4B = {"CodeableReference", "RatioRange"}
ABSTRACT = {"FHIRAbstractModel", "FHIRResourceModel"}
ENCOUNTER_STATUS = [
    "planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "entered-in-error",
    "unknown",
]  # fmt: skip
TASK_STATUS = [
    "draft", "requested", "received", "accepted", "rejected", "ready", "cancelled", "in-progress", "on-hold",
    "failed", "completed", "entered-in-error",
]  # fmt: skip
OBSERVATION_STATUS = [
    "registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown",
]  # fmt: skip
FULL = {  # R4 value sets encounter-status, task-status, observation-status
    "Encounter.status": ENCOUNTER_STATUS,
    "EncounterStatusHistory.status": ENCOUNTER_STATUS,
    "Task.status": TASK_STATUS,
    "Observation.status": OBSERVATION_STATUS,
}
NOT_REQUIRED = {"CapabilityStatement.format"}  # listed by the model, but open in the specification
PRIMITIVES = {
    "Base64Binary": "base64Binary", "Boolean": "boolean", "Canonical": "canonical", "Code": "code", "Date": "date",
    "DateTime": "dateTime", "Decimal": "decimal", "Id": "id", "Instant": "instant", "Integer": "integer",
    "Markdown": "markdown", "Oid": "oid", "PositiveInt": "positiveInt", "String": "string", "Time": "time",
    "UnsignedInt": "unsignedInt", "Uri": "uri", "Url": "url", "UuidVersion": "uuid", "Uuid": "uuid", "Xhtml": "xhtml",
}  # fmt: skip


def type_of(annotation: str) -> str:
    """The FHIR type in an annotation such as `Optional[List[Annotated[str, Code()]]]`."""
    if found := re.search(r"abc\.(\w+)Type\b", annotation):
        return found.group(1)
    for name in re.findall(r"\b([A-Z]\w*)\b", annotation):
        if name in PRIMITIVES:
            return PRIMITIVES[name]
    if re.search(r"\bbool\b", annotation):
        return "boolean"
    raise ValueError(annotation)


def element(owner: str, name: str, field: Any) -> list[Any]:
    """One element as `definitions` reads it: type, min, many, choice, codes, targets; empty tails cut off."""
    extra = field.json_schema_extra or {}
    annotation = str(field.annotation)
    codes = FULL.get(f"{owner}.{name}") or extra.get("enum_values") or []
    if "+" in codes or f"{owner}.{name}" in NOT_REQUIRED:
        codes = []
    required = bool(extra.get("element_required") or extra.get("one_of_many_required") or field.is_required())
    row = [
        type_of(annotation), int(required), int("List[" in annotation), extra.get("one_of_many") or 0,
        sorted(codes) or 0, sorted(set(extra.get("enum_reference_types") or []) - {"Resource"}) or 0,
    ]  # fmt: skip
    while row[-1] == 0 and len(row) > 1:
        row.pop()
    return row


def own_elements(name: str, model: Any) -> dict[str, list[Any]]:
    """The elements a type adds to its base, in the specification's order."""
    inherited = {field.alias for field in model.__mro__[1].model_fields.values()}
    found = {}
    for field in model.model_fields.values():
        alias = field.alias
        if alias in inherited or alias.startswith("_") or alias == "fhir_comments":
            continue
        row = element(name, alias, field)
        if row[0] not in ADDED_BY_R4B:
            found[alias] = row
    order = {alias: at for at, alias in enumerate(model.elements_sequence())}
    return {alias: found[alias] for alias in sorted(found, key=lambda alias: (order.get(alias, 999), alias))}


def build() -> dict[str, Any]:
    """Every type that can be reached from the forty, each with its base and its own elements."""
    types: dict[str, Any] = {}
    waiting = [*RESOURCES]
    while waiting:
        name = waiting.pop()
        if name in types or name[0].islower():
            continue
        model = get_fhir_model_class(name)
        base = model.__mro__[1].__name__
        types[name] = {"base": "" if base in ABSTRACT else base, "elements": own_elements(name, model)}
        waiting += [base] if base not in ABSTRACT else []
        waiting += [row[0] for row in types[name]["elements"].values()]
    return {"fhirVersion": "4.0.1", "types": {name: types[name] for name in sorted(types)}}


if __name__ == "__main__":
    Path(definitions.__file__).with_name("definitions_r4.json").write_bytes(writer.write(build()))
