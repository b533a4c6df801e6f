"""Which elements of each resource type are its summary, and which it cannot be without; at the top level.

Source: R4 StructureDefinitions (isSummary, min), read from the models.
"""

from __future__ import annotations

from collections.abc import Mapping

SUMMARY: Mapping[str, str] = {
    "CarePlan": (
        "implicitRules identifier instantiatesCanonical instantiatesUri basedOn replaces partOf status "
        "intent category title description subject encounter period created author addresses"
    ),
    "CareTeam": ("implicitRules identifier status category name subject encounter period managingOrganization"),
    "Communication": (
        "implicitRules identifier instantiatesCanonical instantiatesUri basedOn partOf status "
        "statusReason priority subject encounter reasonCode reasonReference"
    ),
    "Condition": (
        "implicitRules identifier clinicalStatus verificationStatus code bodySite subject encounter "
        "onsetDateTime onsetAge onsetPeriod onsetRange onsetString recordedDate recorder asserter"
    ),
    "Consent": (
        "implicitRules identifier status scope category patient dateTime performer organization "
        "sourceAttachment sourceReference policyRule verification provision"
    ),
    "Device": "implicitRules udiCarrier status safety",
    "DocumentReference": (
        "implicitRules masterIdentifier identifier status docStatus type category subject date author "
        "relatesTo description securityLabel content context"
    ),
    "Encounter": (
        "implicitRules identifier status class type serviceType subject episodeOfCare participant "
        "appointment reasonCode reasonReference diagnosis"
    ),
    "EpisodeOfCare": "implicitRules status type diagnosis patient managingOrganization period",
    "Goal": (
        "implicitRules lifecycleStatus achievementStatus category priority description subject startDate "
        "startCodeableConcept statusDate expressedBy"
    ),
    "Group": "implicitRules identifier active type actual code name quantity managingEntity",
    "HealthcareService": (
        "implicitRules identifier active providedBy category type specialty location name comment photo"
    ),
    "Location": (
        "implicitRules identifier status operationalStatus name description mode type physicalType managingOrganization"
    ),
    "Observation": (
        "implicitRules identifier basedOn partOf status code subject focus encounter effectiveDateTime "
        "effectivePeriod effectiveTiming effectiveInstant issued performer valueQuantity "
        "valueCodeableConcept valueString valueBoolean valueInteger valueRange valueRatio "
        "valueSampledData valueTime valueDateTime valuePeriod hasMember derivedFrom component"
    ),
    "Organization": "implicitRules identifier active type name partOf",
    "Patient": (
        "implicitRules identifier active name telecom gender birthDate deceasedBoolean deceasedDateTime "
        "address managingOrganization link"
    ),
    "Practitioner": "implicitRules identifier active name telecom address gender birthDate",
    "PractitionerRole": (
        "implicitRules identifier active period practitioner organization code specialty location telecom"
    ),
    "Procedure": (
        "implicitRules identifier instantiatesCanonical instantiatesUri basedOn partOf status "
        "statusReason category code subject encounter performedDateTime performedPeriod performedString "
        "performedAge performedRange recorder asserter performer location reasonCode reasonReference "
        "bodySite outcome"
    ),
    "Provenance": "implicitRules target recorded",
    "Questionnaire": (
        "implicitRules url identifier version name title status experimental subjectType date publisher "
        "contact useContext jurisdiction effectivePeriod code"
    ),
    "QuestionnaireResponse": (
        "implicitRules identifier basedOn partOf questionnaire status subject encounter authored author source"
    ),
    "RelatedPerson": ("implicitRules identifier active patient relationship name telecom gender birthDate address"),
    "ServiceRequest": (
        "implicitRules identifier instantiatesCanonical instantiatesUri basedOn replaces requisition "
        "status intent category priority doNotPerform code orderDetail quantityQuantity quantityRatio "
        "quantityRange subject encounter occurrenceDateTime occurrencePeriod occurrenceTiming "
        "asNeededBoolean asNeededCodeableConcept authoredOn requester performerType performer "
        "locationCode locationReference reasonCode reasonReference specimen bodySite patientInstruction"
    ),
    "Task": (
        "implicitRules instantiatesCanonical instantiatesUri basedOn groupIdentifier partOf status "
        "statusReason businessStatus intent code description focus for encounter executionPeriod "
        "lastModified requester owner location"
    ),
}
REQUIRED: Mapping[str, str] = {
    "CarePlan": "intent status subject",
    "Communication": "status",
    "Condition": "subject",
    "Consent": "category scope status",
    "DocumentReference": "content status",
    "Encounter": "class status",
    "EpisodeOfCare": "patient status",
    "Goal": "description lifecycleStatus subject",
    "Group": "actual type",
    "Observation": "code status",
    "Procedure": "status subject",
    "Provenance": "agent recorded target",
    "Questionnaire": "status",
    "QuestionnaireResponse": "status",
    "RelatedPerson": "patient",
    "ServiceRequest": "intent status subject",
    "Task": "intent status",
}
