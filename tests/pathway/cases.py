"""Referrals that stand somewhere, and the actors whose they are."""

from __future__ import annotations

from dataclasses import replace

from peerfhir.pathway.people import Actor
from peerfhir.pathway.referral import ContactAttempt, Referral
from peerfhir.pathway.transitions import task_status_of
from peerfhir.pathway.vocabulary import CompleteOn, ContactOutcome, Role, Status, TaskStatus
from tests.support.books import HOSPITAL, START, an_order


def actor_of(role: Role) -> Actor:
    """The actor of this role whose referral it is."""
    return Actor("a", role, "riverside", peer_id="p1", person_id="x", source=HOSPITAL)


def standing(status: Status, task: TaskStatus | None = None) -> Referral:
    """A referral of person x and peer p1 in this status, with enough attempts to give up."""
    before = {Status.INFO_NEEDED: Status.MATCHING, Status.PAUSED: Status.OUTREACH}.get(status)
    attempts = tuple(ContactAttempt(START, "a", "phone", ContactOutcome.NO_ANSWER) for _ in range(3))
    wanted = task or task_status_of(status, CompleteOn.ENROLLED, TaskStatus.ACCEPTED)
    if status in (Status.SENT, Status.RECEIVED, Status.TRIAGE):
        wanted = TaskStatus.REQUESTED
    return replace(
        an_order(),
        id="r",
        person_id="x",
        peer_id="p1",
        status=status,
        task_status=wanted,
        before_pause=before,
        before_question=before,
        attempts=attempts,
    )
