"""The CapabilityStatement and the server are held against each other, in both directions."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from peerfhir.fhir import compartments
from peerfhir.fhir.capability import INTERACTIONS, build
from peerfhir.fhir.parameters import PARAMETERS
from peerfhir.fhir.reader import Json, read
from peerfhir.fhir.routes import Offered
from peerfhir.fhir.store import metadata
from peerfhir.records.database import open_engine
from tests.support.fhir import Server
from tests.support.third_party import folder, load

EVERY_TYPE = [
    *PARAMETERS, "Account", "AllergyIntolerance", "Binary", "Bundle", "Coverage", "DiagnosticReport", "Endpoint",
    "Immunization", "Medication", "MedicationRequest", "Slot", "Specimen", "Subscription", "ValueSet",
]  # fmt: skip
# names of the R4 registry and of guides, of every type: what is a parameter of one is asked of all
NAMES = sorted(
    {name for own in PARAMETERS.values() for name in own}
    | {"_content", "_text", "_list", "_query", "_filter", "_has:Task:patient:status", "_tag", "_security", "_source",
       "address", "phone", "email", "language", "link", "general-practitioner", "deceased", "phonetic", "composed-of",
       "code-value-concept", "combo-code", "component-code", "value-string", "value-concept", "value-date", "method",
       "specimen", "device", "context-type-value", "context", "definition", "version", "characteristic-value",
       "exclude", "near", "endpoint", "diagnosis", "appointment", "reason-code", "length", "special-arrangement",
       "instantiates-canonical", "group-or-identifier", "relatesto", "relation", "event", "facility", "setting"}
)  # fmt: skip
VALUES = {"token": "a|b", "reference": "Patient/x", "date": "2026", "string": "x", "uri": "urn:x", "quantity": "5"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """One database is enough: what is understood does not depend on it."""
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('truth') / 'fhir.db'}")
    metadata.create_all(engine)
    return engine


@pytest.fixture(scope="module")
def server(shared: Engine) -> Server:
    return Server(shared)


@pytest.fixture(scope="module")
def statement(server: Server) -> Json:
    return server.get("metadata")


def _resources(statement: Json) -> dict[str, Json]:
    return {one["type"]: one for one in statement["rest"][0]["resource"]}


def _is_served(server: Server, method: str, path: str, body: Any = None) -> bool:
    """Whether the address takes the method: anything but "no such address", "not this method", "not understood"."""
    reply = server.ask(method, path, body)
    assert reply.status < 500, (method, path)
    said = read(reply.body) if reply.body else {}
    text = said["issue"][0].get("diagnostics", "") if said.get("resourceType") == "OperationOutcome" else ""
    return not (
        reply.status == 405 or "no such address" in text or "not served here" in text or "not understood" in text
    )


def _interactions(server: Server, kind: str) -> set[str]:
    asked = {
        "read": ("GET", f"{kind}/x", None), "vread": ("GET", f"{kind}/x/_history/1", None),
        "update": ("PUT", f"{kind}/x", {"resourceType": kind, "id": "x"}), "patch": ("PATCH", f"{kind}/x", []),
        "delete": ("DELETE", f"{kind}/x", None), "history-instance": ("GET", f"{kind}/x/_history", None),
        "history-type": ("GET", f"{kind}/_history", None), "create": ("POST", kind, {"resourceType": kind}),
        "search-type": ("GET", f"{kind}?_count=0", None),
    }  # fmt: skip
    assert set(asked) == set(INTERACTIONS)
    return {code for code, one in asked.items() if _is_served(server, *one)}


def test_what_is_stated_is_served_and_what_is_served_is_stated(server: Server, statement: Json) -> None:
    stated = _resources(statement)
    for kind in EVERY_TYPE:
        offered = {one["code"] for one in stated.get(kind, {}).get("interaction", ())}
        assert _interactions(server, kind) == offered, kind
        operations = {one["name"] for one in stated.get(kind, {}).get("operation", ())}
        served = {
            name
            for name, path, method in (("validate", f"{kind}/$validate", "POST"), ("everything", f"{kind}/x/$everything", "GET"),
                                       ("match", f"{kind}/$match", "POST"), ("meta", f"{kind}/x/$meta", "GET"))
            if _is_served(server, method, path, {"resourceType": kind})
        }  # fmt: skip
        assert served == operations, kind
    assert _is_served(server, "GET", "_history") is False
    kinds = {one["code"] for one in statement["rest"][0]["interaction"]}
    for kind in ("transaction", "batch", "collection"):
        assert (server.ask("POST", "", {"resourceType": "Bundle", "type": kind}).status == 200) == (kind in kinds)


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def _addresses(one: Json) -> dict[str, set[str]]:
    """Address -> the methods that a statement's resource promises for it."""
    kind, codes = one["type"], {each["code"] for each in one["interaction"]}
    whole = {"search-type": "GET", "create": "POST"}
    single = {"read": "GET", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}
    found = {
        kind: {method for code, method in whole.items() if code in codes} | ({"PUT"} if one["conditionalUpdate"] else set()),
        f"{kind}/_search": {"POST"} if "search-type" in codes else set(),
        f"{kind}/_history": {"GET"} if "history-type" in codes else set(),
        f"{kind}/x": {method for code, method in single.items() if code in codes},
        f"{kind}/x/_history": {"GET"} if "history-instance" in codes else set(),
        f"{kind}/x/_history/1": {"GET"} if "vread" in codes else set(),
        f"{kind}/$validate": {"POST"}, f"{kind}/x/$validate": {"POST"},
    }  # fmt: skip
    if any(each["name"] == "everything" for each in one["operation"]):
        found[f"{kind}/x/$everything"] = {"GET", "POST"}
    if kind in compartments.PATIENT:
        found[f"Patient/x/{kind}"] = {"GET"} if "search-type" in codes else set()
    return found


SMALL = {"Task": ("read", "update"), "Patient": ("read", "search-type"), "Group": ("create", "history-type"),
         "Consent": ("create", "update", "vread", "patch")}  # fmt: skip
OFFERS = {
    "everything": Offered(),
    "nothing deleted": Offered({kind: INTERACTIONS if kind != "Task" else INTERACTIONS[:4] for kind in PARAMETERS}),
    "little": Offered(SMALL, conditional=False, transactions=False),
}


@pytest.mark.parametrize("offered", OFFERS.values(), ids=OFFERS)
def test_every_address_takes_what_is_stated_and_a_405_says_so(shared: Engine, offered: Offered) -> None:
    said = build("X", offered.types, conditional_create=offered.conditional, transactions=offered.transactions)
    server = Server(shared, offered=offered)
    asked = 0
    wanted = {"metadata": {"GET"}, "": {"POST"} if offered.transactions else set()}
    for one in said["rest"][0]["resource"]:
        wanted |= _addresses(one)
    for path, methods in wanted.items():
        takes = methods | ({"HEAD"} if "GET" in methods else set())
        allow = ", ".join(one for one in (*_METHODS, "OPTIONS") if one in takes or one == "OPTIONS")
        assert server.rest.allow(path) == allow, path
        for method in (*_METHODS, "TRACE"):
            reply = server.ask(method, path)
            assert (reply.status == 405) == (method not in takes), (method, path, reply)
            assert reply.headers.get("Allow") == (allow if reply.status == 405 else None), (method, path)
            asked += 1
    print(f"{asked} pairs of a method and an address")


def test_each_parameter_is_stated_exactly_where_it_is_understood(server: Server, statement: Json) -> None:
    asked = 0
    for kind, one in _resources(statement).items():
        stated = {each["name"]: each["type"] for each in one["searchParam"]}
        for name in [*NAMES, "_id", "_lastUpdated"]:
            parameter = PARAMETERS[kind].get(name)
            value = VALUES[parameter.kind] if parameter else "2026"
            understood = server.ask("GET", f"{kind}?{name}={value}&_count=1").status == 200
            assert understood == (name in stated), (kind, name)
            asked += 1
    print(f"{asked} pairs of a type and a parameter")
    assert asked > 2000


def test_each_include_is_stated_exactly_where_it_is_understood(server: Server, statement: Json) -> None:
    every = [f"{kind}:{name}" for kind, own in PARAMETERS.items() for name in own]
    for kind, one in _resources(statement).items():
        forward, back = set(one.get("searchInclude", ())), set(one.get("searchRevInclude", ()))
        for name in every:
            assert (server.ask("GET", f"{kind}?_include={name}&_count=0").status == 200) == (name in forward), (
                kind,
                name,
            )
            assert (server.ask("GET", f"{kind}?_revinclude={name}&_count=0").status == 200) == (name in back), (
                kind,
                name,
            )


def test_the_compartment_is_stated_and_served(server: Server, statement: Json) -> None:
    assert statement["rest"][0]["compartment"] == ["http://hl7.org/fhir/CompartmentDefinition/patient"]
    for kind in PARAMETERS:
        assert _is_served(server, "GET", f"Patient/x/{kind}?_count=0") == (kind in compartments.PATIENT), kind
        assert not _is_served(server, "GET", f"Practitioner/x/{kind}")


def test_a_condition_is_honoured_exactly_where_it_is_stated(server: Server, statement: Json) -> None:
    for one in _resources(statement).values():
        assert one["conditionalCreate"] is one["conditionalUpdate"] is True
        assert one["conditionalDelete"] == "not-supported"
        assert server.ask("DELETE", f"{one['type']}?_id=x").status == 405
        assert one["updateCreate"] is False


def test_every_include_that_gravity_and_us_core_list_is_served() -> None:
    root = folder("fhir-packages")
    stated = _resources(build("PeerFHIR"))
    checked = 0
    for path in (
        *root.glob("gravity-sdohcc/CapabilityStatement-*.json"),
        *root.glob("us-core-*/definitions/CapabilityStatement-*server.json"),
    ):
        for rest in load(path)["rest"]:
            for one in rest.get("resource", ()):
                if one["type"] not in stated:
                    continue
                for name in one.get("searchInclude", ()):
                    plain = ":".join(name.split(":")[:2]).replace("HealthCareService", "HealthcareService")
                    assert plain in stated[one["type"]]["searchInclude"], name
                    checked += 1
                for name in one.get("searchRevInclude", ()):
                    assert name in stated[one["type"]]["searchRevInclude"], (one["type"], name)
                    checked += 1
    assert checked > 30
