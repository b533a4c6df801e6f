"""The constraints that schema cannot say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from peerfhir.fhir.issues import Finding
from peerfhir.fhir.primitives import check_of, sentence
from peerfhir.fhir.rules import RULES
from peerfhir.fhir.schema import Base

_INTEGERS = frozenset({"integer", "unsignedInt", "positiveInt"})
_narrative_is_safe = check_of("xhtml")
Object = dict[str, Any]


def check(resource: Object, path: str, base: Base, *, is_contained: bool = False) -> list[Finding]:
    """What the schema of its type cannot say about one resource; its entries and parameters are asked by themselves.

    path          FHIRPath of the resource in what was sent
    is_contained  what is the same for all types was asked together with the resource around it
    """
    found: list[Finding] = []
    if not is_contained:
        anchors: set[str] = set()
        _walk(resource, path, base, found, anchors)
        contained = resource.get("contained", [])
        if anchors or contained:
            found += _local(resource, path, {str(one.get("id")) for one in contained})
            found += _contained(contained, path, anchors)
    rule = _BY_TYPE.get(resource["resourceType"])
    if rule is not None:
        found += [_broken(path + place, text) for place, text in rule(resource)]
    return found


def unchecked(type_name: str, base: Base) -> tuple[str, ...]:
    """The invariants of a type and its backbone elements that nothing here looks at yet."""
    own = (rules for name, rules in RULES.items() if name.split(".")[0] == type_name)
    known = {rule.key for rules in own for rule in rules} | NATIVE
    return tuple(
        sorted(key for key in base.all_rules(type_name) if key not in known and f"{key}.{type_name}" not in known)
    )


NATIVE = frozenset((
    "dom-2", "dom-3", "dom-4", "dom-5", "ref-1", "per-1", "obs-7", "txt-1", "txt-2", "bdl-1", "bdl-2", "bdl-3", "bdl-4",
    "bdl-5", "bdl-7", "bdl-8", "bdl-9", "bdl-10", "bdl-11", "bdl-12", "que-2", "con-4", "con-5", "inv-1.Task",
))  # fmt: skip


def _broken(place: str, text: str) -> Finding:
    return Finding("error", "invariant", place, text)


def _walk(root: Object, path: str, base: Base, found: list[Finding], anchors: set[str]) -> None:  # noqa: C901 - one pass, for speed
    """One look at every value: nulls, narratives, periods, whole numbers written with a point, local references."""
    waiting: list[tuple[str, Object]] = [(path, root)]
    while waiting:
        place, node = waiting.pop()
        for key, one in node.items():
            kind = type(one)
            if kind is str:
                if one[:1] == "#":
                    anchors.add(one)
            elif kind is dict:
                if key != "resource" and key != "outcome":
                    waiting.append((f"{place}.{key}", one))
            elif kind is list:
                for at, entry in enumerate(one):
                    if type(entry) is dict:
                        waiting.append((f"{place}.{key}[{at}]", entry))
                    elif entry is None:
                        _null(node, key, at, f"{place}.{key}[{at}]", found)
            elif kind is Decimal and _is_integer(one, root, place[len(path) :], key, base):
                found.append(Finding("error", "value", f"{place}.{key}", sentence("integer")))
        if "start" in node and node is not root and _ends_early(node):
            found.append(_broken(place, "A period must not end before it starts (per-1)."))
        if "div" in node and not _narrative_is_safe(node["div"]):
            found.append(_broken(f"{place}.div", f"{sentence('xhtml')} (txt-1)"))


def _null(parent: Object, key: str, at: int, place: str, found: list[Finding]) -> None:
    """A null holds the place of a value that has only extensions, or of extensions that a value has not."""
    partner = parent.get(key[1:] if key[:1] == "_" else f"_{key}")
    if type(partner) is not list or at >= len(partner) or partner[at] is None:
        text = "null stands only beside extensions: leave the entry out."
        found.append(Finding("error", "structure", place, text))


def _is_integer(number: Decimal, root: Object, place: str, key: str, base: Base) -> bool:
    """Whether the definition wants a whole number: `2.0` is one for JSON, and none for FHIR."""
    if number != number.to_integral_value():
        return False
    kind: str = root["resourceType"]
    node: Any = root
    for step in [*place.split(".")[1:], key]:
        name, _, index = step.partition("[")
        if type(node.get("resourceType")) is str:
            kind = node["resourceType"]
        kind = base.keys(kind).get(name, (None, ""))[1] if base.is_type(kind) else ""
        node = node.get(name) if not index else node[name][int(index[:-1])]
    return kind in _INTEGERS


def _ends_early(period: Object) -> bool:
    """per-1. Instants are compared as such; else as far as both are written."""
    start, end = period["start"], period.get("end")
    if type(start) is not str or type(end) is not str:
        return False
    if "T" in start and "T" in end:
        try:
            return datetime.fromisoformat(start) > datetime.fromisoformat(end)
        except (ValueError, TypeError):
            return False  # a leap second; the schema has judged the rest
    length = min(len(start.split("T")[0]), len(end.split("T")[0]))
    return start[:length] > end[:length]


def _local(resource: Object, path: str, ids: set[Any]) -> Iterator[Finding]:
    """ref-1: a local reference names a contained resource, or the container itself."""
    waiting: list[tuple[str, Any]] = [(path, resource)]
    while waiting:
        place, node = waiting.pop()
        if type(node) is dict:
            text = node.get("reference")
            if type(text) is str and text[:1] == "#" and text != "#" and text[1:] not in ids:
                yield _broken(f"{place}.reference", "No contained resource has this id (ref-1).")
            waiting += [(f"{place}.{k}", v) for k, v in node.items() if type(v) in (dict, list) and k != "resource"]
        else:
            waiting += [(f"{place}[{at}]", one) for at, one in enumerate(node) if type(one) in (dict, list)]


def _contained(contained: list[Any], path: str, anchors: set[str]) -> Iterator[Finding]:
    for at, one in enumerate(contained):
        place, meta = f"{path}.contained[{at}]", _meta(one)
        if "contained" in one:
            yield _broken(place, "A contained resource contains none itself (dom-2).")
        if f"#{one.get('id')}" not in anchors and not _names_container(one):
            yield _broken(place, "Nothing refers to this contained resource (dom-3).")
        if "versionId" in meta or "lastUpdated" in meta:
            yield _broken(place, "A contained resource has no version and no time of change (dom-4).")
        if "security" in meta:
            yield _broken(place, "A contained resource has no labels of its own (dom-5).")


def _meta(inner: Object) -> Object:
    """The meta of a resource that has not been judged yet."""
    meta = inner.get("meta")
    return meta if type(meta) is dict else {}


def _names_container(node: Any) -> bool:
    if type(node) is dict:
        return node.get("reference") == "#" or any(_names_container(one) for one in node.values())
    return type(node) is list and any(_names_container(one) for one in node)


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
    if clinical and not clinical & over and any(name.lstrip("_").startswith("abatement") for name in resource):
        yield ".clinicalStatus", "What has abated is inactive, resolved or in remission (con-4)."
    if clinical and "entered-in-error" in {code for _, code in _codings(resource.get("verificationStatus"))}:
        yield ".clinicalStatus", "What was entered in error has no clinical status (con-5)."


def _task(resource: Object) -> Broken:
    if _ends_early({"start": resource.get("authoredOn"), "end": resource.get("lastModified")}):
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
        place = f".entry[{at}]"
        yield from ((place, text) for text in _entry(one, kind))
        url = one.get("fullUrl")
        key = (url, str(_meta(one.get("resource", {})).get("versionId")))
        if url is not None and kind != "history" and key in seen:
            yield f"{place}.fullUrl", "Another entry has the same fullUrl (bdl-7)."
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


def _entry(one: Object, kind: Any) -> Iterator[str]:
    if "search" in one and kind != "searchset":
        yield "Search details stand only in a searchset (bdl-2)."
    if ("request" in one) != (kind in ("batch", "transaction", "history")):
        yield "Entries of a batch, a transaction or a history have a request, others have none (bdl-3)."
    if ("response" in one) != (kind in ("batch-response", "transaction-response", "history")):
        yield "Entries of an answer or a history have a response, others have none (bdl-4)."
    if not {"resource", "request", "response"} & one.keys():
        yield "An entry has a resource, a request or a response (bdl-5)."
    if "/_history/" in str(one.get("fullUrl", "")):
        yield "A fullUrl names no version (bdl-8)."


_BY_TYPE: Mapping[str, Callable[[Object], Broken]] = {
    "Observation": _observation, "Condition": _condition, "Task": _task, "Questionnaire": _questionnaire,
    "Bundle": _bundle,
}  # fmt: skip
