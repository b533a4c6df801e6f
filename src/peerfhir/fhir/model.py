"""The only importer of `fhir.resources` (R4B, never the root); every exception of the library becomes a finding.

The package has no R4 module. R4B is the same as R4 4.0.1 for every type this house uses, but it
has types that R4 does not know: hence the list of names.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from peerfhir.fhir.issues import Finding
from peerfhir.fhir.reader import Json

R4_TYPES = frozenset(
    """
    Account ActivityDefinition AdverseEvent AllergyIntolerance Appointment AppointmentResponse AuditEvent Basic Binary
    BiologicallyDerivedProduct BodyStructure Bundle CapabilityStatement CarePlan CareTeam CatalogEntry ChargeItem
    ChargeItemDefinition Claim ClaimResponse ClinicalImpression CodeSystem Communication CommunicationRequest
    CompartmentDefinition Composition ConceptMap Condition Consent Contract Coverage CoverageEligibilityRequest
    CoverageEligibilityResponse DetectedIssue Device DeviceDefinition DeviceMetric DeviceRequest DeviceUseStatement
    DiagnosticReport DocumentManifest DocumentReference EffectEvidenceSynthesis Encounter Endpoint EnrollmentRequest
    EnrollmentResponse EpisodeOfCare EventDefinition Evidence EvidenceVariable ExampleScenario ExplanationOfBenefit
    FamilyMemberHistory Flag Goal GraphDefinition Group GuidanceResponse HealthcareService ImagingStudy Immunization
    ImmunizationEvaluation ImmunizationRecommendation ImplementationGuide InsurancePlan Invoice Library Linkage List
    Location Measure MeasureReport Media Medication MedicationAdministration MedicationDispense MedicationKnowledge
    MedicationRequest MedicationStatement MedicinalProduct MedicinalProductAuthorization
    MedicinalProductContraindication MedicinalProductIndication MedicinalProductIngredient
    MedicinalProductInteraction MedicinalProductManufactured MedicinalProductPackaged
    MedicinalProductPharmaceutical MedicinalProductUndesirableEffect MessageDefinition MessageHeader
    MolecularSequence NamingSystem NutritionOrder Observation ObservationDefinition OperationDefinition
    OperationOutcome Organization OrganizationAffiliation Parameters Patient PaymentNotice PaymentReconciliation
    Person PlanDefinition Practitioner PractitionerRole Procedure Provenance Questionnaire QuestionnaireResponse
    RelatedPerson RequestGroup ResearchDefinition ResearchElementDefinition ResearchStudy ResearchSubject
    RiskAssessment RiskEvidenceSynthesis Schedule SearchParameter ServiceRequest Slot Specimen SpecimenDefinition
    StructureDefinition StructureMap Subscription Substance SubstanceNucleicAcid SubstancePolymer SubstanceProtein
    SubstanceReferenceInformation SubstanceSourceMaterial SubstanceSpecification SupplyDelivery SupplyRequest Task
    TerminologyCapabilities TestReport TestScript ValueSet VerificationResult VisionPrescription
    """.split()  # noqa: SIM905 - a hundred and fifty names read better without quotes
)

# pydantic's kinds of error -> what a person reads; the library's own messages print values, and are never shown.
_SENTENCES = {
    "missing": ("required", "This element is required."),
    "extra_forbidden": ("structure", "FHIR R4 has no such element here."),
    "list_type": ("structure", "This element takes a list."),
    "dict_type": ("structure", "This element takes an object."),
}
# fhir.resources 8.3 refuses `_valueString` in an extension, which FHIR allows; the judge has looked at those elements.
_EXTENDED_VALUE = re.compile(r"[eE]xtension\[[0-9]+\]\.value[A-Z][A-Za-z0-9]*$")
_MARKER = re.compile(r"^[A-Z]|\W")  # steps of a location that name a class or a validator, not an element


def parse(resource: Json) -> list[Finding]:
    """What `fhir.resources` says against this resource; empty when it is content. Never raises.

    The models are loaded on first use: 0.5 s and 47 MB. Values stay out of every text.
    """
    name = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(name, str) or name not in R4_TYPES:
        return [Finding("error", "structure", "", "This is not a resource of FHIR R4.")]
    try:
        _class_of(name).model_validate(resource)
    except Exception as err:  # the library raises KeyError, TypeError and RecursionError for what strangers send
        return _findings(name, err)
    return []


@cache
def _class_of(name: str) -> Any:
    from fhir.resources.R4B import get_fhir_model_class

    return get_fhir_model_class(name)


def _findings(name: str, err: Exception) -> list[Finding]:
    errors = getattr(err, "errors", None)
    if not callable(errors):
        return [Finding("error", "structure", name, "This resource is not built as FHIR R4 says.")]
    found = []
    for one in errors(include_url=False, include_context=False, include_input=False):
        if one["type"] == "extra_forbidden" and _EXTENDED_VALUE.search(_expression(name, one["loc"])):
            continue
        code, text = _SENTENCES.get(str(one["type"]), ("structure", "This is not what FHIR R4 says for this element."))
        found.append(Finding("error", code, _expression(name, one["loc"]), text))
    return list(dict.fromkeys(found))


def _expression(name: str, steps: tuple[str | int, ...]) -> str:
    path = name
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not _MARKER.search(step):
            path += f".{step[:64].lstrip('_')}"
    return path
