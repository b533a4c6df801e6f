from __future__ import annotations

import gzip
import time

from peerfhir.fhir import reader, writer
from peerfhir.fhir.definitions import PRIMITIVES, bindings, displays, invariants, r4
from tests.support import make_definitions


def test_the_index_is_what_its_generator_makes() -> None:
    made = make_definitions.build()
    shipped = gzip.decompress((make_definitions.FOLDER / "definitions.json.gz").read_bytes())
    assert writer.write(made) == shipped


def test_every_type_that_is_named_is_known() -> None:
    index = r4()
    assert len(index.resources()) == 146
    waiting, seen = list(index.resources()), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        assert index.is_type(name)
        waiting += [element.type for element in index.elements(name).values() if element.type not in PRIMITIVES]
    assert {"CodeableConcept", "Reference", "TimingRepeat", "ExplanationOfBenefitItemDetail"} <= seen
    assert not {"CodeableReference", "RatioRange", "SubscriptionTopic"} & seen  # R4B has them, R4 has not


def test_the_elements_of_the_models_are_the_elements_of_the_index() -> None:
    # fhir.resources carries R4B: of these types it has the same elements
    from fhir.resources.R4B import get_fhir_model_class

    for name in ("Patient", "Task", "QuestionnaireResponse", "HumanName", "Timing", "Encounter", "Consent", "Dosage"):
        fields = get_fhir_model_class(name).model_fields.values()
        models = {field.alias for field in fields if field.alias and not field.alias.startswith(("_", "fhir_"))}
        assert set(r4().elements(name)) == models - {"resourceType"}, name


def test_what_stands_inside_another_type_has_no_name_of_its_own() -> None:
    assert r4().is_type("BundleEntry")
    assert not r4().is_named("BundleEntry")
    assert r4().is_named("MarketingStatus")
    assert r4().element("QuestionnaireItem", "item").type == "QuestionnaireItem"  # type: ignore[union-attr]


def test_elements_know_cardinality_type_codes_and_targets() -> None:
    index = r4()
    status = index.element("Encounter", "status")
    assert status is not None
    assert (status.type, status.minimum, status.many) == ("code", 1, False)
    assert status.codes is not None
    assert "entered-in-error" in status.codes
    subject = index.element("Encounter", "subject")
    assert subject is not None
    assert set(subject.targets) == {"Patient", "Group"}
    given = index.element("HumanName", "given")
    assert given is not None
    assert (given.type, given.many) == ("string", True)
    assert index.element("Encounter", "nothing") is None
    assert index.elements("string") == {}


def test_choices_are_found_by_their_common_name() -> None:
    names = {one.name for one in r4().choices("ServiceRequest", "occurrence")}
    assert names == {"occurrenceDateTime", "occurrencePeriod", "occurrenceTiming"}
    assert r4().choices("ServiceRequest", "status") == ()


def test_types_know_what_they_descend_from() -> None:
    index = r4()
    assert index.is_a("Duration", "Quantity")
    assert index.is_a("Patient", "DomainResource")
    assert index.is_resource("Binary")
    assert not index.is_resource("DomainResource")
    assert not index.is_a("Patient", "Quantity")
    assert index.element("Duration", "unit") is not None


def test_the_index_is_loaded_in_a_moment() -> None:
    spent = []
    for _ in range(5):
        start = time.process_time()
        r4.__wrapped__()
        spent.append(time.process_time() - start)
    assert min(spent) < 0.03


def test_every_invariant_of_r4_has_its_expression_at_hand() -> None:
    base = reader.read_own(gzip.decompress((make_definitions.FOLDER / "base.json.gz").read_bytes()))
    keys = {key for entry in base["types"].values() for key in entry["rules"]}
    found = {rule[0] for rule in invariants()["rules"]}
    assert keys - found == {"dom-6", "txt-1", "txt-2", "inv-0"}  # of narratives, and of a logical model
    assert found - keys == {"ext-1"}
    assert all(severity in ("error", "warning") and human for _, severity, human, _ in invariants()["rules"])


def test_bindings_name_elements_of_r4_and_value_sets_that_are_at_hand() -> None:
    sets = bindings()["sets"]
    for strength in ("extensible", "required"):
        for place, url in bindings()[strength].items():
            owner, _, name = place.partition(".")
            known = r4().choices(owner, name.removesuffix("[x]")) if "[x]" in name else r4().element(owner, name)
            assert known, place
            assert url in sets
    assert (
        "AMB"
        in dict(sets["http://terminology.hl7.org/ValueSet/v3-ActEncounterCode"])[
            "http://terminology.hl7.org/CodeSystem/v3-ActCode"
        ]
    )


def test_displays_are_those_of_hl7_alone() -> None:
    assert all(url.startswith(("http://hl7.org/fhir/", "http://terminology.hl7.org/")) for url in displays())
    assert displays()["http://hl7.org/fhir/task-status"]["on-hold"] == "On Hold"
    size = (make_definitions.FOLDER / "displays.json.gz").stat().st_size
    assert size < 100_000
