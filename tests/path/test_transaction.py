"""R13: a transaction is carried out whole or not at all, wherever in it the fault is."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.path.accepted import SEED, Site, opened, order

BUNDLES = 150
Fault = Callable[[random.Random, dict[str, Any], Site], None]


def _wrong_primitive(rng: random.Random, entry: dict[str, Any], site: Site) -> None:
    entry["resource"]["implicitRules"] = rng.choice(["not a uri", "", 7])


def _unknown_element(rng: random.Random, entry: dict[str, Any], site: Site) -> None:
    entry["resource"][f"x{rng.randrange(999)}"] = "unknown"


def _reference_to_nothing(rng: random.Random, entry: dict[str, Any], site: Site) -> None:
    entry["resource"]["extension"] = [
        {"url": "http://example.org/about", "valueReference": {"reference": f"Patient/{rng.randbytes(8).hex()}"}}
    ]


def _other_type(rng: random.Random, entry: dict[str, Any], site: Site) -> None:
    entry["request"]["url"] = rng.choice(["Goal", "CarePlan", "Martian", "nowhere/at/all"])


def _no_resource(rng: random.Random, entry: dict[str, Any], site: Site) -> None:
    del entry["resource"]


def _no_request(rng: random.Random, entry: dict[str, Any], site: Site) -> None:
    del entry["request"]


def _method(rng: random.Random, entry: dict[str, Any], site: Site) -> None:
    entry["request"]["method"] = rng.choice(["DELETE", "PATCH", "HEAD", "post"])


def _unknown_condition(rng: random.Random, entry: dict[str, Any], site: Site) -> None:
    entry["request"]["ifNoneExist"] = rng.choice(["nonsense=1", "", "identifier:missing=maybe"])


def _update_of_nothing(rng: random.Random, entry: dict[str, Any], site: Site) -> None:
    ident = rng.randbytes(8).hex()
    entry["resource"]["id"] = ident
    entry["request"] = {"method": "PUT", "url": f"{entry['resource']['resourceType']}/{ident}"}


def _stale_update(rng: random.Random, entry: dict[str, Any], site: Site) -> None:
    entry["resource"] = copy.deepcopy(site.task) | {"priority": "urgent"}
    entry["request"] = {"method": "PUT", "url": f"Task/{site.task['id']}", "ifMatch": f'W/"{rng.randrange(50, 99)}"'}


def _step_not_theirs(rng: random.Random, entry: dict[str, Any], site: Site) -> None:
    entry["resource"] = copy.deepcopy(site.task) | {"status": "completed"}
    entry["request"] = {"method": "PUT", "url": f"Task/{site.task['id']}", "ifMatch": site.tag()}


def _sent_before(rng: random.Random, entry: dict[str, Any], site: Site) -> None:
    entry["resource"] = {key: value for key, value in site.task.items() if key not in ("id", "meta")}
    entry["request"] = {"method": "POST", "url": "Task"}


FAULTS: tuple[Fault, ...] = (
    _wrong_primitive, _unknown_element, _reference_to_nothing, _other_type, _no_resource, _no_request, _method,
    _unknown_condition, _update_of_nothing, _stale_update, _step_not_theirs, _sent_before,
)  # fmt: skip

NEW = ("ServiceRequest", "Task", "Consent")
OF_WHAT_IS_NEW = (_reference_to_nothing,)  # an entry whose condition finds something is not written, nor followed


def test_a_fault_in_any_entry_leaves_nothing_of_the_others(engine_url: str, tmp_path: Path) -> None:
    rng = random.Random(SEED)
    with opened(tmp_path, engine_url) as site:
        before = site.snapshot()
        missed = []
        for number in range(2, BUNDLES + 2):
            bundle = order(number)
            rng.shuffle(bundle["entry"])
            fault = FAULTS[number % len(FAULTS)]
            new = [at for at, one in enumerate(bundle["entry"]) if one["resource"]["resourceType"] in NEW]
            at = rng.choice(new if fault in OF_WHAT_IS_NEW else range(len(bundle["entry"])))
            fault(rng, bundle["entry"][at], site)
            answer = site.caller.send("POST", "/fhir", bundle)
            if not 400 <= answer.status < 500 or site.snapshot() != before:
                missed.append(f"{fault.__name__} in entry {at}: {answer.status}")
                break
            said = [place for issue in answer.issues for place in issue.get("expression", [])]
            if not any(place.startswith(f"Bundle.entry[{at}]") for place in said):
                missed.append(f"{fault.__name__} in entry {at}: {answer.status} names {said}")
        assert missed == []
        assert site.caller.send("POST", "/fhir", order(2)).status == 200  # without its fault it is taken
