"""What is wrong, by class: each class yields variants from a seeded generator."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from peerfhir.fhir.writer import write
from tests.path.accepted import FAMILY, Site, resources


@dataclass(frozen=True)
class Wrong:
    """One wrong request and what has to be said of it."""

    name: str
    body: Any
    path: str = "/fhir/Task"
    method: str = "POST"
    status: int = 422
    codes: tuple[str, ...] = ()
    place: str = ""  # what the first expression is, or begins with
    headers: tuple[tuple[str, str], ...] = ()


def a_task(**changed: Any) -> dict[str, Any]:
    return {**resources(2)[-2], **changed}


def not_json(rng: random.Random, site: Site) -> Iterator[Wrong]:
    good = write(a_task())
    broken: dict[str, bytes] = {
        f"cut after {at} bytes": good[:at] for at in sorted(rng.sample(range(1, len(good) - 1), 8))
    }
    where = rng.randrange(1, len(good) - 1)
    broken |= {
        "empty": b"",
        "XML": b"<Task xmlns='http://hl7.org/fhir'/>",
        "single quotes": good.replace(b'"', b"'"),
        "a comma too many": good[:-1] + b",}",
        "something after the end": good + b"{}",
        "a key twice": b'{"resourceType": "Task", ' + good[1:],
        "not a number": good[:-1] + b', "x": NaN}',
        "infinite": good[:-1] + b', "x": Infinity}',
        "a byte order mark": b"\xef\xbb\xbf" + good,
        "UTF-16": good.decode().encode("utf-16"),
        "half a character": good[:where] + b"\xff" + good[where:],
        "a control character": good.replace(b"company", b"com\x07pany") if b"company" in good else good[:-2] + b"\x07}",
        "too deep": good[:-1] + b', "x": ' + b"[" * 100 + b"]" * 100 + b"}",
    }
    for name, raw in broken.items():
        yield Wrong(name, raw, status=400, codes=("structure", "invalid", "too-costly"))
    for name, value in {"a list": [1], "a word": "Task", "a number": 7, "nothing": None}.items():
        yield Wrong(name, write(value), status=400, codes=("invalid", "structure"))


def of_another_type(rng: random.Random, site: Site) -> Iterator[Wrong]:
    made = {one["resourceType"]: one for one in resources(2)}
    pairs = [(a, b) for a in made for b in made if a != b]
    for asked, sent in rng.sample(pairs, 8):
        yield Wrong(f"{sent} at {asked}", made[sent], f"/fhir/{asked}", status=400, place=f"{asked}.resourceType")
    unknown = {"resourceType": "Martian"}
    yield Wrong("unknown type", unknown, "/fhir/Martian", status=404, codes=("not-found",))
    yield Wrong("unknown type at Task", unknown, status=400, place="Task.resourceType")
    yield Wrong("no type", {"status": "requested"}, status=400, place="Task.resourceType")
    yield Wrong("a type not served", {"resourceType": "Medication"}, "/fhir/Medication", status=404)


def with_an_unknown_element(rng: random.Random, site: Site) -> Iterator[Wrong]:
    for resource in resources(2):
        kind = resource["resourceType"]
        for _ in range(2):
            changed = copy.deepcopy(resource)
            place, node = rng.choice(list(nodes(changed, kind)))
            name = rng.choice(["colour", "statuss", "Status", "patientName", "zyx"])
            node[name] = rng.choice([FAMILY, 7, True, [FAMILY], {"text": FAMILY}])
            yield Wrong(f"{place}.{name}", changed, f"/fhir/{kind}", codes=("structure",), place=f"{place}.{name}")


def nodes(value: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object inside a resource, with its FHIRPath."""
    if isinstance(value, dict):
        yield place, value
        for key, inner in value.items():
            yield from nodes(inner, f"{place}.{key}")
    if isinstance(value, list):
        for at, inner in enumerate(value):
            yield from nodes(inner, f"{place}[{at}]")


CODES = {
    "Task": ("status", "intent", "priority"),
    "ServiceRequest": ("status", "intent", "priority"),
    "Patient": ("gender", "telecom[0].system", "telecom[0].use", "name[0].use", "identifier[0].use", "address[0].use"),
    "Consent": ("status", "provision.type"),
}


def with_a_wrong_code(rng: random.Random, site: Site) -> Iterator[Wrong]:
    for resource in resources(2):
        kind = resource["resourceType"]
        for path in CODES.get(kind, ()):
            word = rng.choice(["zyx", "REQUESTED", "order ", "2", "ordér", FAMILY.lower()])
            yield Wrong(f"{kind}.{path}", changed_at(resource, path, word), f"/fhir/{kind}", place=f"{kind}.{path}")
    for value in ("", 7, True, ["requested"], {"code": "requested"}, None):
        yield Wrong(f"Task.status {value!r}", a_task(status=value), place="Task.status")


def changed_at(resource: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with another value at a path such as name[0].use."""
    changed = copy.deepcopy(resource)
    node: Any = changed
    *way, last = path.replace("[0]", ".0").split(".")
    for step in way:
        node = node[int(step)] if step.isdigit() else node[step]
    node[last] = value
    return changed


def with_a_reference_to_nothing(rng: random.Random, site: Site) -> Iterator[Wrong]:
    kept = {name: site.task[name] for name in ("focus", "for", "requester", "owner")}
    for name in kept:
        for nothing in (f"{rng.choice(['Patient', 'ServiceRequest'])}/{rng.randbytes(8).hex()}", "Patient/"):
            sent = a_task(**kept) | {name: {"reference": nothing}, "identifier": [{"system": "urn:x", "value": name}]}
            yield Wrong(f"Task.{name} {nothing[:9]}", sent, place=f"Task.{name}.reference")
    resource = {**resources(2)[-3], "subject": {"reference": f"Patient/{rng.randbytes(8).hex()}"}}
    yield Wrong("subject", resource, "/fhir/ServiceRequest", codes=("not-found",), place="ServiceRequest.")
    contained = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "#x"},
    }
    yield Wrong("contained", contained, "/fhir/ServiceRequest", place="ServiceRequest.subject")


def tasks_without_what_they_need(rng: random.Random, site: Site) -> Iterator[Wrong]:
    for name in ("focus", "for", "requester", "authoredOn", "intent", "status"):
        sent = {key: value for key, value in a_task().items() if key != name}
        yield Wrong(f"without {name}", sent, codes=("required",), place=f"Task.{name}")
    for name in ("focus", "for", "requester"):
        yield Wrong(f"{name} without reference", a_task(**{name: {}}), place=f"Task.{name}")
    yield Wrong("a plan", a_task(intent="plan"), codes=("value", "code-invalid"), place="Task.intent")


def sent_before(rng: random.Random, site: Site) -> Iterator[Wrong]:
    bare = {key: value for key, value in site.task.items() if key not in ("id", "meta")}
    for reason in ({}, {"priority": "urgent"}, {"note": [{"text": FAMILY}]}):
        yield Wrong(f"again {list(reason)}", bare | reason, status=409, codes=("duplicate",), place="Task.identifier")
    # conditional on another identifier than the one it has: found by its own
    header = (("If-None-Exist", f"identifier=urn:x|{rng.randbytes(4).hex()}"),)
    yield Wrong("another condition", bare, status=409, codes=("duplicate",), place="Task.identifier", headers=header)


def steps_that_are_not_theirs(rng: random.Random, site: Site) -> Iterator[Wrong]:
    tag = (("If-Match", site.tag()),)
    why = {"statusReason": {"text": "We changed our mind."}}
    for status in ("in-progress", "on-hold", "completed", "failed", "draft"):
        sent = site.task | why | {"status": status}
        yield Wrong(f"to {status}", sent, site.path(), "PUT", 422, ("business-rule",), "Task.status", tag)
    for status in ("accepted", "rejected"):  # a step that is open, to the program alone
        sent = site.task | why | {"status": status}
        yield Wrong(f"to {status}", sent, site.path(), "PUT", 403, ("forbidden",), "Task.status", tag)
    new = {key: value for key, value in site.task.items() if key not in ("id", "meta", "identifier")}
    for status in ("accepted", "in-progress", "completed", "cancelled"):
        yield Wrong(f"new and {status}", new | {"status": status} | why, codes=("business-rule",), place="Task.status")


def fields_that_are_not_theirs(rng: random.Random, site: Site) -> Iterator[Wrong]:
    tag = (("If-Match", site.tag()),)
    other = {"reference": f"https://other.example.org/fhir/Patient/{rng.randrange(99)}"}
    changes: dict[str, Any] = {
        "businessStatus": {"text": FAMILY},
        "output": [{"type": {"text": "note"}, "valueString": FAMILY}],
        "executionPeriod": {"start": "2026-11-21"},
        "for": other,
        "focus": other,
        "requester": other,
        "code": {"text": "another"},
        "authoredOn": "2020-01-01T00:00:00Z",
        "identifier": [{"system": "urn:x", "value": "y"}],
        "intent": "original-order",
        "statusReason": {"text": "no reason to give one"},
    }
    for name, value in changes.items():
        codes = ("business-rule",)
        yield Wrong(name, site.task | {name: value}, site.path(), "PUT", 422, codes, f"Task.{name}", tag)
    cancelled = site.task | {"status": "cancelled"}
    for reason in ({}, {"statusReason": {"text": "  "}}, {"statusReason": {"coding": [{"code": "x"}]}}):
        place = "Task.statusReason"
        yield Wrong(
            f"cancelled {reason}", cancelled | reason, site.path(), "PUT", 422, ("required", "value"), place, tag
        )


def old_versions(rng: random.Random, site: Site) -> Iterator[Wrong]:
    sent = site.task | {"status": "cancelled", "statusReason": {"text": "We changed our mind."}}
    current = int(site.task["meta"]["versionId"])
    for tag in (f'W/"{current - 1}"', f'W/"{current + rng.randrange(1, 99)}"', '"abc"', 'W/""', "nonsense"):
        yield Wrong(f"If-Match {tag}", sent, site.path(), "PUT", 412, ("conflict",), headers=(("If-Match", tag),))
    yield Wrong("no If-Match", sent, site.path(), "PUT", 400, ("required",))
    yield Wrong("any version", sent, site.path(), "PUT", 400, ("required",), headers=(("If-Match", "*"),))


Kind = Callable[[random.Random, Site], Iterator[Wrong]]
KINDS: tuple[Kind, ...] = (
    not_json,
    of_another_type,
    with_an_unknown_element,
    with_a_wrong_code,
    with_a_reference_to_nothing,
    tasks_without_what_they_need,
    sent_before,
    steps_that_are_not_theirs,
    fields_that_are_not_theirs,
    old_versions,
)
