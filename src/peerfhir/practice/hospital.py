"""The practice hospital: its own store, its orders, and what others may do with it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from peerfhir.clock import Clock
from peerfhir.errors import InvalidResource, MethodNotAllowed
from peerfhir.fhir.labels import Labels
from peerfhir.fhir.reader import Json, read_own
from peerfhir.fhir.rest import Call, Change
from peerfhir.fhir.store import Store
from peerfhir.fhir.tables import fhir_resource, fhir_version, instant_of
from peerfhir.fhir.validate import Finding
from peerfhir.practice import orders, people
from peerfhir.practice.authority import Authority
from peerfhir.practice.moods import Mood, complaint

HOSPITAL = "hospital"  # the one scope of this store, and the label of what the hospital itself wrote
Transactions = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True)
class Practice:
    """How one practice hospital is set up.

    base_url      its address, without a trailing slash
    gateway       the peer program's service
    client        its client id and secret there
    partner       the program's client id and secret here
    key           for the demonstration's own look at the store
    program       "system|value" of the program's Organization
    canonical     base of the program's code systems
    """

    mood: Mood
    base_url: str
    gateway: str
    client: tuple[str, str] = field(repr=False)
    partner: tuple[str, str] = field(repr=False)
    key: str = field(repr=False)
    program: str = ""
    canonical: str = ""

    @property
    def namespace(self) -> str:
        """Where this hospital's identifiers live; it does not change with the port."""
        return "https://practice-hospital.example.org"


class Hospital:
    """The hospital's store and what may be done with it."""

    def __init__(self, practice: Practice, reading: Transactions, writing: Transactions, clock: Clock) -> None:
        self.practice = practice
        self.clock = clock
        self.reading = reading
        self.writing = writing
        self.authority = Authority(practice.partner, clock.monotonic)
        self.program = orders.ProgramClient(practice.gateway, *practice.client, now=clock.monotonic)
        self.form_key = secrets.token_urlsafe(16)
        self._waiting: dict[str, Json] = {}  # patient -> the order that the program has not answered
        self._placing = threading.Lock()

    def furnish(self) -> None:
        """Put the invented people into an empty store."""
        with self.writing() as connection:
            store = self.store(connection)
            for resource in (
                *people.staff(self.practice.namespace, self.practice.program),
                *(people.patient(who, self.practice.namespace) for who in people.PATIENTS),
            ):
                if not store.read_many([f"{resource['resourceType']}/{resource['id']}"]):
                    store.create(resource, Labels(source=HOSPITAL), id=resource["id"])

    def store(self, connection: Connection) -> Store:
        """The store inside one transaction."""
        return Store(connection, HOSPITAL, self.clock)

    def refer(self, order: orders.Order) -> None:
        """Keep the order, then send it with all it refers to. Raises NotTaken; the order is kept all the same.

        While the program has not answered, asking again for the same patient sends the same order again.
        """
        with self._placing:  # a button that was pressed twice is one order
            bundle = self._waiting.get(order.patient_id) or self._placed(order)
            self._waiting[order.patient_id] = bundle
        try:
            self.program.send(bundle)
        except orders.NotTaken as refusal:
            if not refusal.unanswered:
                self._waiting.pop(order.patient_id, None)  # refused: what is pressed next is another order
            raise
        self._waiting.pop(order.patient_id, None)

    def _placed(self, order: orders.Order) -> Json:
        with self.writing() as connection:
            store = self.store(connection)
            number = len(store.search("Task", "_count=500").rows) + 1
            made = orders.resources(
                order, number, self.clock.now(), self.practice.namespace,
                f"{self.practice.canonical}/CodeSystem/peer-referral-status",
            )  # fmt: skip
            for resource in made:
                store.create(resource, Labels(source=HOSPITAL), id=resource["id"])
            known = [f"Patient/{order.patient_id}", f"Organization/{people.ORGANIZATION}",
                     f"Organization/{people.PROGRAM}", f"PractitionerRole/{people.CLINICIAN}"]  # fmt: skip
            around = [each.resource for each in store.read_many(known).values()]
        bare = [{k: v for k, v in each.items() if k != "text"} for each in (*around, *made)]
        for each in bare:
            each["meta"] = {k: v for k, v in each.get("meta", {}).items() if k == "profile"}
        return orders.as_transaction(bare, f"{self.practice.base_url}/fhir")

    def look(self) -> int:
        """Ask the program's own API what it lets us see, and keep a copy; how many resources were new or changed.

        For hospitals whose statement offers no place to write to (the topology "Direct": the source asks).
        """
        kept = 0
        with self.reading() as connection:
            placed = [row.resource for row in self.store(connection).search("Task", "_count=500").rows]
        for task in placed:
            placer = task["identifier"][0]
            found = self.program.get(f"Task?identifier={placer['system']}|{placer['value']}")
            for entry in found.get("entry", []):
                theirs = entry["resource"]
                kept += self._copy_state(task["id"], theirs)
                about = theirs["for"]["reference"]
                for kind in ("Encounter", "DocumentReference", "Procedure", "Observation"):
                    bundle = self.program.get(f"{kind}?patient={about}&_count=100")
                    kept += sum(
                        self._keep_copy(each["resource"], task["for"]["reference"]) for each in bundle.get("entry", [])
                    )
        return kept

    def _copy_state(self, task_id: str, theirs: Json) -> int:
        with self.writing() as connection:
            store = self.store(connection)
            ours = store.read("Task", task_id)
            state = {key: theirs[key] for key in ("status", "businessStatus", "statusReason") if key in theirs}
            if all(ours.resource.get(key) == value for key, value in state.items()):
                return 0
            store.update({**ours.resource, **state}, Labels(source="program"), ours.version)
            return 1

    def _keep_copy(self, resource: Json, patient: str) -> int:
        with self.writing() as connection:
            store = self.store(connection)
            if store.read_many([f"{resource['resourceType']}/{resource['id']}"]):
                return 0
            store.create({**resource, "subject": {"reference": patient}}, Labels(source="program"), id=resource["id"])
            return 1

    def export(self) -> list[dict[str, Any]]:
        """Every version of everything in this store, oldest first; `source` says who wrote that resource."""
        query = (
            select(fhir_version, fhir_resource.c.source)
            .join(
                fhir_resource,
                (fhir_resource.c.program_id == fhir_version.c.program_id)
                & (fhir_resource.c.type == fhir_version.c.type)
                & (fhir_resource.c.id == fhir_version.c.id),
            )
            .where(fhir_version.c.program_id == HOSPITAL)
            .order_by(fhir_version.c.updated_at, fhir_version.c.type, fhir_version.c.id, fhir_version.c.version)
        )
        with self.reading() as connection:
            return [
                {
                    "type": row.type,
                    "id": row.id,
                    "version": row.version,
                    "source": row.source,
                    "at": instant_of(row.updated_at).isoformat(),
                    "resource": read_own(bytes(row.body)),
                }
                for row in connection.execute(query)
            ]


@dataclass
class PartnerSession:
    """What the peer program may do here, by the hospital's mood."""

    store: Store
    mood: Mood
    labels: Labels = field(default_factory=lambda: Labels(source="program"))

    def may(self, interaction: str, resource_type: str, /) -> None:
        """Raises MethodNotAllowed for what the statement does not offer."""
        offered(self.mood, interaction, resource_type)

    def before_write(self, method: str, resource: Json, previous: Json | None, if_match: str | None, /) -> Json:
        """The vendor's own rules for a create. Raises InvalidResource."""
        rule = self.mood.rules.get(resource["resourceType"])
        if method == "create" and rule and (found := complaint(rule, resource)):
            element, sentence = found
            raise InvalidResource(
                (Finding("error", "business-rule", f"{resource['resourceType']}.{element}", sentence),)
            )
        return resource

    def after_writes(self, changes: Sequence[Change], call: Call, /) -> None:
        """Nothing more happens here."""


def offered(mood: Mood, interaction: str, resource_type: str) -> None:
    """Raises MethodNotAllowed for what this mood's statement does not offer."""
    if interaction in ("capabilities", "transaction", "batch") or not resource_type:
        return
    if interaction not in mood.offers.get(resource_type, frozenset()):
        raise MethodNotAllowed(f"This hospital offers no {interaction} of {resource_type}.")
