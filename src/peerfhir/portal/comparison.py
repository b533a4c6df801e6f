"""The same record under another version of a mapping: what differs, and which part of the version that asks for."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from typing import Any

from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping.aside import Made, Refused
from peerfhir.mapping.difference import Change, changes, keyed, step_proposed
from peerfhir.mapping.explain import Explained, told
from peerfhir.mapping.inputs import EXAMPLES_NOW, outcomes, records
from peerfhir.mapping.shelf import Opened
from peerfhir.mapping.traced import Tracer
from peerfhir.portal.veil import Veil

Json = Any
MOST = 100


def compared(before: Opened | None, after: Opened, record: bytes, number: int, *, show: bool) -> Json:
    """What differs for the record of that number, counted from 1.

    before   the other version; None when it has errors
    show     values of sensitive fields too
    Returns  {} when both are one, else {"wrong": whether the other one has errors, "changes":
             [{path, before, after}], "more": how many more, "step": major, minor or patch}
    """
    if before is None:
        return {"wrong": True, "changes": [], "more": 0, "step": ""}
    if before.loaded.sha256 == after.loaded.sha256 and before.name == after.name:
        return {}
    both = [_outcome(one, record, number) for one in (before, after)]
    veil = Veil() if show else Veil([*_explained(before, both[0], record), *_explained(after, both[1], record)])
    found = list(islice(changes(_keyed(both[0]), _keyed(both[1])), 10 * MOST))
    return {
        "wrong": False, "changes": [_told(one, veil) for one in found[:MOST]], "more": max(len(found) - MOST, 0),
        "step": step_proposed(found) if found else "",
    }  # fmt: skip


def _outcome(opened: Opened, record: bytes, number: int) -> Made | Refused | None:
    return next(islice(outcomes(opened, BytesIO(record), EXAMPLES_NOW), number - 1, None), None)


def _keyed(outcome: Made | Refused | None) -> Json:
    """What the record becomes, by the author's names; a failed one by its codes."""
    if isinstance(outcome, Made):
        return keyed(outcome.result.resources, outcome.result.values)
    return {"error": ", ".join(one.code for one in outcome.problems)} if outcome is not None else {}


def _explained(opened: Opened, outcome: Made | Refused | None, record: bytes) -> Iterator[Explained]:
    fields = opened.checked.source.fields
    if not isinstance(outcome, Made) or fields is None or not fields.labels():
        return
    given = next(one for one in records(opened, BytesIO(record)) if one.position == outcome.place)
    try:
        yield from told(opened, given, Tracer(opened.checked).run(outcome.typed, EXAMPLES_NOW), outcome.typed)
    except EvaluationProblem:
        return


def _told(one: Change, veil: Veil) -> Json:
    return {"path": one.path, "before": veil.shown(one.before, one.path), "after": veil.shown(one.after, one.path)}
