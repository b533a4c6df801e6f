"""Fourth act of the walk: the person stops, and what waits is never sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from peerfhir.practice.scene import Scene
from peerfhir.practice.visitor import Visitor

LAST_NOTE = "A short call before the weekend; she sounded tired."


def play(scene: Scene) -> None:
    """The person stops; what waits is cancelled; the hospital learns one thing."""
    scene.begin("THEIR CHOICE")
    scene.stage.stop("worker")  # as an operator does for an upgrade: so that something is waiting
    try:
        peer = scene.sign_in(scene.peer_login, scene.cast.peer_passwords[scene.peer_login])
        scene.note(peer, timedelta(minutes=-15), LAST_NOTE, "A short check-in call.")
        queued = scene.outbox.waiting()
        person = Visitor(scene.cast.gateway)
        person.open(scene.person_link)
        person.press(f"{scene.person_link}/stop")
        scene.stopped_at = datetime.now(UTC)
    finally:
        scene.cast.start_worker()
    scene.until("the chart says that the referral is closed", lambda: scene.chart.says("Referral closed"))
    scene.until("nothing waits any more", lambda: scene.outbox.waiting() == 0)
    scene.say(f"Marisol stops sharing, two taps, no reason; {queued} waiting messages are cancelled unsent")
    scene.say('the hospital sees "Referral closed", and nothing of why')
