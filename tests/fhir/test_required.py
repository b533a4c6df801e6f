"""What US Core and Gravity require of a server is offered and answers rightly; what is left out is named with its reason."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from peerfhir.fhir.capability import build
from peerfhir.fhir.parameters import PARAMETERS
from peerfhir.fhir.reader import Json, read
from peerfhir.fhir.search import parse
from peerfhir.fhir.store import Draft, Labels, Store
from peerfhir.records.database import reading, writing
from tests.support.clock import HeldClock
from tests.support.searches import put_in
from tests.support.third_party import folder, load

_SD = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-"
LEFT_OUT = Path(__file__).parent / "left-out.json"
WANTED = frozenset({"SHALL", "SHOULD"})
SEED = 20261121


def _statements() -> Iterator[Json]:
    """The server side of each statement: US Core's, and every role of Gravity's."""
    root = folder("fhir-packages")
    found = sorted(
        [*root.glob("gravity-sdohcc/CapabilityStatement-*.json"),
         *root.glob("us-core-*/definitions/CapabilityStatement-*server.json")]
    )  # fmt: skip
    assert len(found) >= 5
    for path in found:
        yield from (rest for rest in load(path)["rest"] if rest["mode"] == "server")


def _expectation(node: Json) -> str:
    found = (one["valueCode"] for one in node.get("extension", ()) if one["url"] == f"{_SD}expectation")
    return next(found, "SHALL")


def _resources() -> Iterator[Json]:
    for rest in _statements():
        yield from rest.get("resource", ())


def _combinations() -> set[tuple[str, tuple[str, ...]]]:
    """(type, parameters that are asked together), each as a guide gives it."""
    found = set()
    for one in _resources():
        for each in one.get("extension", ()):
            if each["url"] == f"{_SD}search-parameter-combination" and _expectation(each) in WANTED:
                names = tuple(
                    part["valueString"] for part in each["extension"] if part["url"] in ("required", "optional")
                )
                found.add((one["type"], names))
    return {(kind, names) for kind, names in found if kind in PARAMETERS}


def _omitted(what: str) -> set[str]:
    entries = read(LEFT_OUT.read_bytes())["omitted"]
    assert all(one["reason"].endswith(".") for one in entries)
    return {one["name"] for one in entries if one["what"] == what}


def _offered() -> dict[str, Json]:
    return {one["type"]: one for one in build("PeerFHIR")["rest"][0]["resource"]}


def test_every_type_that_is_required_is_offered_or_left_out_with_a_reason() -> None:
    listed = {one["type"] for one in _resources()}
    assert listed - set(_offered()) == _omitted("type")


def test_every_interaction_and_operation_that_is_required_is_offered_or_left_out() -> None:
    offered, interactions, operations = _offered(), 0, set()
    for one in _resources():
        own = offered.get(one["type"])
        if own is None:
            continue
        codes = {each["code"] for each in own["interaction"]}
        for each in one.get("interaction", ()):
            if _expectation(each) in WANTED:
                assert each["code"] in codes, (one["type"], each["code"])
                interactions += 1
        named = {each["name"] for each in own["operation"]}
        wanted = [each["name"] for each in one.get("operation", ()) if _expectation(each) in WANTED]
        operations |= {f"{one['type']}.{name}" for name in wanted if name not in named}
    print(f"{interactions} interactions are required")
    assert interactions > 150
    assert operations == _omitted("operation")
    kinds = {each["code"] for each in build("PeerFHIR")["rest"][0]["interaction"]}
    for rest in _statements():
        assert {each["code"] for each in rest.get("interaction", ()) if _expectation(each) in WANTED} <= kinds


def test_every_parameter_that_a_guide_lists_is_offered_with_its_type_or_left_out() -> None:
    stated = {kind: {one["name"]: one["type"] for one in own["searchParam"]} for kind, own in _offered().items()}
    wanted: dict[str, str] = {}
    for one in _resources():
        for each in one.get("searchParam", ()):
            wanted[f"{one['type']}.{each['name']}"] = each["type"]
    for pattern in ("gravity-sdohcc/SearchParameter-*.json", "us-core-*/definitions/SearchParameter-*.json"):
        for path in folder("fhir-packages").glob(pattern):
            defined = load(path)
            wanted |= {f"{kind}.{defined['code']}": defined["type"] for kind in defined["base"]}
    wanted = {name: kind for name, kind in wanted.items() if name.partition(".")[0] in PARAMETERS}
    missing = set()
    for name, kind in wanted.items():
        resource, _, parameter = name.partition(".")
        if parameter in stated[resource]:
            assert stated[resource][parameter] == kind, name
        else:
            missing.add(name)
    print(f"{len(wanted)} parameters are listed, {len(missing)} are left out")
    assert missing == _omitted("parameter")
    assert len(wanted) > 120


def test_every_combination_that_is_required_finds_what_fits_all_of_it_and_nothing_else(shared: Engine) -> None:
    """For each, one resource fits; beside it stands one for each parameter that fits all but that one."""
    print(f"seed {SEED}")
    program, wanted = str(uuid.uuid4()), sorted(_combinations())
    drafts: list[Draft] = []
    for number, (kind, names) in enumerate(wanted):
        drafts.append(Draft(_resource(kind, f"c{number}", names, without=None), Labels()))
        drafts += [Draft(_resource(kind, f"c{number}-{name}", names, without=name), Labels()) for name in names]
    with writing(shared) as connection:
        Store(connection, program, HeldClock()).write(drafts)
    with reading(shared) as connection:
        store = Store(connection, program, HeldClock())
        for number, (kind, names) in enumerate(wanted):
            asked = "&".join(f"{name}={_asked(kind, name)}" for name in names)
            ids = {f"c{number}", *(f"c{number}-{name}" for name in names)}
            found = {one.id for one in store.search(kind, parse(kind, f"_count=500&{asked}")).rows}
            assert found & ids == {f"c{number}"}, (kind, names)
            for name in names:
                alone = parse(kind, f"_count=500&{name}={_asked(kind, name)}")
                assert {one.id for one in store.search(kind, alone).rows} & ids == ids - {f"c{number}-{name}"}, (
                    kind,
                    name,
                )
    print(f"{len(wanted)} combinations are required, each answers")
    assert len(wanted) > 45


_RIGHT = {"token": "urn:s|right", "date": "2026-03-04", "uri": "urn:right", "string": "Right"}


def _asked(kind: str, name: str) -> str:
    parameter = PARAMETERS[kind][name]
    return f"{parameter.targets[0]}/right" if parameter.kind == "reference" else _RIGHT[parameter.kind]


def _resource(kind: str, ident: str, names: tuple[str, ...], *, without: str | None) -> dict[str, Any]:
    """A resource that fits each of the parameters but one."""
    made: dict[str, Any] = {"resourceType": kind, "id": ident}
    rng = random.Random(SEED)
    for name in names:
        parameter = PARAMETERS[kind][name]
        own = next(PARAMETERS[kind][each] for each in (*parameter.stored, name) if PARAMETERS[kind][each].paths)
        word = "wrong" if name == without else "right"
        value = {
            "token": {"coding": [{"system": "urn:s", "code": word}]},
            "date": "2026-03-04" if name != without else f"2025-0{rng.randrange(1, 9)}-01",
            "reference": {"reference": f"{parameter.targets[0] if parameter.targets else ''}/{word}"},
            "uri": f"urn:{word}",
            "string": word.title(),
        }[parameter.kind]
        put_in(made, own.paths[0], value)
    return made
