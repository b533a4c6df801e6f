"""Search text in requests and conditional references: values are escaped, names and systems are checked."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping

from peerfhir.config import Node as Yaml
from peerfhir.fhir.fhirpath.compile import call, name
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.fhir.parameters import PARAMETERS
from peerfhir.mapping.leaves import Leaves, Place
from peerfhir.mapping.problems import Problems
from peerfhir.mapping.texts import pieces

_ANY = frozenset(("_id", "_lastUpdated", "_tag", "_profile", "_security", "_source", "_text", "_content", "_has"))
_PERSON = (
    "address", "address-city", "address-country", "address-postalcode", "address-state", "address-use", "email",
    "gender", "phone", "phonetic",
)  # fmt: skip
_FOCUS = ("code", "date", "encounter", "instantiates-canonical", "instantiates-uri", "part-of", "performer", "subject")
# Names of R4 that our own search does not serve, for the types it serves. Source: http://hl7.org/fhir/R4/searchparameter-registry.html
_MORE: Mapping[str, tuple[str, ...]] = {
    "Patient": (*_PERSON, "death-date", "deceased", "general-practitioner", "language", "link", "organization"),
    "Practitioner": (*_PERSON, "communication"),
    "PractitionerRole": ("date", "email", "endpoint", "phone", "telecom"),
    "RelatedPerson": (*_PERSON, "birthdate", "relationship", "telecom"),
    "Organization": (*_PERSON[:6], "endpoint", "phonetic"),
    "Location": (*_PERSON[:6], "endpoint", "near", "operational-status", "partof", "type"),
    "HealthcareService": ("characteristic", "coverage-area", "endpoint", "specialty"),
    "ServiceRequest": (*_FOCUS, "body-site", "performer-type", "replaces", "requisition", "specimen"),
    "Task": ("performer-type", "code", "based-on"),
    "Consent": ("action", "actor", "consentor", "data", "organization", "period", "purpose", "security-label"),
    "Encounter": (
        "account", "appointment", "diagnosis", "length", "location", "location-period", "participant-type",
        "practitioner", "reason-code", "reason-reference", "special-arrangement",
    ),
    "EpisodeOfCare": ("condition",),
    "DocumentReference": (
        "authenticator", "contenttype", "description", "event", "facility", "format", "language", "location",
        "relatesto", "relation", "relationship", "security-label", "setting",
    ),
    "Procedure": (*_FOCUS, "location", "reason-code", "reason-reference"),
    "Observation": (
        *_FOCUS, "code-value-concept", "code-value-date", "code-value-quantity", "code-value-string", "combo-code",
        "component-code", "data-absent-reason", "device", "method", "specimen", "value-concept", "value-date",
        "value-quantity", "value-string",
    ),
    "QuestionnaireResponse": (),
    "Questionnaire": ("context", "definition", "description", "effective", "jurisdiction", "publisher", "subject-type"),
    "Communication": (*_FOCUS[3:5], "medium"),
    "Condition": (
        "abatement-age", "abatement-date", "abatement-string", "body-site", "evidence", "evidence-detail", "onset-age",
        "onset-info", "severity", "stage",
    ),
    "Goal": (),
    "CarePlan": (*_FOCUS[3:5], "activity-code", "activity-date", "condition", "part-of", "performer", "replaces"),
    "CareTeam": (),
    "Group": ("characteristic-value", "exclude", "value"),
    "Provenance": ("agent-role", "agent-type", "location", "patient", "signature-type", "when"),
}  # fmt: skip


class Searches:
    """Reads search text."""

    def __init__(self, leaves: Leaves, problems: Problems) -> None:
        self._leaves = leaves
        self._problems = problems

    def text(self, node: Yaml, place: Place) -> ast.expr | None:
        """A text in which every value of the record is escaped, so that it cannot widen the search."""
        if node.kind != "scalar" or not isinstance(node.value, str):
            self._problems.add(node.mark, "PM007", place.address, "a text is expected here")
            return None
        parts = self._leaves.parts(node, place)
        codes: list[ast.expr] = []
        for part, (start, text, _) in zip(parts or (), pieces(node.value), strict=False):
            if isinstance(part, str) or part.constant is not None:
                codes.append(ast.Constant(part if isinstance(part, str) else part.constant))
                continue
            if part.type.card != "one" or part.type.blank:
                what = f"'{text}' can be empty; the search would match others"
                self._problems.add(
                    self._leaves.inside(node, start), "PM273", place.address, what, "use a required field"
                )
            codes.append(ast.Call(name("g_searched"), [part.code], []))
        return call("concatenated", *codes) if parts is not None else None

    def check(self, kind: str, node: Yaml, place: Place) -> None:
        """PM272: parameters that the type does not have."""
        known = PARAMETERS.get(kind)
        if known is None or kind not in _MORE:
            return
        names = {*known, *_MORE[kind], *_ANY}
        for parameter, _ in self.pairs(node):
            base = parameter.partition(":")[0].partition(".")[0]
            if base not in names:
                what = f"{kind} has no search parameter '{base}'"
                self._problems.add(node.mark, "PM272", place.address, what, nearest(base, names))

    def pairs(self, node: Yaml) -> Iterable[tuple[str, str]]:
        """Parameter and value of each condition, as they are written."""
        plain = "".join("\x00" if kind == "expression" else part for _, part, kind in pieces(str(node.value)))
        query = plain.partition("?")[2] if "?" in plain else plain
        for part in query.split("&"):
            parameter, _, value = part.partition("=")
            if parameter:
                yield parameter, value

    def systems(self, node: Yaml, place: Place) -> list[str]:
        """The systems of the identifiers that are searched for, where they are known."""
        text = re.sub(
            r"\{\{\s*%systems\.`?([a-z0-9-]+)`?\s*\}\}",
            lambda match: place.scope.systems.get(match.group(1), ""),
            str(node.value),
        )
        written = Yaml("scalar", text, node.mark)
        found = [value.partition("|")[0] for key, value in self.pairs(written) if key == "identifier" and "|" in value]
        return [one for one in found if one and "\x00" not in one]
