"""Who is proposed, and what the reasons may not tell."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from peerfhir.pathway.matching import is_available, propose
from peerfhir.pathway.people import Peer, Person, Tag, Weights, Wishes
from peerfhir.pathway.vocabulary import Modality, ServiceType
from tests.support.books import PROGRAM, START, a_peer, a_person, an_order

TODAY = date(2026, 11, 25)
SEED = 35
TAGS = ["alcohol", "depression", "veteran", "housing", "justice-involved"]
ORDER = replace(an_order(), id="r", person_id="x")


def ask(person: Person, peers, referral=ORDER, program=PROGRAM, **more):
    return propose(person, referral, peers, program, TODAY, START, **more)


def wanting(**wishes) -> Person:
    return a_person("x", wishes=Wishes(**wishes))


def generated_peer(rng: random.Random, n: int) -> Peer:
    return a_peer(
        f"p{n:02d}",
        gender=rng.choice([None, "woman", "man"]),
        age_band=rng.choice([None, "20-39", "40-59"]),
        languages=frozenset(rng.sample(["en", "es-MX", "so"], rng.randint(0, 2))),
        tags=tuple(
            Tag(code, rng.choice(["private", "match-only", "public"])) for code in rng.sample(TAGS, rng.randint(0, 4))
        ),
        communities=frozenset(rng.sample(["rural", "faith"], rng.randint(0, 2))),
        modalities=frozenset(rng.sample([Modality.PHONE, Modality.VIDEO, Modality.IN_PERSON], rng.randint(0, 2))),
        services=frozenset(rng.sample([ServiceType.ONE_TO_ONE, ServiceType.WARM_LINE], rng.randint(0, 2))),
        times=frozenset(rng.sample(["weekday-evening", "weekend"], rng.randint(0, 2))),
        area=rng.choice([None, "27601", "27603"]),
        load=Decimal(rng.randint(0, 24)) / 2,
        credential_until=rng.choice([None, TODAY - timedelta(days=1), TODAY, date(2028, 1, 1)]),
        excluded_people=frozenset(rng.choice([[], [], [], ["x"]])),
        last_assigned_at=rng.choice([None, START - timedelta(days=rng.randint(1, 3))]),
    )


def generated_person(rng: random.Random) -> Person:
    return a_person(
        "x",
        area=rng.choice([None, "27601"]),
        need_tags=frozenset(rng.sample(TAGS, rng.randint(0, 3))),
        excluded_peers=frozenset(rng.sample([f"p{n:02d}" for n in range(12)], rng.randint(0, 2))),
        wishes=Wishes(
            language=rng.choice([None, "en", "es"]),
            interpreter_accepted=rng.random() < 0.3,
            peer_gender=rng.choice([None, None, "woman"]),
            age_band=rng.choice([None, "40-59"]),
            modalities=frozenset(rng.sample([Modality.PHONE, Modality.VIDEO], rng.randint(0, 2))),
            times=frozenset(rng.sample(["weekday-evening", "weekend"], rng.randint(0, 2))),
            communities=frozenset(rng.sample(["rural", "faith"], rng.randint(0, 2))),
            use_tags=rng.random() < 0.7,
        ),
    )


def may_be_proposed(peer: Peer, person: Person) -> bool:
    """The hard filters, read off the list of docs/rules.md, Matching one by one."""
    wishes = person.wishes
    if peer.load > Decimal("10.5") or peer.credential_until is None or peer.credential_until < TODAY:
        return False
    if peer.services and ServiceType.ONE_TO_ONE not in peer.services:
        return False
    if wishes.modalities and peer.modalities and not wishes.modalities & peer.modalities:
        return False
    speaks = any(spoken.split("-")[0] == wishes.language for spoken in peer.languages)
    if wishes.language and not wishes.interpreter_accepted and not speaks:
        return False
    if wishes.peer_gender and peer.gender != wishes.peer_gender:
        return False
    return peer.id not in person.excluded_peers and person.id not in peer.excluded_people


def crowds(count: int):
    rng = random.Random(SEED)
    print("seed", SEED)
    for _ in range(count):
        yield rng, generated_person(rng), [generated_peer(rng, n) for n in range(12)]


def test_only_peers_who_pass_every_hard_filter_are_proposed_and_at_most_three():
    some = 0
    for _, person, peers in crowds(2_000):
        fit = [p for p in peers if may_be_proposed(p, person)]
        proposals = ask(person, peers)
        assert {p.peer_id for p in proposals} <= {p.id for p in fit}
        assert len(proposals) == min(3, len(fit))
        assert all(0 <= p.score <= 100 and p.reasons for p in proposals)
        some += len(proposals) > 1
    assert some > 500


def test_the_same_input_gives_the_same_order_however_it_was_sorted():
    for rng, person, peers in crowds(500):
        first = ask(person, peers)
        assert ask(person, peers) == first
        assert ask(person, rng.sample(peers, len(peers))) == first


def test_a_private_tag_changes_nothing_at_all():
    for rng, person, peers in crowds(1_000):
        bare = [replace(p, tags=tuple(t for t in p.tags if t.visibility != "private")) for p in peers]
        assert ask(person, bare) == ask(person, peers)
        more = [replace(p, tags=(*p.tags, Tag(rng.choice(TAGS), "private"))) for p in bare]
        known = [replace(p, tags=(*p.tags, Tag(t, "private"))) for p, t in zip(bare, TAGS * 3, strict=False)]
        assert ask(person, more) == ask(person, bare) == ask(person, known)


def test_a_tag_for_matching_only_shows_in_no_score_and_no_reason():
    for rng, person, peers in crowds(1_000):
        hidden = [replace(p, tags=(*p.tags, Tag(rng.choice(TAGS), "match-only"))) for p in peers]
        public = {peer.id: ask(person, [peer]) for peer in peers}
        for proposal in ask(person, hidden):
            assert (proposal,) == public[proposal.peer_id]


def test_a_tag_for_matching_only_may_decide_who_is_among_the_three():
    person = replace(wanting(use_tags=True), need_tags=frozenset({"veteran"}))
    peers = [a_peer(f"p{n}") for n in range(4)]
    assert "p3" not in {p.peer_id for p in ask(person, peers)}
    peers[3] = replace(peers[3], tags=(Tag("veteran", "match-only"),))
    proposals = ask(person, peers)
    assert [p.peer_id for p in proposals] == ["p0", "p1", "p3"]  # and the order is not moved by it
    assert len({(p.score, p.reasons) for p in proposals}) == 1


def test_tags_are_used_only_when_the_person_agreed():
    peers = [a_peer("p1"), a_peer("p2", tags=(Tag("veteran", "public"),))]
    person = replace(wanting(use_tags=False), need_tags=frozenset({"veteran"}))
    assert len({(p.score, p.reasons) for p in ask(person, peers)}) == 1
    agreed = replace(person, wishes=Wishes(use_tags=True))
    first, second = ask(agreed, peers)
    assert (first.peer_id, second.peer_id) == ("p2", "p1")
    assert "Has been there too: veteran" in first.reasons


def test_a_credential_is_valid_to_the_end_of_its_day():
    person = a_person("x")
    for until, fits in ((TODAY, True), (TODAY - timedelta(days=1), False), (None, False)):
        assert is_available(a_peer("p1", credential_until=until), person, ORDER, PROGRAM, TODAY) is fits


def test_a_full_caseload_takes_nobody():
    person = a_person("x")
    for load, fits in (("10.5", True), ("10.6", False), ("12", False)):
        assert is_available(a_peer("p1", load=Decimal(load)), person, ORDER, PROGRAM, TODAY) is fits


def test_a_bedside_meeting_needs_a_badge():
    bedside = replace(ORDER, service=ServiceType.BEDSIDE_ED)
    assert not ask(a_person("x"), [a_peer("p1")], bedside)
    assert ask(a_person("x"), [a_peer("p1", clearances=frozenset({"hospital"}))], bedside)


def test_a_peer_of_another_program_is_never_proposed():
    assert not ask(a_person("x"), [a_peer("p1", program_id="elsewhere")])


def test_a_refused_peer_is_not_proposed_again_for_this_referral():
    refused = replace(ORDER, refused_peers=frozenset({"p1"}))
    assert [p.peer_id for p in ask(a_person("x"), [a_peer("p1"), a_peer("p2")], refused)] == ["p2"]


def test_equal_scores_go_to_the_longest_idle_then_by_a_stable_key():
    peers = [
        a_peer("p4", last_assigned_at=START - timedelta(days=1)),
        a_peer("p3", last_assigned_at=START - timedelta(days=9)),
        a_peer("p2"),
    ]
    assert [p.peer_id for p in ask(a_person("x"), peers)] == ["p2", "p3", "p4"]
    assert [p.peer_id for p in ask(a_person("x"), [a_peer("b"), a_peer("a")])] == ["a", "b"]


def test_everything_that_was_wished_for_gives_a_hundred_and_a_reason_each():
    person = a_person(
        "x",
        area="27601",
        need_tags=frozenset({"alcohol"}),
        wishes=Wishes(
            language="es",
            age_band="40-59",
            times=frozenset({"weekend"}),
            communities=frozenset({"rural"}),
            use_tags=True,
        ),
    )
    peer = a_peer(
        "p1",
        area="27601",
        languages=frozenset({"es-MX"}),
        age_band="40-59",
        times=frozenset({"weekend"}),
        communities=frozenset({"rural"}),
        tags=(Tag("alcohol", "public"),),
    )
    (proposal,) = ask(person, [peer], previous=frozenset({"p1"}))
    assert proposal.score == 100
    assert proposal.reasons == (
        "Has been there too: alcohol",
        "Has time for someone new",
        "Speaks Spanish",
        "Free when it suits you: weekend",
        "Shares with you: rural",
        "Is in your area",
        "Is of the age you prefer",
        "You know each other from before",
    )


def test_weights_are_the_programs_choice():
    near, speaker = a_peer("p1", area="27601", languages=frozenset()), a_peer("p2", languages=frozenset({"es"}))
    person = a_person("x", area="27601", wishes=Wishes(language="es", interpreter_accepted=True))
    assert ask(person, [near, speaker])[0].peer_id == "p2"
    by_area = replace(PROGRAM, weights=Weights(area=90, language=1))
    assert ask(person, [near, speaker], program=by_area)[0].peer_id == "p1"
    nothing = replace(PROGRAM, weights=Weights(0, 0, 0, 0, 0, 0, 0, 0))
    assert [p.score for p in ask(person, [near], program=nothing)] == [0]


def test_somebody_without_wishes_still_gets_a_reason():
    (proposal,) = ask(a_person("x"), [a_peer("p1", load=Decimal("10.5"))])
    assert proposal.reasons == ("Is free to start",)


@pytest.mark.parametrize("language", ["so", "xx"])
def test_a_language_is_named_in_words_where_we_know_them(language):
    (proposal,) = ask(wanting(language=language), [a_peer("p1", languages=frozenset({language}))])
    assert f"Speaks {'Somali' if language == 'so' else 'xx'}" in proposal.reasons
