"""A gateway with one order that was accepted, and callers who send it what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from peerfhir.fhir.tables import metadata as fhir_tables
from peerfhir.operators import Operator
from peerfhir.pathway.referral import Referral
from peerfhir.practice import orders, people
from peerfhir.records import referrals
from peerfhir.records.database import reading
from peerfhir.records.schema import metadata as record_tables
from peerfhir.wiring import Worker
from tests.support.caller import Caller
from tests.support.scene import RunningClock, furnish
from tests.support.served import Served
from tests.support.ward import CANONICAL

SEED = 20261121
HOSPITAL = "https://practice-hospital.example.org"
BASE = "http://127.0.0.1:9/fhir"  # of the hospital; nobody has to listen there
FAMILY = "Zyxwvutian"  # a name that no answer may repeat
NEVER_THE_SAME = {"access_token"}  # a token may be asked for at any time
AUDIT = ("audit", "audit_head")  # a denial leaves its mark there, and nowhere else


@dataclass
class Site:
    """A gateway with one accepted order of one hospital, and a second hospital that has nothing to do with it."""

    engine: Engine
    caller: Caller
    stranger: Caller
    reader: Caller
    worker: Worker
    task: dict[str, Any]

    def snapshot(self, *leave_out: str) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table."""
        with reading(self.engine) as connection:
            return {
                table.name: sorted(map(tuple, connection.execute(select(table)).all()), key=repr)
                for table in (*record_tables.sorted_tables, *fhir_tables.sorted_tables)
                if table.name not in NEVER_THE_SAME | set(leave_out)
            }

    def path(self) -> str:
        return f"/fhir/Task/{self.task['id']}"

    def tag(self) -> str:
        return tag_of(self.task)

    def referrals(self) -> list[Referral]:
        with reading(self.engine) as connection:
            return referrals.queue(connection, "riverside", open_only=False)


def tag_of(resource: dict[str, Any]) -> str:
    """The ETag of the version that was read."""
    return f'W/"{resource["meta"]["versionId"]}"'


def resources(number: int) -> list[dict[str, Any]]:
    """Everything a hospital sends with one order, in its own references."""
    placed = datetime(2026, 11, 21, 10, tzinfo=UTC)
    made = orders.resources(
        orders.Order("p1", f"{FAMILY} would like company.", contact="mobile"), number, placed, HOSPITAL,
        f"{CANONICAL}/CodeSystem/peer-referral-status",
    )  # fmt: skip
    who = people.patient(people.PATIENTS[0], HOSPITAL)
    who["name"][0]["family"] = FAMILY
    around = [*people.staff(HOSPITAL, "https://peerfhir.example.org/organizations|riverside-peer-support"), who]
    return [{k: v for k, v in each.items() if k != "text"} for each in (*around, *made)]


def order(number: int) -> dict[str, Any]:
    """One order as a transaction."""
    return orders.as_transaction(resources(number), BASE)


@contextmanager
def opened(folder: Path, database_url: str) -> Iterator[Site]:
    """A gateway at its address, with one order taken and not yet worked on."""
    served, other = Served(), "http://127.0.0.1:7"
    hospitals = {"general": ("riverside", BASE.removesuffix("/fhir"), "open"), "county": ("riverside", other, "open")}
    with ExitStack() as stack:
        stack.callback(served.stop)
        house = furnish(folder, database_url, served.url, RunningClock(), hospitals)
        stack.callback(house.engine.dispose)
        worker = house.worker()
        stack.callback(worker.outbox.close)
        served.start(house.web())
        made = {}
        for name, scope, endpoint in (
            ("general", "system/*.cruds", "general"),
            ("county", "system/*.cruds", "county"),
            ("reader", "system/*.rs", "general"),
        ):
            client_id, secret = Operator(house).add_client(name, scope, endpoint=endpoint)
            made[name] = Caller(served.url, client_id, secret or "", scope)
        taken = made["general"].send("POST", "/fhir", order(1))
        assert taken.status == 200, taken.body
        task = made["general"].get("/fhir/Task").json["entry"][0]["resource"]
        print(f"seed {SEED}")
        yield Site(house.engine, made["general"], made["county"], made["reader"], worker, task)
