"""Second act of the walk: a person and a peer find each other, and nobody is told more than that."""

from __future__ import annotations

from datetime import timedelta

from peerfhir.practice.cast import Stuck
from peerfhir.practice.scene import Scene
from peerfhir.practice.visitor import Page, Visitor

FIRST_NOTE = "First cup of tea. She is funny."


def play(scene: Scene) -> None:
    """Triage, proposals, the person's choice, the peer's yes, contact and a first meeting."""
    scene.begin("MATCHED")
    desk = scene.sign_in(*scene.cast.coordinator)
    scene.referral_path = scene.link(desk.open("/referrals"), "/referrals/")
    desk.open(scene.referral_path)
    desk.press(f"{scene.referral_path}/triage")
    page = desk.press(f"{scene.referral_path}/propose")
    scene.person_path = scene.link(page, "/people/")
    page = desk.press(f"{scene.referral_path}/link")
    scene.person_link = page.ids["person-link"]["href"].removeprefix(scene.cast.gateway)
    person = Visitor(scene.cast.gateway)
    page = person.open(scene.person_link)
    peers = [value for value in page.fields.get("peer_id", []) if value and value != "none"]
    if not 1 <= len(peers) <= 3:
        raise Stuck(f"{len(peers)} peers were proposed, one to three are right")
    scene.say(f"triage; {len(peers)} peers proposed, each with reasons in plain words; nothing assigned by itself")
    chosen = peers[0]
    person.press(f"{scene.person_link}/choose", {"peer_id": chosen})
    scene.peer_login = _who_was_chosen(scene, desk.open(scene.referral_path))
    peer = scene.sign_in(scene.peer_login, scene.cast.peer_passwords[scene.peer_login])
    peer.open(scene.referral_path)
    peer.press(f"{scene.referral_path}/accept")
    scene.say(f"Marisol chooses {scene.peer_login.title()} on her own page; {scene.peer_login.title()} says yes")
    page = peer.open(scene.referral_path)
    once = page.fields.get("client_uuid", [""])[0]
    peer.press(f"{scene.referral_path}/contact", {"channel": "phone", "outcome": "answered", "client_uuid": once})
    peer.press(f"{scene.referral_path}/meeting", {"at": scene.local(timedelta(minutes=10))})
    scene.note(peer, timedelta(minutes=-90), FIRST_NOTE, "", keep=True)
    scene.until("the chart says no more than it may", lambda: scene.chart.says("In contact"))
    scene.say("contact by phone, first meeting held; nobody has been told more: she has not chosen yet")


def _who_was_chosen(scene: Scene, page: Page) -> str:
    found = [login for login in scene.cast.peer_passwords if login.title() in page.text]
    chosen = page.ids.get("chosen-peer", {}).get("data-peer", "")
    if chosen:
        found = [login for login in scene.cast.peer_passwords if chosen.lower().startswith(login)]
    if not found:
        raise Stuck("the referral page does not say which peer was chosen")
    return found[0]
