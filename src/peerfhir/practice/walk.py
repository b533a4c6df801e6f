"""Plays one referral as each real party would, over HTTP, and tells every hop."""

from __future__ import annotations

from peerfhir.practice import arrival, company, match, parting
from peerfhir.practice.reckoning import reckoned
from peerfhir.practice.scene import Scene


def walk(scene: Scene, *, verbose: bool = False) -> str:
    """One referral in four acts; returns the last line. Raises Stuck, PageRefused, Unanswered or NotReady."""
    for act in (arrival, match, company, parting):
        act.play(scene)
    return reckoned(scene, verbose=verbose)
