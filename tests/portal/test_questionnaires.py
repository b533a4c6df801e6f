from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from peerfhir.pathway.outcome import Change
from tests.portal.browse import Browser
from tests.portal.journey import ANSWERS, answers
from tests.portal.site import Site

ITEM_9 = "/44260-8"


@pytest.fixture
def asking(site: Site) -> tuple[Site, Browser, str]:
    referral = site.refer("Marisol", "Vega")
    peer, _ = site.matched(referral)
    at = f"/people/{referral.person_id}/phq-9"
    peer.open(at)
    return site, peer, at


def kept(site: Site, at: str) -> list:
    with site.work() as work:
        return list(work.outcomes_of(at.split("/")[2]))


def raised(site: Site, at: str) -> list:
    from peerfhir.records.outcomes import safety_of_person

    with site.work() as work:
        return safety_of_person(work.connection, "riverside", at.split("/")[2])


def test_the_form_is_the_questionnaire_with_a_way_to_skip_each_question(asking):
    site, peer, _ = asking
    page, instrument = peer.page, site.parts.instruments["phq-9"]
    assert len(page.all("legend")) == len(instrument.items) + 1  # and one for the peer: are they safe right now?
    for item in instrument.items:
        assert page.offered(item.link_id) == [*(option.code for option in item.options), ""]
        assert page.held(item.link_id) == []
        assert item.text in page.text
    for notice in instrument.notices:
        assert notice in page.text
    assert instrument.copyright in page.text
    assert page.text.index(instrument.notices[0]) < page.text.index(instrument.items[0].text)


def test_answers_are_scored_and_thanked_for(asking):
    site, peer, at = asking
    page = peer.press(at, answers(peer.page))
    assert "Thank you, Marisol" in page.text
    assert "12 of 27" in page.text
    [one] = kept(site, at)
    assert (one.total, one.sentinel, len(one.answers)) == (12, "none", 10)
    assert raised(site, at) == []
    assert "PHQ-9: 12 of 27" in peer.open(at.removesuffix("/phq-9")).text


def test_a_second_questionnaire_is_offered_scored_and_never_raises_what_it_does_not_watch(asking):
    site, peer, at = asking
    about = at.removesuffix("/phq-9")
    assert {f"{about}/gad-7", at} <= set(peer.open(about).links)
    page = peer.open(f"{about}/gad-7")
    instrument = site.parts.instruments["gad-7"]
    assert len(page.all("legend")) == len(instrument.items) == 7  # no question for the peer: nothing is watched here
    told = peer.press(f"{about}/gad-7", answers(page, (3,) * 7))
    assert "21 of 21" in told.text
    page = peer.open(f"{about}/gad-7")
    few = peer.press(f"{about}/gad-7", answers(page, (3, None, 3, 3, 3, 3, 3)))
    assert "of 21" not in few.text
    assert [(one.instrument_id, one.total, one.band_code, one.absent_reason) for one in kept(site, at)] == [
        ("gad-7", 21, "severe", None), ("gad-7", None, None, "too-many-missing"),
    ]  # fmt: skip
    assert raised(site, at) == []
    assert "GAD-7: 21 of 21" in peer.open(about).text


def test_the_same_form_twice_is_once(asking):
    site, peer, at = asking
    fields = answers(peer.page)
    pages = []
    for _ in range(3):
        pages.append(peer.press(at, fields).path)
        peer.open(at)
    assert len(set(pages)) == 1
    assert len(kept(site, at)) == 1


@pytest.mark.parametrize(
    ("place", "safe_now", "level"),
    [
        (1, None, "urgent"),
        (2, None, "stat"),
        (3, "yes", "stat"),
        (1, "unsure", "stat"),
        (1, "yes", "urgent"),
        (1, "no", "stat"),
    ],
)
def test_a_worrying_answer_shows_help_and_says_who_was_told(asking, place, safe_now, level):
    site, peer, at = asking
    fields = answers(peer.page, (*ANSWERS[:8], place, None)) | ({"safe_now": safe_now} if safe_now else {})
    page = peer.press(at, fields)
    assert page.text.index("This needs someone to look, now") < page.text.rindex("Thank you, Marisol")
    assert "Call or text 988, at any hour." in page.text
    assert page.all("a", href="tel:988")
    assert "It stands at the top of the first page of: " in page.text
    for name in ("Carla", "Sue"):
        assert name in page.text
    [event] = raised(site, at)
    assert event.level == level
    assert "A worrying answer or worry about Marisol" in site.browser("carla").page.text


def test_nothing_worrying_raises_nothing(asking):
    site, peer, at = asking
    page = peer.press(at, {**answers(peer.page, (*ANSWERS[:8], 0, None)), "safe_now": "no"})
    assert "needs someone to look" not in page.text
    assert raised(site, at) == []


def test_a_skipped_question_about_safety_is_said_gently(asking):
    site, peer, at = asking
    page = peer.press(at, answers(peer.page, (*ANSWERS[:8], 4, None)))  # "I would rather not say"
    assert "The question about safety was skipped" in page.text
    assert "tel:" not in page.html
    assert raised(site, at)[0].state == "sentinel-unknown"


def test_every_question_may_be_skipped(asking):
    site, peer, at = asking
    page = peer.press(at, answers(peer.page, (4,) * 10))
    assert "No total this time" in page.text
    assert kept(site, at)[0].total is None


@pytest.mark.parametrize("wrong", ["LA0-0", "3", "<b>", ["LA6568-5", "LA6569-3"]])
def test_an_answer_that_was_not_offered_is_told_and_the_others_stay(asking, wrong):
    site, peer, at = asking
    fields = {**answers(peer.page), "/44250-9": wrong}
    page = peer.press(at, fields)
    assert page.status == 422
    assert page.held("/44255-8") == [fields["/44255-8"]]
    assert page.held("client_uuid") == fields["client_uuid"]
    assert kept(site, at) == []
    assert raised(site, at) == []


def test_answers_of_someone_else_are_not_there(asking):
    site, peer, at = asking
    other = site.refer("Amina", "Okoye")
    site.matched(other)
    path = peer.press(at, answers(peer.page)).path
    assert peer.open(path).status == 200
    assert peer.open(path.replace(at.split("/")[2], other.person_id)).status == 404
    assert site.browser("ana").open(path).status == 404
    peer.open(at)
    assert peer.press(at, {**answers(peer.page), "referral_id": other.id}).status == 404
    peer.open(at)
    assert site.browser("carla").open(at).status == 403


def test_who_stopped_is_not_asked(site):
    referral = site.refer("Marisol", "Vega")
    peer, own = site.matched(referral)
    person = site.browser()
    person.open(own)
    person.press(f"{own}/stop")
    page = peer.open(f"/people/{referral.person_id}/phq-9")
    assert page.status == 422
    assert "The person has stopped." in page.text


LOW, HIGH, FEW = (0,) * 10, (2,) * 8 + (0, 0), (None,) * 4 + (0,) * 6
FOUND = Change(Decimal(5), Decimal(6), "Someone 2006")


def test_the_last_two_totals_are_compared_where_a_source_says_what_a_change_is(asking):
    site, peer, at = asking
    about = at.removesuffix("/phq-9")

    def known(change: Change | None) -> None:
        phq9 = replace(site.parts.instruments["phq-9"], change=change)
        site.parts.office.instruments = {**site.parts.instruments, "phq-9": phq9}

    known(FOUND)
    for given, said in (
        (LOW, ""),  # the first one
        (HIGH, "It went up by 16 since the time before; 6 or more counts as a change (Someone 2006)."),
        (LOW, "It went down by 16 since the time before; 6 or more counts as a change (Someone 2006)."),
        ((*LOW[:5], 1, 1, 1, 1, 1), "It differs by 4 from the time before; less than 6 may be chance (Someone 2006)."),
        (FEW, ""),  # no total
        (LOW, ""),  # none before it
        ((1,) * 6 + LOW[6:], "It went up by 6 since the time before; 6 or more counts as a change (Someone 2006)."),
    ):
        peer.press(at, answers(peer.open(at), given))
        site.clock.move(minutes=1)
        text = peer.open(about).text
        assert said in text
        assert text.count("the time before") == (1 if said else 0)
    for change in (None, Change(Decimal(5), Decimal(6), "")):  # nobody is named who found it
        known(change)
        assert "the time before" not in peer.open(about).text
