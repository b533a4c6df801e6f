"""What tests of the loop look at in a hospital's own store."""

from __future__ import annotations

from typing import Any

from tests.support.loop import Loop

ALL = ("attendance", "summary", "scores", "item-level")
THREE = ("attendance", "summary", "scores")


def episodes(loop: Loop, patient: str = "p1") -> list[str | None]:
    """The episode's number of each meeting in the chart, in the order of the meetings."""
    met = sorted(loop.ward.of("Encounter", patient), key=lambda one: one["period"]["start"])
    return [one.get("episodeOfCare", [{}])[0].get("identifier", {}).get("value") for one in met]


def outputs(task: dict[str, Any]) -> list[str]:
    """What each output of a Task says it is."""
    found = []
    for one in task.get("output", []):
        concept = one["type"]
        found.append(concept.get("text") or concept["coding"][0]["code"])
    return found


def doubled(loop: Loop) -> list[str]:
    """Identifiers that two chart resources share."""
    seen: set[str] = set()
    twice = []
    for patient in ("p1", "p2", "p3"):
        for version in loop.ward.arrived(patient):
            first = version.resource["identifier"]
            first = first[0] if isinstance(first, list) else first
            key = f"{version.type} {first['system']}|{first['value']}"
            twice += [key] if key in seen else []
            seen.add(key)
    return twice
