"""The doors of a small house: two programs, two hospitals, a held clock, no mappings."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine

from peerfhir.access import accounts, clients
from peerfhir.config import EndpointSettings, ProgramSettings, Settings
from peerfhir.errors import MappingFailed
from peerfhir.fhir.writer import write
from peerfhir.gateway.app import Parts, create_app
from peerfhir.mapping.catalogue import Loaded
from peerfhir.mapping.registry import Mappings
from peerfhir.pathway.outcome import Instrument
from peerfhir.pathway.people import Program
from peerfhir.pathway.vocabulary import Recipient, Role
from peerfhir.records.database import open_engine, upgrade, writing
from peerfhir.records.work import Office
from tests.support.clock import HeldClock

BASE = "http://127.0.0.1:8080"
TOKEN_URL = f"{BASE}/oauth/token"
RIVERSIDE = "https://riverside.example.org/fhir"
LAKESIDE = "https://lakeside.example.org/fhir"
PASSWORD = "the long way round the lake"


class NoMappings:
    """Stands where the loaded mappings stand."""

    def ids(self) -> tuple[str, ...]:
        return ("none-needed",)

    def sha256(self, mapping_id: str) -> str:
        return "0" * 64

    @property
    def now(self) -> NoMappings:
        return self

    def active(self) -> tuple[Loaded, ...]:
        return ()

    def get(self, mapping_id: str, overlay: str | None = None) -> Loaded:
        raise MappingFailed(f"There is no mapping '{mapping_id}'.")


def settings(**changed: Any) -> Settings:
    programs = {
        name: ProgramSettings(id=name, name=name.title(), organization=f"https://{name}.example.org|{name}")
        for name in ("alpha", "beta")
    }
    endpoints = {
        "riverside": EndpointSettings(id="riverside", program="alpha", base_url=RIVERSIDE),
        "lakeside": EndpointSettings(id="lakeside", program="alpha", base_url=LAKESIDE, require_if_match=False),
        "hilltop": EndpointSettings(id="hilltop", program="beta", base_url="https://hilltop.example.org/fhir"),
    }
    return furnished(programs, endpoints, **changed)


def furnished(
    programs: Mapping[str, ProgramSettings], endpoints: Mapping[str, EndpointSettings], **changed: Any
) -> Settings:
    """The settings of a small house with these programs and hospitals; the first program is the default one."""
    start = Settings(
        config_dir=Path("config"),
        mappings_dir=Path("mappings"),
        base_url=BASE,
        canonical="http://peerfhir.example.org/fhir",
        database_url="",
        secret_key="for tests only, and long enough for that",
        insecure_cookies=True,
        workers=1,
        default_program=next(iter(programs)),
        programs=programs,
        endpoints=endpoints,
    )
    return replace(start, **changed)


def parts(engine: Engine, clock: Any, *, project: Any = None, **changed: Any) -> Parts:
    return house(engine, clock, settings(**changed), project=project)


def house(
    engine: Engine, clock: Any, chosen: Settings, *, project: Any = None,
    instruments: Mapping[str, Instrument] | None = None,
) -> Parts:  # fmt: skip
    """What the doors of a house with these settings are made of."""
    programs = {
        name: Program(name, entry.name, time_zone=entry.time_zone, crisis_line=entry.crisis_line)
        for name, entry in chosen.programs.items()
    }
    recipients = {name: Recipient(entry.recipient) for name, entry in chosen.endpoints.items()}
    office = Office(
        engine,
        clock,
        programs=programs,
        instruments=instruments or {},
        recipients=recipients,
        project=project or (lambda record, context: ()),
    )
    return Parts(
        settings=chosen,
        engine=engine,
        clock=clock,
        office=office,
        mappings=NoMappings(),
        endpoints=chosen.endpoints,
        programs=programs,
        instruments=instruments or {},
    )


def app(engine: Engine, clock: Any, **changed: Any) -> Flask:
    made = create_app(parts(engine, clock, **changed))
    made.testing = False  # faults are answered as in production
    return made


@contextmanager
def reading(folder: Path, mappings: Mappings) -> Iterator[tuple[Flask, Engine, HeldClock]]:
    """One app with these mappings, its database in `folder`, for tests that write nothing."""
    engine, clock = open_engine(f"sqlite:///{folder / 'peerfhir.db'}"), HeldClock()
    upgrade(engine)
    made = create_app(replace(parts(engine, clock), mappings=mappings))
    made.testing = False
    try:
        yield made, engine, clock
    finally:
        engine.dispose()


def add_client(
    engine: Engine, clock: Any, program: str = "alpha", endpoint: str | None = "riverside", scope: str = "system/*.cruds",
    name: str | None = None, jwks: bytes | None = None,
) -> tuple[str, str]:  # fmt: skip
    with writing(engine) as connection:
        client_id, secret = clients.add_client(
            connection, clock, program, name or f"{program} {endpoint} {scope}"[:100], scope, endpoint, jwks
        )
    return client_id, secret or ""


def add_user(engine: Engine, clock: Any, login: str = "ines", role: Role = Role.COORDINATOR, program: str = "alpha",
             peer_id: str | None = None) -> str:  # fmt: skip
    with writing(engine) as connection:
        user_id, _ = accounts.add_user(connection, clock, program, login, login.title(), role, PASSWORD, peer_id)
    return user_id


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def token(web: FlaskClient, client_id: str, secret: str, scope: str | None = None) -> str:
    form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
    answer = web.post("/oauth/token", data=form, headers=basic(client_id, secret))
    assert answer.status_code == 200, answer.text
    return str(answer.json["access_token"])


@dataclass
class Speaker:
    """A client with a token, that speaks FHIR."""

    web: FlaskClient
    token: str

    def headers(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", **(more or {})}

    def get(self, path: str, **more: str) -> Any:
        return self.web.get(path, headers=self.headers(more))

    def send(self, method: str, path: str, resource: Any, **more: str) -> Any:
        headers = self.headers({name.replace("_", "-"): value for name, value in more.items()})
        return self.web.open(
            path, method=method, data=write(resource), content_type="application/fhir+json", headers=headers
        )

    def post(self, path: str, resource: Any, **more: str) -> Any:
        return self.send("POST", path, resource, **more)

    def put(self, path: str, resource: Any, **more: str) -> Any:
        return self.send("PUT", path, resource, **more)


def speaker(made: Flask, engine: Engine, clock: Any, **client: Any) -> Speaker:
    web = made.test_client()
    return Speaker(web, token(web, *add_client(engine, clock, **client)))


def order(base: str = RIVERSIDE, number: str = "1", *, status: str = "requested") -> dict[str, Any]:
    """A referral as a hospital sends it: one transaction, every entry conditional on its identifier."""
    who = f"{base}/Patient/p{number}"
    asked = f"{base}/ServiceRequest/s{number}"
    by = f"{base}/Organization/hospital"
    entries: Sequence[tuple[str, dict[str, Any]]] = (
        (who, {"resourceType": "Patient", "identifier": [_id(f"{base}/mrn", f"M{number}")],
               "name": [{"family": "Invented", "given": ["Test"]}], "gender": "unknown", "birthDate": "1990-01-02"}),
        (by, {"resourceType": "Organization", "identifier": [_id(f"{base}/orgs", "hospital")], "name": "Hospital"}),
        (asked, {"resourceType": "ServiceRequest", "identifier": [_id(f"{base}/orders", f"O{number}")],
                 "status": "active", "intent": "order", "code": {"text": "Peer support"}, "subject": _ref(who),
                 "requester": _ref(by), "authoredOn": "2026-11-21T10:00:00Z"}),
        (f"{base}/Task/t{number}", {
            "resourceType": "Task", "identifier": [_id(f"{base}/tasks", f"T{number}")], "status": status,
            "intent": "order", "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code",
                                                    "code": "fulfill"}]},
            "focus": _ref(asked), "for": _ref(who), "authoredOn": "2026-11-21T10:00:00Z", "requester": _ref(by),
            "note": [{"text": "Please call after five."}]}),
    )  # fmt: skip
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": url,
                "resource": resource,
                "request": {
                    "method": "POST",
                    "url": resource["resourceType"],
                    "ifNoneExist": "identifier={system}|{value}".format(**resource["identifier"][0]),
                },
            }
            for url, resource in entries
        ],
    }


def _id(system: str, value: str) -> dict[str, str]:
    return {"system": system, "value": value}


def _ref(url: str) -> dict[str, str]:
    return {"reference": url}
