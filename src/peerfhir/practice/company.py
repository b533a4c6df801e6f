"""Third act of the walk: they work together, what is shared travels, and the hospital is off for a while."""

from __future__ import annotations

import time
from datetime import timedelta

from peerfhir.practice.cast import Stuck
from peerfhir.practice.holdings import EXPECTED
from peerfhir.practice.scene import Scene
from peerfhir.practice.visitor import Visitor

OUTAGE_SECONDS = 5
ANSWERS = (2, 2, 1, 2, 1, 1, 2, 1, 0)  # PHQ-9, total 12
NOTE = "She laughed about the bus driver again. Rent worries; wants that kept between us."
GROUP_NOTE = "Quiet start. Good moment when the three of them compared tea shops."
SUMMARY = "We talked about the week and set one goal: two social activities a week."


def play(scene: Scene) -> None:
    """Sharing is chosen; meetings and a score travel, across an outage."""
    scene.begin("TOGETHER")
    person = Visitor(scene.cast.gateway)
    person.open(scene.person_link)
    person.press(
        f"{scene.person_link}/sharing",
        {f"hospital.{each}": "on" for each in ("attendance", "summary", "scores")},
    )
    scene.say("Marisol lets the hospital see: attendance, summary, scores. Not: single answers, anything else")
    peer = scene.sign_in(scene.peer_login, scene.cast.peer_passwords[scene.peer_login])
    scene.note(peer, timedelta(minutes=-60), NOTE, SUMMARY)
    scene.until("the first meeting is in the chart", lambda: scene.chart.found() >= scene.chart.share_of_expected(1))
    peer.open(scene.referral_path)
    peer.press(f"{scene.referral_path}/enrol")
    scene.until("the chart says they work together", lambda: scene.chart.says("Working together"))
    scene.say("a note in two layers: the summary arrives, the working note stays; the hospital's Task is fulfilled")
    scene.stage.stop("hospital")
    off = time.monotonic()
    _group(scene, peer)
    _phq9(scene, peer)
    waiting = scene.outbox.waiting()
    time.sleep(max(0.0, OUTAGE_SECONDS - (time.monotonic() - off)))
    scene.cast.start_hospital()
    scene.say(
        f"the hospital was off for {OUTAGE_SECONDS} s: a group of three and a PHQ-9 were recorded, {waiting} waited"
    )
    scene.until("what waited has arrived", lambda: scene.chart.found() >= sum(EXPECTED[scene.cast.mood].values()))
    scene.say("it is back: each went out once, under the EpisodeOfCare, since the referral itself is fulfilled")


def _group(scene: Scene, peer: Visitor) -> None:
    page = peer.open("/groups/new")
    attendees = [value for value in page.fields.get("attendees", []) if value][:3]
    if len(attendees) < 3:
        raise Stuck("three people were expected for the group")
    peer.press(
        "/groups/new",
        {
            "topic": "Finding your feet in a new town",
            "started_at": scene.local(timedelta(minutes=-45)),
            "ended_at": scene.local(timedelta(minutes=-20)),
            "modality": "in-person",
            "summary": "The group shared ideas for meeting people in a new town.",
            "attendees": attendees,
            "working_note": GROUP_NOTE,
            "client_uuid": page.fields.get("client_uuid", [""])[0],
        },
    )


def _phq9(scene: Scene, peer: Visitor) -> None:
    page = peer.open(f"{scene.person_path}/phq-9")
    items = [(name, offered) for name, offered in page.fields.items() if name.startswith("/") and len(offered) >= 4]
    answers = {name: offered[answer] for (name, offered), answer in zip(items, ANSWERS, strict=False)}
    if len(answers) != len(ANSWERS):
        raise Stuck(f"{len(answers)} questions were found on the form, nine were expected")
    kept = {name: page.fields[name][0] for name in ("referral_id", "client_uuid") if page.fields.get(name)}
    peer.press(f"{scene.person_path}/phq-9", {**kept, **answers})
