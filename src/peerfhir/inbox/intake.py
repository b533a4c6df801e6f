"""An order as it was stored -> the drafts of a person and a referral, through the mappings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from peerfhir.adapters import referral as referrals
from peerfhir.config import EndpointSettings
from peerfhir.errors import Fault, NotFound
from peerfhir.fhir.reader import Json, read_own
from peerfhir.fhir.store import Store
from peerfhir.mapping.registry import InUse
from peerfhir.pathway.people import Person
from peerfhir.pathway.referral import Origin, Referral


class ReferenceMissing(Fault):
    """The order names a resource that was not sent with it. Ask the sender for it, then rerun."""

    code = "reference-missing"
    issue = "not-found"
    status = 422


class Intake:
    """Reads orders of one configured house.

    endpoints  ids of hospitals that can be written back to
    settings   endpoint -> its file: what it sends is read under its overlays, within its limits
    """

    def __init__(
        self, mappings: InUse, endpoints: frozenset[str], settings: Mapping[str, EndpointSettings] | None = None
    ) -> None:
        self._mappings = mappings
        self._endpoints = endpoints
        self._settings = settings or {}

    def __call__(self, store: Store, task: Json, source: str) -> tuple[Person, Referral]:
        """The drafts that steps.receive_referral takes.

        task    the Task as it is stored; what it refers to is read from the same store
        source  endpoint id or client id of the sender
        Raises  ReferenceMissing, MappingFailed (never)
        """
        request = _needed(store, task.get("focus"), "ServiceRequest", "Task.focus")
        patient = _needed(store, task.get("for"), "Patient", "Task.for")
        requester = _known(store, task.get("requester"))
        mappings, settings = self._mappings.now, self._settings.get(source)
        if settings is not None:
            mappings = mappings.under(settings.overlays, settings.limits)
        person, draft = referrals.from_fhir(mappings, task, request, patient, requester, _consent_of(store, request))
        origin = replace(
            draft.origin or Origin(source=source),
            source=source,
            endpoint=source if source in self._endpoints else None,
        )
        return person, replace(draft, origin=origin)


def _consent_of(store: Store, request: Json) -> Json | None:
    """The first Consent among what the order brings along."""
    for reference in request.get("supportingInfo", ()):
        resource = _known(store, reference, "Consent")
        if resource is not None:
            return resource
    return None


def _needed(store: Store, reference: Json | None, kind: str, place: str) -> Json:
    found = _known(store, reference, kind)
    if found is None:
        raise ReferenceMissing(place=place)
    return found


def _known(store: Store, reference: Json | None, kind: str | None = None) -> Json | None:
    """What a reference leads to in our own store; None when it leads elsewhere, or to another type."""
    text = reference.get("reference") if isinstance(reference, dict) else None
    parts = text.split("/") if isinstance(text, str) else []
    if len(parts) != 2 or (kind is not None and parts[0] != kind):
        return None
    try:
        return read_own(store.read(parts[0], parts[1]).body)
    except NotFound:
        return None
