"""Meetings, groups and questionnaires as a peer records them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from peerfhir.pathway import steps
from peerfhir.pathway.encounter import GroupSession
from peerfhir.pathway.people import Identifier
from peerfhir.pathway.refusals import (
    AlreadyRecorded,
    BadAnswer,
    BadTimes,
    Closed,
    NamesSomeone,
    NotFoundHere,
    SharingStopped,
    TooLong,
    WrongActor,
)
from peerfhir.pathway.vocabulary import ClosingReason, Modality, Piece, ServiceType, ShareClass, Status
from tests.support.books import (
    COORDINATOR,
    REQUESTER,
    a_meeting,
    a_person,
    answers_of,
    as_peer,
    as_person,
    bring,
    new_books,
    share,
)

ALL_ONES = {f"/{n}": "A1" for n in range(1, 10)}
P1 = as_peer("p1")


def ready(*classes: ShareClass, status: Status = Status.ENROLLED):
    """Books with one person in this status who shares these classes with the hospital, and nothing waiting."""
    books = new_books()
    referral = bring(books, status)
    if classes:
        share(books, referral.person_id, *classes)
    books.shelf.waiting.clear()
    return books, books.referral(referral.id)


def pieces(books) -> list[str]:
    return [w.owed.piece.value for w in books.owed()]


def test_a_meeting_is_kept_with_our_own_keys_and_owed_in_an_order_a_chart_can_link():
    books, referral = ready(ShareClass.ATTENDANCE, ShareClass.SUMMARY)
    draft = a_meeting(books, referral, summary="  We met.  ")
    saved = steps.record_encounter(books.acting(P1), draft)
    assert saved.number.startswith("E-")
    assert (saved.referral_id, saved.engagement_id) == (referral.id, books.engagement_of(referral.id).id)
    assert (saved.summary, saved.working_note, saved.late) == ("We met.", "Only for us.", False)
    assert (saved.recorded_by, saved.recorded_at) == (P1.id, books.now())
    assert pieces(books) == ["encounter", "summary", "procedure"]
    assert {(w.owed.record_type, w.owed.record_id) for w in books.owed()} == {("encounter", saved.id)}


@pytest.mark.parametrize(
    ("granted", "owed"),
    [
        ((), []),
        ((ShareClass.SUMMARY,), ["summary"]),
        ((ShareClass.ATTENDANCE,), ["encounter", "procedure"]),
        ((ShareClass.SCORES, ShareClass.ITEM_LEVEL, ShareClass.EXISTENCE), []),
    ],
)
def test_only_what_is_granted_now_is_owed(granted, owed):
    books, referral = ready(*granted)
    steps.record_encounter(books.acting(P1), a_meeting(books, referral))
    assert pieces(books) == owed


@pytest.mark.parametrize(("summary", "between_us"), [(None, False), ("  ", False), ("We met.", True)])
def test_without_a_summary_or_kept_between_us_only_attendance_leaves(summary, between_us):
    books, referral = ready(ShareClass.ATTENDANCE, ShareClass.SUMMARY)
    draft = a_meeting(books, referral, summary=summary)
    saved = steps.record_encounter(books.acting(P1), draft, keep_between_us=between_us)
    assert saved.summary is None
    assert pieces(books) == ["encounter", "procedure"]


def test_the_first_meeting_moves_the_referral_and_its_status_goes_last():
    books, referral = ready(ShareClass.ATTENDANCE, status=Status.INTRO_SCHEDULED)
    steps.record_encounter(books.acting(P1), a_meeting(books, referral))
    assert books.referral(referral.id).status is Status.INTRO_DONE
    assert pieces(books) == ["encounter", "procedure", "status"]
    steps.record_encounter(books.acting(P1), a_meeting(books, referral))
    assert books.referral(referral.id).status is Status.INTRO_DONE
    assert pieces(books)[3:] == ["encounter", "procedure"]


def test_the_same_note_twice_is_once():
    books, referral = ready(ShareClass.ATTENDANCE)
    draft = a_meeting(books, referral, client_uuid="c-1")
    first = steps.record_encounter(books.acting(P1), draft)
    before = books.state()
    assert steps.record_encounter(books.acting(P1), replace(draft, summary="changed")) == first
    assert books.state() == before
    other = bring(books, Status.ENROLLED, a_person("", identifiers=(Identifier("urn:x", "2"),)), "task-2")
    with books.refused(AlreadyRecorded):
        steps.record_encounter(books.acting(P1), a_meeting(books, other, client_uuid="c-1"))


def test_a_peer_records_only_their_own_meetings_with_their_own_people():
    books, referral = ready()
    draft = a_meeting(books, referral)
    for actor in (as_peer("p2"), COORDINATOR, REQUESTER, as_person(referral.person_id)):
        with books.refused(WrongActor):
            steps.record_encounter(books.acting(actor), draft)
    with books.refused(WrongActor):
        steps.record_encounter(books.acting(as_peer("p2")), replace(draft, peer_id="p2"))
    with books.refused(NotFoundHere):
        steps.record_encounter(books.acting(P1), replace(draft, person_id="nobody"))


def test_a_chosen_peer_who_has_not_accepted_records_nothing():
    books, referral = ready(status=Status.MATCH_PROPOSED)
    with books.refused(WrongActor):
        steps.record_encounter(books.acting(P1), a_meeting(books, referral))


def test_a_referral_of_somebody_else_is_not_found():
    books, referral = ready()
    other = bring(books, Status.ENROLLED, a_person("", identifiers=(Identifier("urn:x", "2"),)), "task-2")
    with books.refused(NotFoundHere):
        steps.record_encounter(books.acting(P1), a_meeting(books, referral, referral_id=other.id))
    with books.refused(NotFoundHere):
        steps.record_outcome(books.acting(P1), answers_of(books, referral, ALL_ONES, referral_id=other.id))


def test_nothing_is_recorded_after_a_stop_or_an_end():
    books, referral = ready(ShareClass.ATTENDANCE)
    steps.close_engagement(books.acting(P1), referral.id, ClosingReason.GOALS_MET)
    for wanted in (None, referral.id):
        with books.refused(Closed):
            steps.record_encounter(books.acting(P1), a_meeting(books, referral, referral_id=wanted))
    with books.refused(Closed):
        steps.record_outcome(books.acting(P1), answers_of(books, referral, ALL_ONES))
    books, referral = ready(ShareClass.ATTENDANCE)
    steps.stop_sharing(books.acting(as_person(referral.person_id)), referral.person_id)
    with books.refused(SharingStopped):
        steps.record_encounter(books.acting(P1), a_meeting(books, referral))
    for actor in (P1, as_person(referral.person_id)):
        with books.refused(SharingStopped):
            steps.record_outcome(books.acting(actor), answers_of(books, referral, ALL_ONES))


def test_what_happens_during_a_pause_is_kept_and_not_owed():
    books, referral = ready(ShareClass.ATTENDANCE, ShareClass.SCORES)
    steps.pause(books.acting(P1), referral.id)
    books.shelf.waiting.clear()
    steps.record_encounter(books.acting(P1), a_meeting(books, referral))
    steps.record_outcome(books.acting(P1), answers_of(books, referral, ALL_ONES))
    assert books.owed() == []


def test_bad_times_and_long_texts_are_refused_with_their_field():
    books, referral = ready()
    for kind, change in (
        (BadTimes, {"minutes": 0}),
        (BadTimes, {"ended_at": books.now() + timedelta(hours=1)}),
        (TooLong, {"summary": "word " * 121}),
        (TooLong, {"working_note": "x" * 601}),
    ):
        with books.refused(kind):
            steps.record_encounter(books.acting(P1), a_meeting(books, referral, **change))


def test_a_note_of_last_week_is_accepted_and_labelled_late():
    books, referral = ready()
    ended = books.now() - timedelta(days=7)
    draft = a_meeting(books, referral, started_at=ended - timedelta(hours=1), ended_at=ended)
    assert steps.record_encounter(books.acting(P1), draft).late is True


def test_a_warm_line_call_is_for_any_peer_and_moves_nothing():
    books, referral = ready(ShareClass.ATTENDANCE, status=Status.CONTACT_MADE)
    call = a_meeting(books, referral, service=ServiceType.WARM_LINE, modality=Modality.PHONE, peer_id="p2")
    saved = steps.record_encounter(books.acting(as_peer("p2")), call)
    assert saved.referral_id == referral.id
    assert books.referral(referral.id).status is Status.CONTACT_MADE
    assert pieces(books) == ["encounter", "procedure"]


def test_a_call_after_everything_has_ended_stays_local():
    books, referral = ready(ShareClass.ATTENDANCE)
    steps.close_engagement(books.acting(P1), referral.id, ClosingReason.GOALS_MET)
    books.shelf.waiting.clear()
    call = a_meeting(books, referral, service=ServiceType.WARM_LINE, peer_id="p2")
    assert steps.record_encounter(books.acting(as_peer("p2")), call).referral_id is None
    assert books.owed() == []


def test_a_worry_raises_one_event():
    books, referral = ready()
    draft = a_meeting(books, referral, worry=True, client_uuid="c-1")
    saved = steps.record_encounter(books.acting(P1), draft)
    steps.record_encounter(books.acting(P1), draft)
    (event,) = books.shelf.records["safety"].values()
    assert (event.source, event.level, event.state) == (f"encounter:{saved.id}", "urgent", "raised")


# -- groups


def gathering(*granted: ShareClass):
    """Three people of peer p1, and the group session of peer p2 with them."""
    books = new_books()
    ids = []
    for n, (given, family) in enumerate((("Amaru", "Quill"), ("Bettina", "Rook"), ("Caspian", "Swift"))):
        person = a_person("", given=given, family=family, identifiers=(Identifier("urn:x", str(n)),))
        referral = bring(books, Status.ENROLLED, person, f"task-{n}")
        share(books, referral.person_id, *granted)
        ids.append(referral.person_id)
    books.shelf.waiting.clear()
    session = GroupSession(
        "session-1",
        "",
        "p2",
        "Sleeping better",
        ServiceType.GROUP_FACILITATED,
        Modality.VIDEO,
        books.now() - timedelta(hours=2),
        books.now() - timedelta(hours=1),
        "The group spoke about sleep.",
        tuple(ids),
        working_note="Bettina was quiet.",
    )
    return books, session


def test_a_group_becomes_separate_records_without_a_shared_key():
    books, session = gathering(ShareClass.ATTENDANCE, ShareClass.SUMMARY)
    records = steps.record_group(books.acting(as_peer("p2")), session)
    assert [r.person_id for r in records] == list(session.attendees)
    assert len({r.number for r in records}) == len({r.id for r in records}) == 3
    assert all(r.referral_id and r.engagement_id for r in records)
    for record in records:
        others = {r.number for r in records} | {r.id for r in records} | set(session.attendees)
        others -= {record.number, record.id, record.person_id}
        text = repr(replace(record, group_id=None))
        assert not any(other in text for other in others)
        assert "Bettina was quiet" not in text
    assert pieces(books) == ["encounter", "summary", "procedure"] * 3
    (kept,) = books.shelf.records["group"].values()
    assert kept.working_note == "Bettina was quiet."


def test_numbers_of_a_group_are_not_neighbours():
    books, session = gathering()
    numbers = [r.number.removeprefix("E-") for r in steps.record_group(books.acting(as_peer("p2")), session)]
    values = sorted(int(n.replace("-", ""), 16) for n in numbers)
    assert min(b - a for a, b in itertools.pairwise(values)) > 1_000_000


def test_the_same_session_twice_is_once():
    books, session = gathering(ShareClass.ATTENDANCE)
    first = steps.record_group(books.acting(as_peer("p2")), session)
    before = books.state()
    assert steps.record_group(books.acting(as_peer("p2")), session) == first
    assert books.state() == before
    late = bring(books, Status.ENROLLED, a_person("", identifiers=(Identifier("urn:x", "9"),)), "task-9")
    with books.refused(AlreadyRecorded):
        steps.record_group(
            books.acting(as_peer("p2")), replace(session, attendees=(*session.attendees, late.person_id))
        )


def test_a_group_refuses_names_strangers_and_people_who_stopped():
    books, session = gathering()
    facilitator = books.acting(as_peer("p2"))
    with books.refused(WrongActor):
        steps.record_group(books.acting(P1), session)
    for change in ({"summary": "Bettina spoke of sleep."}, {"topic": "With the Rooks and a Swift"}):
        with books.refused(NamesSomeone):
            steps.record_group(facilitator, replace(session, **change))
    with books.refused(TooLong):
        steps.record_group(facilitator, replace(session, summary="word " * 121))
    with books.refused(BadTimes):
        steps.record_group(facilitator, replace(session, ended_at=session.started_at))
    with books.refused(NotFoundHere):
        steps.record_group(facilitator, replace(session, attendees=("nobody",)))
    for attendees in ((), (session.attendees[0],) * 2):
        with books.refused(AlreadyRecorded):
            steps.record_group(facilitator, replace(session, attendees=attendees))
    second = session.attendees[1]
    steps.stop_sharing(books.acting(as_person(second)), second)
    with pytest.raises(SharingStopped) as caught:
        steps.record_group(facilitator, session)
    assert caught.value.field == "attendees.1"


# -- questionnaires


def test_a_questionnaire_is_scored_kept_and_owed_in_order():
    books, referral = ready(ShareClass.SCORES, ShareClass.ITEM_LEVEL)
    saved = steps.record_outcome(books.acting(P1), answers_of(books, referral, ALL_ONES))
    assert (saved.number, saved.total, saved.band_code, saved.absent_reason) == ("QR-000001", 9, "band-5", None)
    assert (saved.referral_id, saved.engagement_id) == (referral.id, books.engagement_of(referral.id).id)
    assert pieces(books) == ["response", *["item"] * 9, "total", "panel"]
    assert [w.owed.detail for w in books.owed(Piece.ITEM)] == [f"/{n}" for n in range(1, 10)]


def test_item_answers_stay_when_only_scores_are_granted():
    books, referral = ready(ShareClass.SCORES)
    steps.record_outcome(books.acting(P1), answers_of(books, referral, ALL_ONES))
    assert pieces(books) == ["total", "panel"]


def test_only_answered_items_are_owed_and_a_declined_one_keeps_its_reason():
    books, referral = ready(ShareClass.ITEM_LEVEL)
    given = ALL_ONES | {"/1": "asked-declined", "/2": "", "/3": " A2 "}
    saved = steps.record_outcome(books.acting(P1), answers_of(books, referral, given))
    assert saved.absent == {"/1": "asked-declined"}
    assert "/1" not in saved.answers
    assert saved.answers["/3"] == "A2"
    assert len(books.owed(Piece.ITEM)) == 7


def test_a_total_that_cannot_be_made_is_owed_with_its_reason():
    books, referral = ready(ShareClass.SCORES)
    saved = steps.record_outcome(books.acting(P1), answers_of(books, referral, {"/1": "A1"}))
    assert (saved.total, saved.absent_reason, saved.band_code) == (None, "too-many-missing", None)
    assert pieces(books) == ["total", "panel"]


def test_a_bad_answer_keeps_nothing():
    books, referral = ready(ShareClass.SCORES)
    for bad in ({"/1": "LA33-6"}, {"/44261-6": "A1"}):
        with books.refused(BadAnswer):
            steps.record_outcome(books.acting(P1), answers_of(books, referral, ALL_ONES | bad))
    with books.refused(BadTimes):
        later = books.now() + timedelta(hours=1)
        steps.record_outcome(books.acting(P1), answers_of(books, referral, ALL_ONES, answered_at=later))
    with books.refused(NotFoundHere):
        steps.record_outcome(books.acting(P1), answers_of(books, referral, ALL_ONES, instrument_id="other"))


@pytest.mark.parametrize(
    ("answer", "safe_now", "level"),
    [
        ("A0", None, None),
        ("A1", None, "urgent"),
        ("A1", "yes", "urgent"),
        ("A1", "unsure", "stat"),
        ("A1", "no", "stat"),
        ("A2", "yes", "stat"),
        ("A3", None, "stat"),
    ],
)
def test_a_sentinel_answer_raises_an_event_that_can_only_be_raised(answer, safe_now, level):
    books, referral = ready()
    draft = answers_of(books, referral, ALL_ONES | {"/9": answer})
    saved = steps.record_outcome(books.acting(P1), draft, safe_now=safe_now)
    events = list(books.shelf.records.get("safety", {}).values())
    assert [e.level for e in events] == ([] if level is None else [level])
    assert all((e.source, e.state) == (f"outcome:{saved.id}", "raised") for e in events)


def test_a_blank_sentinel_beside_a_total_is_an_event_too():
    books, referral = ready()
    given = {link: code for link, code in ALL_ONES.items() if link != "/9"}
    saved = steps.record_outcome(books.acting(P1), answers_of(books, referral, given))
    assert saved.sentinel == "unknown"
    (event,) = books.shelf.records["safety"].values()
    assert event.state == "sentinel-unknown"


@pytest.mark.parametrize("how", ["client_uuid", "time", "id"])
def test_the_same_submission_twice_is_one_result_and_one_event(how):
    books, referral = ready(ShareClass.SCORES)
    same = {"client_uuid": "f-1"} if how == "client_uuid" else {"id": "o-1"} if how == "id" else {}
    draft = answers_of(books, referral, ALL_ONES, **same)
    first = steps.record_outcome(books.acting(P1), draft)
    before = books.state()
    if how != "time":
        books.later(minutes=3)
        draft = replace(draft, answered_at=books.now())
    assert steps.record_outcome(books.acting(P1), draft) == first
    assert books.state() == before


def test_a_stop_does_not_close_an_open_safety_event():
    books, referral = ready()
    steps.record_outcome(books.acting(P1), answers_of(books, referral, ALL_ONES))
    steps.stop_sharing(books.acting(as_person(referral.person_id)), referral.person_id)
    (event,) = books.shelf.records["safety"].values()
    assert event.state == "raised"


def test_a_person_answers_for_themselves_and_a_stranger_for_nobody():
    books, referral = ready(ShareClass.SCORES)
    draft = answers_of(books, referral, ALL_ONES)
    for stranger in (as_peer("p2"), COORDINATOR, REQUESTER, as_person("other")):
        with books.refused(WrongActor):
            steps.record_outcome(books.acting(stranger), draft)
    saved = steps.record_outcome(books.acting(as_person(referral.person_id)), draft)
    assert saved.referral_id == referral.id
    steps.close_engagement(books.acting(P1), referral.id, ClosingReason.GOALS_MET)
    books.shelf.waiting.clear()
    alone = answers_of(books, referral, ALL_ONES | {"/1": "A2"})
    assert steps.record_outcome(books.acting(as_person(referral.person_id)), alone).referral_id is None
    assert books.owed() == []
