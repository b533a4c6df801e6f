"""Sets up a loop: a configured house on a database of its own, its people, and a hospital."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from peerfhir.operators import Operator
from peerfhir.pathway.people import Peer
from peerfhir.pathway.vocabulary import Modality, ServiceType
from peerfhir.practice.orders import Order
from peerfhir.practice.people import MARK, PATIENTS
from peerfhir.wiring import House
from tests.support.house import ROOT, SECRET
from tests.support.loop import ZONE, Loop, mark_of
from tests.support.served import Served
from tests.support.ward import ENDPOINT, PARTNER_SECRET, open_ward

PEERS = ("ana", "ben", "cleo")

# What these sites say beyond their CapabilityStatement; docs of the vendor, August 2026.
SITE_RULES = {
    "oracle-like": """
writes:
  Observation: {accept: false, because: this hospital takes only vital signs and laboratory results as Observations}
  DocumentReference: {mapping: summary-oracle}
  Procedure: {mapping: procedure-oracle}
""",
}


class RunningClock:
    """This machine's clock, which can be moved ahead."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead.total_seconds()

    def skip(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


@contextmanager
def running(
    folder: Path, database_url: str, *, mood: str = "open", complete_on: str = "enrolled", owed: bool = True
) -> Iterator[Loop]:
    """A loop on an empty database.

    owed  the hospital has an endpoint, so that results are owed to it; otherwise it is a client and no more
    """
    with ExitStack() as stack:
        clock, gateway, bay = RunningClock(), Served(), Served()
        stack.callback(gateway.stop)
        stack.callback(bay.stop)
        house = furnish(folder, database_url, gateway.url, clock, {ENDPOINT: ("riverside", bay.url, mood)}, complete_on)
        stack.callback(house.engine.dispose)
        worker = house.worker()
        stack.callback(worker.outbox.close)
        passwords = people(house, "riverside")
        client = Operator(house).add_client(ENDPOINT, "system/*.cruds", endpoint=ENDPOINT if owed else None)
        ward = open_ward(folder / "hospital", bay, gateway.url, clock, mood, client)
        stack.callback(ward.engine.dispose)
        gateway.start(house.web())
        yield Loop(house, gateway, ward, worker, clock, passwords, "riverside")


def furnish(
    folder: Path,
    database_url: str,
    gateway: str,
    clock: RunningClock,
    hospitals: dict[str, tuple[str, str, str]],
    complete_on: str = "enrolled",
    programs: str = "",
) -> House:
    """A house with the shipped configuration, on an upgraded database of its own.

    hospitals  endpoint id -> (program, address, mood)
    programs   the text of program.yaml; the shipped one when empty
    """
    config = folder / "config"
    shutil.copytree(ROOT / "config", config)
    shutil.rmtree(config / "endpoints")
    text = programs or (config / "program.yaml").read_text("utf-8")
    text = re.sub(r"complete_on: \S+", f"complete_on: {complete_on}", text)
    (config / "program.yaml").write_text(re.sub(r"time_zone: \S+", f"time_zone: {ZONE}", text), "utf-8")
    (config / "endpoints").mkdir()
    (folder / "var").mkdir(exist_ok=True)
    secret = folder / "var" / "hospital.secret"
    secret.touch(mode=0o600)
    secret.write_text(PARTNER_SECRET, "utf-8")
    for name, (program, address, mood) in hospitals.items():
        (config / "endpoints" / f"{name}.yaml").write_text(
            f"endpoint: {name}\nprogram: {program}\nbase_url: {address}/fhir\nallow_insecure_loopback: true\n"
            f"live: true\nauth: {{kind: client-secret, token_url: {address}/token, client_id: peerfhir, "
            "secret_file: var/hospital.secret}\nconnect_seconds: 1\nread_seconds: 10\ntotal_seconds: 15\n"
            "lease_seconds: 30\nretry_base_seconds: 0.25\nretry_cap_seconds: 1\nrate_per_second: 1000\n"
            + SITE_RULES.get(mood, ""),
            "utf-8",
        )
    environ = {
        "PEERFHIR_SECRET_KEY": SECRET,
        "PEERFHIR_MAPPINGS": str(ROOT / "mappings"),
        "PEERFHIR_DATABASE_URL": database_url,
        "PEERFHIR_BASE_URL": gateway,
    }
    house = House.open(config, environ)
    house.__dict__["clock"] = clock  # every room is given this one
    house.migrate()
    return house


def people(house: House, program: str) -> dict[str, str]:
    """A coordinator and three invented peers; their passwords by login."""
    mark = mark_of(house, program)
    passwords = {f"rosa{mark}": Operator(house).add_user(f"rosa{mark}", "coordinator", "Rosa", program=program)[1]}
    common = Peer(
        id="", program_id=program, display="", title="Certified Peer Specialist", age_band="30-49",
        languages=frozenset({"en", "es"}), modalities=frozenset(Modality), services=frozenset(ServiceType),
        times=frozenset({"weekday-evening"}), area="27000", load=Decimal("4.0"),
        credential_until=date(datetime.now(UTC).year + 1, 12, 31),
    )  # fmt: skip
    for order, name in enumerate(PEERS):
        peer = replace(common, display=f"{name.title()} K. {MARK}", load=Decimal(4 + order))
        passwords[f"{name}{mark}"] = Operator(house).add_peer(f"{name}{mark}", peer)[1]
    return passwords


def captured_order(loop: Loop, patient: str = PATIENTS[0].id, **said: str) -> dict[str, Any]:
    """The transaction that the hospital would send; it keeps its order, and nothing leaves."""
    sent: list[dict[str, Any]] = []
    loop.ward.hospital.program.send = lambda bundle: sent.append(bundle) or {}  # type: ignore[method-assign, func-returns-value]
    try:
        loop.ward.hospital.refer(Order(patient, "Lonely since moving here.", contact="mobile", **said))
    finally:
        del loop.ward.hospital.program.send
    return sent[0]
