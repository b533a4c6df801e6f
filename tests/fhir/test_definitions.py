from __future__ import annotations

import time

from peerfhir.fhir import reader
from peerfhir.fhir.definitions import PRIMITIVES, Definitions, r4
from tests.support import make_definitions


def test_the_index_is_what_its_generator_makes() -> None:
    shipped = Definitions(make_definitions.build())
    for name in (*shipped.resources(), "HumanName", "Timing", "Encounter", "EncounterParticipant", "Extension"):
        assert shipped.elements(name) == r4().elements(name)


def test_every_type_that_is_named_is_known() -> None:
    index = r4()
    assert len(index.resources()) == 40
    waiting, seen = list(index.resources()), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        assert index.is_type(name)
        waiting += [element.type for element in index.elements(name).values() if element.type not in PRIMITIVES]
    assert {"CodeableConcept", "Reference", "TimingRepeat"} <= seen
    assert not {"CodeableReference", "RatioRange"} & seen  # R4B has them, R4 has not


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
    from importlib.resources import files

    data = files("peerfhir.fhir").joinpath("definitions_r4.json").read_bytes()
    spent = []
    for _ in range(5):
        start = time.perf_counter()
        Definitions(reader.read_own(data))
        spent.append(time.perf_counter() - start)
    assert min(spent) < 0.03
