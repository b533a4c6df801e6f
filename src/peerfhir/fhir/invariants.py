"""The constraints that schema cannot say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from peerfhir.fhir.issues import Finding
from peerfhir.fhir.rules import RULES
from peerfhir.fhir.scan import broken, ends_early, meta_of
from peerfhir.fhir.schema import Base

Object = dict[str, Any]
_TYPED = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9.-]+(?:/_history/[A-Za-z0-9.-]+)?$")


def of_type(resource: Object, path: str) -> list[Finding]:
    """What binds this type of resource and no other."""
    rule = _BY_TYPE.get(resource["resourceType"])
    found = [] if rule is None else [broken(path + place, text) for place, text in rule(resource)]
    return [replace(one, severity="warning") if one.rule in _WARNINGS else one for one in found]


def unchecked(type_name: str, base: Base) -> tuple[str, ...]:
    """The invariants of a type and its backbone elements that nothing here looks at yet."""
    own = (rules for name, rules in RULES.items() if name.split(".")[0] == type_name)
    known = {rule.key for rules in own for rule in rules} | NATIVE
    return tuple(
        sorted(key for key in base.all_rules(type_name) if key not in known and f"{key}.{type_name}" not in known)
    )


NATIVE = frozenset((
    "dom-2", "dom-3", "dom-4", "dom-5", "ref-1", "per-1", "obs-7", "txt-1", "txt-2", "bdl-1", "bdl-2", "bdl-3", "bdl-4",
    "bdl-5", "bdl-7", "bdl-8", "bdl-9", "bdl-10", "bdl-11", "bdl-12", "que-2", "con-3", "con-4", "con-5", "inv-1.Task",
    "ctm-1", "cpb-7", "cpb-9", "cpb-12", "rng-2", "dom-6",
))  # fmt: skip


def _codings(concept: Any) -> set[tuple[Any, Any]]:
    codings = concept.get("coding", ()) if type(concept) is dict else ()
    return {(one.get("system"), one.get("code")) for one in codings if type(one) is dict}


Broken = Iterator[tuple[str, str]]


def _observation(resource: Object) -> Broken:
    if any(name.startswith("value") for name in resource):
        own = _codings(resource.get("code"))
        for at, one in enumerate(resource.get("component", ())):
            if own & _codings(one.get("code")):
                yield f".component[{at}].code", "A component does not repeat the code beside a value (obs-7)."


def _condition(resource: Object) -> Broken:
    clinical = {code for _, code in _codings(resource.get("clinicalStatus"))}
    over = {"inactive", "resolved", "remission"}
    if not clinical & over and any(name.lstrip("_").startswith("abatement") for name in resource):
        yield ".clinicalStatus", "What has abated is inactive, resolved or in remission (con-4)."
    mistaken = "entered-in-error" in {code for _, code in _codings(resource.get("verificationStatus"))}
    problem = any(code == "problem-list-item" for one in resource.get("category", ()) for _, code in _codings(one))
    if problem and "clinicalStatus" not in resource and not mistaken:
        yield ".clinicalStatus", "A problem of the list has a clinical status (con-3)."
    if clinical and mistaken:
        yield ".clinicalStatus", "What was entered in error has no clinical status (con-5)."


def _care_team(resource: Object) -> Broken:
    for at, one in enumerate(resource.get("participant", ())):
        text = one.get("member", {}).get("reference")
        named = _TYPED.search(text) if type(text) is str else None
        if "onBehalfOf" in one and named and named.group(1) != "Practitioner":
            yield f".participant[{at}].onBehalfOf", "Only a Practitioner acts on behalf of an organization (ctm-1)."


def _statement(resource: Object) -> Broken:
    documents = [(one.get("profile"), one.get("mode")) for one in resource.get("document", ())]
    if len(set(documents)) < len(documents):
        yield ".document", "A profile and a mode stand together once (cpb-7)."
    for at, rest in enumerate(resource.get("rest", ())):
        kinds = [one.get("type") for one in rest.get("resource", ())]
        if len(set(kinds)) < len(kinds):
            yield f".rest[{at}].resource", "A resource is described once in a mode (cpb-9)."
        for number, one in enumerate(rest.get("resource", ())):
            names = [each.get("name") for each in one.get("searchParam", ())]
            if len(set(names)) < len(names):
                yield f".rest[{at}].resource[{number}].searchParam", "A parameter has its name to itself (cpb-12)."


def _task(resource: Object) -> Broken:
    if ends_early({"start": resource.get("authoredOn"), "end": resource.get("lastModified")}):
        yield ".lastModified", "A task is not modified before it is authored (inv-1)."


def _questionnaire(resource: Object) -> Broken:
    seen: set[Any] = set()
    waiting = list(resource.get("item", ()))
    while waiting:
        item = waiting.pop()
        if item.get("linkId") in seen:
            yield ".item", "Every linkId stands once in a questionnaire (que-2)."
            return
        seen.add(item.get("linkId"))
        waiting += item.get("item", ())


def _bundle(resource: Object) -> Broken:
    kind, entries = resource.get("type"), resource.get("entry", [])
    if "total" in resource and kind not in ("searchset", "history"):
        yield ".total", "A total stands only in a searchset or a history (bdl-1)."
    seen: set[Any] = set()
    for at, one in enumerate(entries):
        for part, text in _entry(one, kind):
            yield f".entry[{at}]{part}", text
        url = one.get("fullUrl")
        if url is not None and kind != "history":
            key = (url, str(meta_of(one.get("resource", {})).get("versionId")))
            if key in seen:
                yield f".entry[{at}].fullUrl", "Another entry has the same fullUrl (bdl-7)."
            seen.add(key)
    first = entries[0].get("resource", {}).get("resourceType") if entries else None
    if kind == "document":
        identifier = resource.get("identifier", {})
        if "system" not in identifier or "value" not in identifier:
            yield ".identifier", "A document has an identifier with system and value (bdl-9)."
        if "timestamp" not in resource:
            yield ".timestamp", "A document has a time (bdl-10)."
        if first != "Composition":
            yield ".entry", "The first entry of a document is a Composition (bdl-11)."
    if kind == "message" and first != "MessageHeader":
        yield ".entry", "The first entry of a message is a MessageHeader (bdl-12)."


def _entry(one: Object, kind: Any) -> Broken:
    if "search" in one and kind != "searchset":
        yield ".search", "Search details stand only in a searchset (bdl-2)."
    if ("request" in one) != (kind in ("batch", "transaction", "history")):
        yield ".request", "Entries of a batch, a transaction or a history have a request, others have none (bdl-3)."
    if ("response" in one) != (kind in ("batch-response", "transaction-response", "history")):
        yield ".response", "Entries of an answer or a history have a response, others have none (bdl-4)."
    if not {"resource", "request", "response"} & one.keys():
        yield "", "An entry has a resource, a request or a response (bdl-5)."
    if "/_history/" in str(one.get("fullUrl", "")):
        yield ".fullUrl", "A fullUrl names no version (bdl-8)."


_WARNINGS = frozenset({"con-3"})
_BY_TYPE: Mapping[str, Callable[[Object], Broken]] = {
    "Observation": _observation, "Condition": _condition, "Task": _task, "Questionnaire": _questionnaire,
    "Bundle": _bundle, "CareTeam": _care_team, "CapabilityStatement": _statement,
}  # fmt: skip
