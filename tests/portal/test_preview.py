"""What the hospital will see of a note is asked of the same rule that decides when it is saved."""

from __future__ import annotations

from itertools import combinations

from peerfhir.records.messages import list_outbox

CLASSES = ("attendance", "summary", "care-team-contact")
NOTE = "Rent worries; wants that kept between us."


def sides(page):
    cards = {e.attrs["aria-labelledby"]: e.text for e in page.all("section") if "aria-labelledby" in e.attrs}
    return cards["goes"], cards["stays"]


def test_every_combination_shows_what_is_then_owed_and_no_more(site):
    referral = site.refer("Marisol", "Vega")
    peer, own = site.matched(referral)
    at = f"/people/{referral.person_id}/note"
    tried = 0
    for size in range(len(CLASSES) + 1):
        for granted in combinations(CLASSES, size):
            for keep in ("", "yes"):
                site.share(own, *(f"hospital.{one}" for one in granted))
                with site.work() as work:
                    before = {
                        row["id"] for row in list_outbox(work.connection, "riverside", person_id=referral.person_id)
                    }
                peer.open(at)
                note = site.note(summary="We set one goal.", keep_between_us=keep)
                page = peer.press(at, {**note, "show": "preview"})
                goes, stays = sides(page)
                peer.press(at, note)
                with site.work() as work:
                    rows = list_outbox(work.connection, "riverside", person_id=referral.person_id, limit=1000)
                owed = {row["piece"] for row in rows if row["id"] not in before} - {"status"}
                assert ("That you met" in goes) == ("encounter" in owed) == ("attendance" in granted)
                assert ("We set one goal." in goes) == ("summary" in owed) == ("summary" in granted and not keep)
                named = "care-team-contact" in granted and bool(owed)
                assert ("Tomas T." in goes) == named
                assert ("Tomas T." in stays) != named
                assert ("Nothing at all." in goes) == (not owed)
                assert NOTE in stays
                assert NOTE not in goes
                assert ("That you met" in stays) == ("attendance" not in granted)
                tried += 1
    assert tried == 16


def test_before_the_person_chose_nothing_goes_out_and_the_page_says_why(site):
    referral = site.refer("Marisol", "Vega")
    peer, _ = site.matched(referral)
    page = peer.press(f"/people/{referral.person_id}/note", site.note(show="preview"))
    goes, _ = sides(page)
    assert "Marisol has not said yet what may be shared" in goes


def test_where_no_hospital_waits_the_page_says_so(site):
    referral = site.refer("Marisol", "Vega", endpoint="")
    peer, own = site.matched(referral)
    site.share(own, "hospital.summary")
    page = peer.press(f"/people/{referral.person_id}/note", site.note(show="preview"))
    assert "No hospital is waiting for news about Marisol." in sides(page)[0]


def test_a_name_that_goes_out_is_signed_below_the_summary_as_it_will_be(site):
    referral = site.refer("Marisol", "Vega")
    peer, own = site.matched(referral)
    site.share(own, "hospital.summary", "hospital.care-team-contact")
    page = peer.press(f"/people/{referral.person_id}/note", site.note(summary="We met.", show="preview"))
    assert "We met.\nTomas T., Peer Specialist" in [e.text for e in page.all("p", **{"class": "exact"})]


def test_the_page_warns_who_else_may_read_it(site):
    referral = site.refer("Marisol", "Vega")
    peer, own = site.matched(referral)
    site.share(own, "hospital.summary")
    page = peer.press(f"/people/{referral.person_id}/note", site.note(show="preview"))
    assert "such as a parent or a partner" in sides(page)[0]
