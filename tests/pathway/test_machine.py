"""Random lives of referrals: whatever anybody does in whatever order, the promises hold."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from peerfhir.pathway import steps
from peerfhir.pathway.encounter import GroupSession
from peerfhir.pathway.people import Actor, Identifier
from peerfhir.pathway.referral import NEEDS_STATUS_REASON, Event, Referral, is_open
from peerfhir.pathway.refusals import Refusal
from peerfhir.pathway.transitions import FINAL, TASK_ENDS, TASK_MOVES, TRANSITIONS
from peerfhir.pathway.vocabulary import (
    SHARE_CLASS_OF,
    ClosingReason,
    CompleteOn,
    ContactOutcome,
    DeclineReason,
    Modality,
    Piece,
    Recipient,
    Role,
    ServiceType,
    ShareClass,
    Stage,
    Status,
    TaskStatus,
)
from tests.support.books import (
    COORDINATOR,
    GATEWAY,
    OTHER_REQUESTER,
    REQUESTER,
    a_meeting,
    a_person,
    an_order,
    answers_of,
    as_peer,
    as_person,
    new_books,
    staff,
)

SEED = 20261126
_CLASSES = list(ShareClass)

# every change of status that some row of the table gives, and the compound steps
_MOVES = {(source, transition.to) for (source, _), transition in TRANSITIONS.items() if transition.to is not None}
_COMPOUND = {
    (Status.TRIAGE, Status.MATCH_PROPOSED),  # matching and proposing in one step
    (Status.WAITLISTED, Status.MATCH_PROPOSED),
    (Status.PAUSED, Status.ENROLLED),  # a paused episode is closed
}
_HIDDEN_BEFORE_CHOICE = set(Status) - {
    Status.RECEIVED,
    Status.TRIAGE,
    Status.INFO_NEEDED,
    Status.WAITLISTED,
    Status.DECLINED_PROGRAM,
    Status.WITHDRAWN_REFERRER,
    Status.IN_CONTACT,
    Status.CLOSED,
    Status.ENTERED_IN_ERROR,
}


class Life:
    """Books in which things happen, and the promises that are checked after each of them."""

    def __init__(self, complete_on: CompleteOn) -> None:
        self.books = new_books(complete_on, peers=3)
        self.people = [
            a_person("", given=f"Given{n}", family=f"Family{n}", identifiers=(Identifier("urn:x", str(n)),))
            for n in range(2)
        ]
        self.orders = 0
        self.done: Counter[str] = Counter()
        self._seen_saves = len(self.books.shelf.saves)
        self._seen_waiting = 0
        self._stopped: set[str] = set()

    # -- who and what

    def referrals(self) -> list[Referral]:
        return list(self.books.shelf.records.get("referral", {}).values())

    def actor(self, role: Role, referral: Referral, *, honest: bool, n: int) -> Actor:
        """Somebody of this role; an honest one is whose referral it is."""
        own = {
            Role.PEER: as_peer(referral.peer_id or "p1"),
            Role.PERSON: as_person(referral.person_id),
            Role.REQUESTER: REQUESTER,
            Role.GATEWAY: GATEWAY,
        }
        anybody = [as_peer(f"p{n % 3 + 1}"), as_person("stranger"), OTHER_REQUESTER, COORDINATOR, GATEWAY, REQUESTER]
        anybody += [staff(Role.ENGINEER), staff(program_id="elsewhere")]
        return own.get(role, COORDINATOR) if honest else anybody[n % len(anybody)]

    def happen(self, name: str, *, honest: bool, n: int) -> None:
        """One thing is tried; then every promise is checked."""
        self.books.later(minutes=1 + n % 90)
        if name == "arrive":
            self.orders += 1
            who = self.people[n % 2]
            self._attempt(name, lambda: steps.receive_referral(self.books, who, an_order(f"task-{self.orders}")))
            return
        known = self.referrals()
        if known:
            referral = known[n % len(known)] if n % 3 == 0 else known[-1]
            role, act = STEPS[name]
            books = self.books.acting(self.actor(role, referral, honest=honest, n=n))
            self._attempt(name, lambda: act(books, referral, n), stop_of=referral.person_id)

    def _attempt(self, name: str, act: Callable[[], Any], stop_of: str | None = None) -> None:
        before = self.books.state()
        open_before = [r for r in self.referrals() if r.person_id == stop_of and is_open(r) and _listens(r)]
        try:
            act()
        except Refusal:
            assert self.books.state() == before, f"{name} was refused and has saved something"
            return
        self.done[name] += 1
        self._check_saves()
        self._check_owed()
        if name == "stop" and self.books.person(stop_of or "").sharing_stopped_at == self.books.now():
            self._check_stop(stop_of or "", open_before)
        self._check_stopped()

    # -- the promises

    def _check_saves(self) -> None:
        saves = self.books.shelf.saves
        for kind, before, after in saves[self._seen_saves :]:
            if kind == "referral" and before is not None:
                self._check_move(before, after)
            if kind in ("encounter", "outcome"):
                assert self.books.person(after.person_id).sharing_stopped_at is None, "recorded after a stop"
        self._seen_saves = len(saves)

    def _check_move(self, before: Referral, after: Referral) -> None:
        pair = (before.status, after.status)
        resumed = before.status in (Status.PAUSED, Status.INFO_NEEDED) and after.status in (
            before.before_pause,
            before.before_question,
        )
        bridged = after.status is Status.TRIAGE and after.task_status is TaskStatus.ACCEPTED
        assert before.status is after.status or pair in _MOVES | _COMPOUND or resumed or bridged, pair
        assert before.status not in FINAL or after.status in (before.status, Status.ENTERED_IN_ERROR)
        old, new = before.task_status, after.task_status
        assert old is new or new in TASK_MOVES.get(old, frozenset()) or new in TASK_ENDS, (old, new)
        assert old not in TASK_ENDS or new in (old, TaskStatus.ENTERED_IN_ERROR)
        told, tells = before.told, after.told
        assert told is not None
        assert tells is not None
        assert (
            told.task_status is tells.task_status
            or tells.task_status in TASK_MOVES.get(told.task_status, frozenset())
            or tells.task_status is TaskStatus.ENTERED_IN_ERROR
        ), (told, tells)
        assert tells.reason or tells.task_status not in NEEDS_STATUS_REASON
        person = self.books.person(after.person_id)
        chosen = person.sharing_chosen_at is not None and person.sharing_stopped_at is None
        if not chosen and told != tells and told.task_status is not TaskStatus.COMPLETED:
            assert tells.status not in _HIDDEN_BEFORE_CHOICE

    def _check_owed(self) -> None:
        """Nothing is owed without a grant that holds at that instant, read off the ledger line by line."""
        for waiting in self.books.shelf.waiting[self._seen_waiting :]:
            if waiting.owed.piece is Piece.STATUS:
                continue
            lines = [
                g
                for g in self.books.grants_of(waiting.owed.person_id)
                if g.recipient is Recipient.HOSPITAL
                and g.share_class is SHARE_CLASS_OF[waiting.owed.piece]
                and g.granted_at <= waiting.at
                and g.ended_at is None
            ]
            assert lines, waiting.owed.piece
            assert waiting.referral.engagement_status != "onhold"
        self._seen_waiting = len(self.books.shelf.waiting)

    def _check_stop(self, person_id: str, open_before: list[Referral]) -> None:
        now = self.books.now()
        fresh = [w for w in self.books.owed() if w.owed.person_id == person_id and w.at == now]
        assert sorted(w.owed.referral_id for w in fresh) == sorted(r.id for r in open_before)
        for waiting in fresh:
            told = waiting.referral.told
            assert told is not None
            assert (told.status, told.reason) == (Status.CLOSED, "Referral closed.")
        assert all(g.ended_at is not None for g in self.books.grants_of(person_id))
        self._stopped.add(person_id)

    def _check_stopped(self) -> None:
        for person_id in self._stopped:
            if self.books.person(person_id).sharing_stopped_at is None:
                continue  # they have started again
            waiting = {w.owed.piece for w in self.books.owed() if w.owed.person_id == person_id}
            assert waiting <= {Piece.STATUS}


def _listens(referral: Referral) -> bool:
    """Its party has not yet heard, or said, the last word about it."""
    ended = TASK_ENDS - {TaskStatus.COMPLETED}
    return referral.told is None or referral.told.task_status not in ended


def _answers(n: int) -> dict[str, str]:
    """Some blanks, and now and then an answer that nobody offers."""
    codes = {f"/{i}": f"A{(n // i) % 4}" for i in range(1, 10) if (n + i) % 7}
    return codes | ({"/3": "A9"} if n % 11 == 0 else {})


def _group(books: Any, referral: Referral, n: int) -> GroupSession:
    attendees = tuple({r.person_id for r in books.shelf.records["referral"].values()})
    ended = books.now() - timedelta(minutes=5)
    words = "We spoke about sleep." if n % 4 else "Given0 spoke."
    service, how = ServiceType.GROUP_FACILITATED, Modality.VIDEO
    begun = ended - timedelta(minutes=50)
    return GroupSession("", "", f"p{n % 3 + 1}", "Sleep", service, how, begun, ended, words, attendees)


def _choices(n: int) -> dict[Recipient, frozenset[ShareClass]]:
    return {Recipient.HOSPITAL: frozenset(c for i, c in enumerate(_CLASSES) if n >> i & 1)}


def _peer_of(referral: Referral, n: int) -> str | None:
    return referral.proposals[n % len(referral.proposals)].peer_id if referral.proposals and n % 5 else None


def _by(role: Role, act: Callable[[Any, Referral, int], Any]) -> tuple[Role, Callable[[Any, Referral, int], Any]]:
    return role, act


_OUTCOMES = list(ContactOutcome)
STEPS: dict[str, tuple[Role, Callable[[Any, Referral, int], Any]]] = {
    "triage": _by(Role.COORDINATOR, lambda b, r, n: steps.start_triage(b, r.id)),
    "question": _by(Role.COORDINATOR, lambda b, r, n: steps.ask_question(b, r.id, "Which unit?" if n % 9 else " ")),
    "waitlist": _by(Role.COORDINATOR, lambda b, r, n: steps.waitlist(b, r.id)),
    "propose": _by(Role.COORDINATOR, lambda b, r, n: steps.propose_peers(b, r.id)),
    "choose peer": _by(Role.PERSON, lambda b, r, n: steps.choose_peer(b, r.id, _peer_of(r, n))),
    "accept": _by(Role.PEER, lambda b, r, n: steps.accept_person(b, r.id)),
    "not me": _by(Role.PEER, lambda b, r, n: steps.not_me(b, r.id, knows=n % 5 == 0)),
    "change peer": _by(Role.PERSON, lambda b, r, n: steps.change_peer(b, r.id, knows=n % 5 == 0)),
    "contact": _by(
        Role.PEER, lambda b, r, n: steps.log_contact(b, r.id, Modality.PHONE, _OUTCOMES[n % len(_OUTCOMES)])
    ),
    "book": _by(Role.PEER, lambda b, r, n: steps.book_meeting(b, r.id, b.now() + timedelta(hours=n % 50))),
    "move": _by(Role.PEER, lambda b, r, n: steps.cancel_meeting(b, r.id)),
    "miss": _by(Role.PEER, lambda b, r, n: steps.miss_meeting(b, r.id)),
    "meet": _by(
        Role.PEER,
        lambda b, r, n: steps.record_encounter(
            b, a_meeting(b, r, worry=n % 7 == 0, minutes=n % 45), keep_between_us=n % 4 == 0
        ),
    ),
    "group": _by(Role.PEER, lambda b, r, n: steps.record_group(b, replace(_group(b, r, n), peer_id=b.actor.peer_id))),
    "answers": _by(
        Role.PEER, lambda b, r, n: steps.record_outcome(b, answers_of(b, r, _answers(n)), safe_now=("no", None)[n % 2])
    ),
    "own answers": _by(Role.PERSON, lambda b, r, n: steps.record_outcome(b, answers_of(b, r, _answers(n)))),
    "decide": _by(Role.PEER, lambda b, r, n: steps.leave_to_decide(b, r.id)),
    "enrol": _by(Role.PEER, lambda b, r, n: steps.enrol(b, r.id)),
    "stage": _by(Role.PEER, lambda b, r, n: steps.enter_stage(b, r.id, list(Stage)[n % len(Stage)])),
    "pause": _by(Role.PERSON, lambda b, r, n: steps.pause(b, r.id)),
    "resume": _by(Role.PERSON, lambda b, r, n: steps.resume(b, r.id)),
    "answered": _by(Role.COORDINATOR, lambda b, r, n: steps.resume(b, r.id)),
    "redirect": _by(Role.COORDINATOR, lambda b, r, n: steps.redirect(b, r.id, "The day center")),
    "decline": _by(Role.COORDINATOR, lambda b, r, n: steps.decline(b, r.id, DeclineReason.NO_CAPACITY, "Full.")),
    "person declines": _by(Role.PERSON, lambda b, r, n: steps.decline_by_person(b, r.id)),
    "give up": _by(Role.COORDINATOR, lambda b, r, n: steps.give_up(b, r.id, "The number is off." if n % 3 else None)),
    "transfer": _by(Role.COORDINATOR, lambda b, r, n: steps.transfer(b, r.id, "Clinical care")),
    "withdraw": _by(Role.REQUESTER, lambda b, r, n: steps.withdraw_by_requester(b, r.id, "Moved.")),
    "mistake": _by(Role.REQUESTER, lambda b, r, n: steps.mark_mistake(b, r.id)),
    "close": _by(Role.PEER, lambda b, r, n: steps.close_engagement(b, r.id, ClosingReason.GOALS_MET)),
    "share": _by(Role.PERSON, lambda b, r, n: steps.choose_sharing(b, r.person_id, _choices(n))),
    "stop": _by(Role.PERSON, lambda b, r, n: steps.stop_sharing(b, r.person_id)),
}
_USUAL = ("triage", "propose", "choose peer", "accept", "contact", "book", "meet", "enrol")
_RARE = ("redirect", "decline", "person declines", "transfer", "withdraw", "mistake", "close", "stop", "give up")
_WEIGHTED = ["arrive", *STEPS, *_USUAL * 4, *(name for name in STEPS if name not in _RARE), "share", "share"]


class RandomLives(RuleBasedStateMachine):
    """Hypothesis chooses what happens, and shortens the story when a promise breaks."""

    @initialize(complete_on=st.sampled_from(list(CompleteOn)))
    def begin(self, complete_on: CompleteOn) -> None:
        self.life = Life(complete_on)
        self.life.happen("arrive", honest=True, n=0)

    @rule(name=st.sampled_from(_WEIGHTED), honest=st.sampled_from([True, True, True, False]), n=st.integers(0, 10_000))
    def something_happens(self, name: str, honest: bool, n: int) -> None:
        self.life.happen(name, honest=honest, n=n)


RandomLives.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestRandomLives = RandomLives.TestCase


@pytest.mark.parametrize("complete_on", list(CompleteOn))
def test_ten_thousand_random_lives_keep_every_promise(complete_on):
    """A third of them for each way of completing; the usual way is walked often enough to reach every step."""
    rng = random.Random(f"{SEED}-{complete_on}")
    print("seed", SEED, complete_on)
    done: Counter[str] = Counter()
    ended: Counter[Status] = Counter()
    for _ in range(3_334):
        life = Life(complete_on)
        life.happen("arrive", honest=True, n=rng.randrange(1000))
        for at in range(rng.randint(4, 22)):
            usual = _USUAL[at] if at < len(_USUAL) and rng.random() < 0.8 else rng.choice(_WEIGHTED)
            life.happen(usual, honest=rng.random() < 0.85, n=rng.randrange(10_000))
        done += life.done
        ended.update(r.status for r in life.referrals())
    assert {name for name in ("arrive", *STEPS) if done[name] < 5} == set(), "a step that hardly ever succeeded"
    assert set(FINAL) <= set(ended)


def test_every_event_of_the_table_has_a_step_that_makes_it():
    made = {
        Event.RECEIVE, Event.START_TRIAGE, Event.ASK_QUESTION, Event.WAITLIST, Event.START_MATCHING, Event.PROPOSE,
        Event.ASSIGN, Event.REACH_OUT, Event.MAKE_CONTACT, Event.BOOK, Event.MISS, Event.MOVE, Event.MEET,
        Event.DECIDE, Event.ENROL, Event.PAUSE, Event.RESUME, Event.REDIRECT, Event.DECLINE_PROGRAM,
        Event.DECLINE_PERSON, Event.GIVE_UP, Event.WITHDRAW_REFERRER, Event.WITHDRAW_PERSON, Event.TRANSFER,
        Event.MISTAKE,
    }  # fmt: skip
    assert made == set(Event) == {event for _, event in TRANSITIONS}
