"""First act of the walk: the hospital refers, and its chart shows that it was heard."""

from __future__ import annotations

import time

from peerfhir.practice.cast import Stuck
from peerfhir.practice.people import PATIENTS
from peerfhir.practice.scene import Scene
from peerfhir.practice.visitor import Visitor


def play(scene: Scene) -> None:
    """The hospital places the order and sends it; the chart shows that it was received."""
    scene.begin("REFERRED")
    clinician = Visitor(scene.cast.hospital)
    who = PATIENTS[0]
    clinician.open(f"/charts/{who.id}")
    order = {
        "why": "Lonely since moving here; would like to talk with someone who has been there.",
        "urgency": "routine",
        "agreed": "said-so",
        "contact": "mobile, after 17:00, no voicemail",
    }
    before = time.monotonic()
    page = clinician.press(f"/charts/{who.id}/refer", order)
    while "said=not-sent" in page.url and time.monotonic() < before + scene.PATIENCE_SECONDS:
        time.sleep(0.3)
        page = clinician.press(f"/charts/{who.id}/refer", order)  # the same order goes out again
    if "said=sent" not in page.url:
        raise Stuck("the program did not take the order")
    took = round((time.monotonic() - before) * 1000)
    scene.say(f'Dr. Okafor presses "Refer to peer support" in {who.name}\'s chart; no diagnosis is asked for')
    scene.say(f"the hospital keeps its order and sends it as one transaction; answered in {took} ms, kept first")
    scene.until("the chart says that the referral was received", lambda: scene.chart.says("Received", "Being"))
