"""Which types and profiles are compiled together: the usual ones when the first is asked for, the others likewise."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from peerfhir.fhir.compiled import Compiled
from peerfhir.fhir.profiles import Profiles
from peerfhir.fhir.schema import Base, Schema, Types

# What a peer programme and its partners send. Measured: 40 types and 88 profiles take 0.16 s and 21 MB in one validator
# (they share their data types), and 3 to 6 MB each apart; the other 106 types take 0.3 s and 25 MB.
USUAL = frozenset(
    """
    Appointment AuditEvent Basic Binary Bundle CapabilityStatement CarePlan CareTeam Communication CommunicationRequest
    Composition Condition Consent Device DocumentReference Encounter Endpoint EpisodeOfCare Flag Goal Group
    HealthcareService List Location MessageHeader Observation OperationOutcome Organization Parameters Patient
    Practitioner PractitionerRole Procedure Provenance Questionnaire QuestionnaireResponse RelatedPerson ServiceRequest
    Subscription Task
    """.split()  # noqa: SIM905 - forty names read better without quotes
)


class Shelves:
    """Compiled types and profiles, each shelf made on first use and then shared between threads.

    A resource is validated under a name: `{"Task": resource}` against `{"properties": {"Task": ...}}`. The engine finds
    a property by its name, whereas `if/then` for each type would be asked in turn; a profile is a name as well.
    """

    def __init__(self, base: Base, profiles: Profiles) -> None:
        self._base, self._profiles = base, profiles
        self._lock = threading.Lock()
        self._usual: Compiled | None = None
        self._others: Compiled | None = None

    def of(self, type_name: str) -> Compiled:
        """The shelf that has a resource type and its profiles."""
        is_usual = type_name in USUAL
        made = self._usual if is_usual else self._others
        if made is None:
            with self._lock:
                made = self._usual if is_usual else self._others
                if made is None:
                    names = USUAL if is_usual else self._base.resources - USUAL
                    made = Compiled(self._base, self._schema(sorted(names)), self._profiles.type_of)
                    if is_usual:
                        self._usual = made
                    else:
                        self._others = made
        return made

    def _schema(self, names: Sequence[str]) -> Schema:
        defs: dict[str, Schema] = {}
        types = Types(self._base, self._base.terminology, defs)
        for name in names:
            defs[name] = types.resource(name)
        properties: Schema = {name: {"$ref": f"#/$defs/{name}"} for name in names}
        for url in self._profiles.urls():
            kind = self._profiles.type_of(url)
            if kind in properties:
                properties[url] = {"allOf": [{"$ref": f"#/$defs/{kind}"}, self._profiles.overlay(url, defs)]}
        self._bind_extensions(defs)
        return {"properties": properties, "$defs": defs}

    def _bind_extensions(self, defs: dict[str, Schema]) -> None:
        """An extension that a package defines is held to its definition wherever it stands."""
        known = self._profiles.extensions
        if known:
            each = [{"if": _url_in([url]), "then": self._profiles.overlay(url, defs)} for url in known]
            rules = [*defs["Extension"]["allOf"], {"if": _url_in(known), "then": {"allOf": each}}]
            defs["Extension"] = {**defs["Extension"], "allOf": rules}


def _url_in(urls: Iterable[str]) -> Schema:
    return {"properties": {"url": {"enum": list(urls)}}}
