"""Base R4 as data: types, elements, cardinalities, choices, required codes and reference targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from peerfhir.fhir import reader

PRIMITIVES = frozenset((
    "base64Binary", "boolean", "canonical", "code", "date", "dateTime", "decimal", "id", "instant", "integer",
    "markdown", "oid", "positiveInt", "string", "time", "unsignedInt", "uri", "url", "uuid", "xhtml",
))  # fmt: skip

# resources of R4 that the index knows by name only
_OTHER_RESOURCES = frozenset((
    "Account", "ActivityDefinition", "AdverseEvent", "AllergyIntolerance", "AppointmentResponse",
    "BiologicallyDerivedProduct", "BodyStructure", "CatalogEntry", "ChargeItem", "ChargeItemDefinition", "Claim",
    "ClaimResponse", "ClinicalImpression", "CodeSystem", "CompartmentDefinition", "ConceptMap", "Contract", "Coverage",
    "CoverageEligibilityRequest", "CoverageEligibilityResponse", "DetectedIssue", "DeviceDefinition", "DeviceMetric",
    "DeviceRequest", "DeviceUseStatement", "DiagnosticReport", "DocumentManifest", "EffectEvidenceSynthesis",
    "EnrollmentRequest", "EnrollmentResponse", "EventDefinition", "Evidence", "EvidenceVariable", "ExampleScenario",
    "ExplanationOfBenefit", "FamilyMemberHistory", "GraphDefinition", "GuidanceResponse", "ImagingStudy",
    "Immunization", "ImmunizationEvaluation", "ImmunizationRecommendation", "ImplementationGuide", "InsurancePlan",
    "Invoice", "Library", "Linkage", "Measure", "MeasureReport", "Media", "Medication", "MedicationAdministration",
    "MedicationDispense", "MedicationKnowledge", "MedicationRequest", "MedicationStatement", "MedicinalProduct",
    "MedicinalProductAuthorization", "MedicinalProductContraindication", "MedicinalProductIndication",
    "MedicinalProductIngredient", "MedicinalProductInteraction", "MedicinalProductManufactured",
    "MedicinalProductPackaged", "MedicinalProductPharmaceutical", "MedicinalProductUndesirableEffect",
    "MessageDefinition", "MolecularSequence", "NamingSystem", "NutritionOrder", "ObservationDefinition",
    "OperationDefinition", "OrganizationAffiliation", "PaymentNotice", "PaymentReconciliation", "Person",
    "PlanDefinition", "RequestGroup", "ResearchDefinition", "ResearchElementDefinition", "ResearchStudy",
    "ResearchSubject", "RiskAssessment", "RiskEvidenceSynthesis", "Schedule", "SearchParameter", "Slot", "Specimen",
    "SpecimenDefinition", "StructureDefinition", "StructureMap", "Substance", "SubstanceNucleicAcid",
    "SubstancePolymer", "SubstanceProtein", "SubstanceReferenceInformation", "SubstanceSourceMaterial",
    "SubstanceSpecification", "SupplyDelivery", "SupplyRequest", "TerminologyCapabilities", "TestReport", "TestScript",
    "ValueSet", "VerificationResult", "VisionPrescription",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type, under the name it has in JSON (`valueQuantity`, not `value[x]`).

    minimum  0 or 1; every alternative of a required choice carries 1
    choice   the name without its type ("value"), for an element that is one alternative of a choice
    codes    the codes of its required value set, where the index knows them in full
    targets  the resource types a Reference may point to; empty when any may
    """

    name: str
    type: str
    minimum: int
    many: bool
    choice: str | None = None
    codes: frozenset[str] | None = None
    targets: tuple[str, ...] = ()


class Definitions:
    """The types of one FHIR version. Immutable from outside; elements are made on first use."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._types: Mapping[str, Any] = data["types"]
        self._elements: dict[str, Mapping[str, Element]] = {}

    def is_type(self, name: str) -> bool:
        """Whether it is a primitive, a data type, a backbone element or a resource of the index."""
        return name in PRIMITIVES or name in self._types

    def is_named(self, name: str) -> bool:
        """Whether it is a type of R4, even one whose elements the index leaves out."""
        return self.is_type(name) or name in _OTHER_RESOURCES

    def is_resource(self, name: str) -> bool:
        """Whether it is a resource type that can be written."""
        return self._descends(name, "Resource") and name not in ("Resource", "DomainResource")

    def resources(self) -> tuple[str, ...]:
        """Every resource type of the index, in alphabetical order."""
        return tuple(name for name in self._types if self.is_resource(name))

    def is_a(self, name: str, base: str) -> bool:
        """Whether `name` is `base` or descends from it: an Age is a Quantity."""
        return name == base or self._descends(name, base)

    def _descends(self, name: str, base: str) -> bool:
        while (entry := self._types.get(name)) is not None and (name := entry["base"]):
            if name == base:
                return True
        return False

    def elements(self, type_name: str) -> Mapping[str, Element]:
        """Every element of a type, inherited ones first; empty for a primitive or an unknown type."""
        known = self._elements.get(type_name)
        if known is None:
            entry = self._types.get(type_name)
            known = {}
            if entry is not None:
                known = dict(self.elements(entry["base"])) if entry["base"] else {}
                known.update({name: _element(name, row) for name, row in entry["elements"].items()})
            self._elements[type_name] = known  # two threads may both build it; the results are equal
        return known

    def element(self, type_name: str, name: str) -> Element | None:
        """One element under its JSON name."""
        return self.elements(type_name).get(name)

    def choices(self, type_name: str, name: str) -> tuple[Element, ...]:
        """The alternatives of a choice named without its type: `value` of an Observation."""
        return tuple(element for element in self.elements(type_name).values() if element.choice == name)


def _element(name: str, row: list[Any]) -> Element:
    kind, minimum, many, choice, codes, targets = [*row, 0, 0, 0, 0, 0][:6]
    return Element(
        name, kind, minimum, bool(many), choice or None, frozenset(codes) if codes else None, tuple(targets or ())
    )


@cache
def r4() -> Definitions:
    """The index of R4 4.0.1 that ships with the package, read on first use.

    Source  fhir.resources R4B models, by tests/support/make_definitions.py
    """
    return Definitions(reader.read_own(files("peerfhir.fhir").joinpath("definitions_r4.json").read_bytes()))
