"""The end of the walk: what arrived and what was kept back, counted in the hospital's own store."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from peerfhir.practice.cast import Stuck
from peerfhir.practice.company import GROUP_NOTE, NOTE
from peerfhir.practice.holdings import EXPECTED, status_words, words_of
from peerfhir.practice.match import FIRST_NOTE
from peerfhir.practice.parting import LAST_NOTE
from peerfhir.practice.scene import Scene


def reckoned(scene: Scene, *, verbose: bool) -> str:
    """What arrived and what was kept back, from the hospital's own store; the last line."""
    store = scene.chart.versions()
    ours = scene.chart.arrived(store)
    counts = Counter(version["type"] for version in ours)
    scene.tell("")
    told = sum(1 for version in store if version["version"] == 1 and status_words(version))
    arrived = [f"{n} {name}" for name, n in sorted(counts.items())] + ([f"{told} status notes"] if told else [])
    how = ", read by the hospital at our API" if scene.cast.mood == "athena-like" else ""
    scene.tell("ARRIVED      " + (", ".join(arrived) or "nothing") + how)
    for line in scene.outbox.rungs():
        scene.tell(f"             {line}")
    secrets = _secrets(scene)
    everything = words_of(store)
    kept = [label for label, text in secrets if text not in everything]
    leaked = sorted({label for label, text in secrets if text in everything})
    by_label = Counter(kept)
    scene.tell("KEPT BACK    " + ", ".join(f"{n} {label}" for label, n in by_label.items()))
    if leaked:
        raise Stuck(f"the hospital's store holds what it should not: {', '.join(leaked)}")
    if verbose:
        for version in ours:
            scene.tell(f"  {scene.cast.hospital}/fhir/{version['type']}/{version['id']}")
    expected = EXPECTED[scene.cast.mood]
    lost = sum(max(0, n - counts.get(name, 0)) for name, n in expected.items())
    doubled = sum(n - 1 for n in Counter(_key(version) for version in ours).values())
    after = sum(1 for version in ours if scene.stopped_at and version["at"] > scene.stopped_at.isoformat())
    hops = len(scene.chart.states(store))
    seconds = round(time.monotonic() - scene.started)
    return (
        f"LOOP CLOSED hops={hops} arrived={len(ours)} doubled={doubled} lost={lost} outages=1 "
        f"kept_back={len(kept)} after_stop={after} seconds={seconds}"
    )


def _secrets(scene: Scene) -> list[tuple[str, str]]:
    """What must not be in the hospital's store: label and exact words or codes."""
    found = [("working notes", note) for note in (FIRST_NOTE, NOTE, GROUP_NOTE, LAST_NOTE)]
    found += [("other attendees' names", name) for name in scene.cast.companions]
    items = ["44250-9", "44255-8", "44259-0", "44254-1", "44251-7", "44258-2", "44252-5", "44253-3", "44260-8"]
    return found + [("single answers", code) for code in items]


def _key(version: dict[str, Any]) -> str:
    identifier = version["resource"].get("identifier", [{}])
    first = identifier[0] if isinstance(identifier, list) else identifier
    return f"{version['type']} {first.get('system')}|{first.get('value')}"
