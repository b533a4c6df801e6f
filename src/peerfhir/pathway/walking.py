"""Walking alongside: enrolment, stages, pauses and the end."""

from __future__ import annotations

from dataclasses import replace

from peerfhir.pathway.engagement import Engagement, StageEvent
from peerfhir.pathway.keeping import keep, lighten, release_peer
from peerfhir.pathway.ports import Books
from peerfhir.pathway.referral import Event, Referral, is_ended, is_theirs, move
from peerfhir.pathway.refusals import AlreadyRecorded, Closed, IllegalTransition, WrongActor
from peerfhir.pathway.sharing import end_engagement
from peerfhir.pathway.transitions import STAFF
from peerfhir.pathway.vocabulary import ClosingReason, CompleteOn, Role, Stage, Status, TaskStatus


def enrol(books: Books, referral_id: str) -> Engagement:
    """The person and the peer decide to work together: the engagement starts, in stage connect.

    When the program says `complete_on: enrolled`, this completes the Task; nothing moves it after that.
    """
    referral = books.referral(referral_id)
    now = books.now()
    after = move(referral, Event.ENROL, books.actor, books.program, now)
    person = books.person(referral.person_id)
    engagement = books.save_engagement(
        Engagement(
            id=books.new_id(),
            program_id=books.program.id,
            referral_id=referral.id,
            person_id=referral.person_id,
            peer_id=after.peer_id or "",  # ENROL is the peer's own act, so there is one
            number=books.next_number("EP"),
            started_at=now,
            stages=(StageEvent(Stage.CONNECT, now, books.actor.id),),
        )
    )
    lighten(books, referral)
    keep(books, person, replace(after, engagement_status=engagement.status))
    return engagement


def enter_stage(books: Books, referral_id: str, stage: Stage) -> Engagement:
    """Note that a stage was entered. Stages are a log: any of them may be entered again, in any order.

    Raises  WrongActor, Closed, AlreadyRecorded when they are in it
    """
    referral = books.referral(referral_id)
    engagement = _running(books, referral)
    if books.actor.role is not Role.PEER or not is_theirs(referral, books.actor):
        raise WrongActor
    if engagement.stages and engagement.stages[-1].stage is stage:
        raise AlreadyRecorded(field="stage")
    event = StageEvent(stage, books.now(), books.actor.id)
    return books.save_engagement(replace(engagement, stages=(*engagement.stages, event)))


def _running(books: Books, referral: Referral) -> Engagement:
    engagement = books.engagement_of(referral.id)
    if engagement is None:
        raise IllegalTransition
    if engagement.status == "finished":
        raise Closed
    return engagement


def pause(books: Books, referral_id: str, sentence: str | None = None) -> Referral:
    """Hold everything; nothing but status goes out, and not who asked. After completion only the engagement is held."""
    referral = books.referral(referral_id)
    if not _goes_on(referral):
        after = move(referral, Event.PAUSE, books.actor, books.program, books.now(), reason=sentence)
        return _hold(books, after, "onhold")
    _check_either(books, referral)
    if _running(books, referral).status == "onhold":
        raise IllegalTransition
    return _hold(books, referral, "onhold")


def resume(books: Books, referral_id: str) -> Referral:
    """Go on from a pause, or from a question that was answered, where it was."""
    referral = books.referral(referral_id)
    if not _goes_on(referral):
        after = move(referral, Event.RESUME, books.actor, books.program, books.now())
        return _hold(books, after, "active")
    _check_either(books, referral)
    if _running(books, referral).status != "onhold":
        raise IllegalTransition
    return _hold(books, referral, "active")


def _goes_on(referral: Referral) -> bool:
    """The Task is completed and the engagement is what can still be paused or ended."""
    return referral.status is Status.ENROLLED and is_ended(referral)


def _check_either(books: Books, referral: Referral) -> None:
    if books.actor.role not in (Role.PEER, Role.PERSON) or not is_theirs(referral, books.actor):
        raise WrongActor


def _hold(books: Books, referral: Referral, status: str) -> Referral:
    person = books.person(referral.person_id)
    engagement = books.engagement_of(referral.id)
    if engagement is not None and engagement.status != "finished":
        books.save_engagement(replace(engagement, status=status))
        referral = replace(referral, engagement_status=status)
    return keep(books, person, referral)


def close_engagement(books: Books, referral_id: str, reason: ClosingReason) -> Engagement:
    """End walking together, with a reason that stays in the program.

    When the program says `complete_on: episode-closed`, this completes the Task.
    Raises  WrongActor, Closed, IllegalTransition when there is no engagement yet
    """
    referral = books.referral(referral_id)
    running = _running(books, referral)
    if books.actor.role not in STAFF:
        _check_either(books, referral)
    person, now = books.person(referral.person_id), books.now()
    after = replace(referral, closed_at=now)
    if books.program.complete_on is CompleteOn.EPISODE_CLOSED and referral.task_status is not TaskStatus.COMPLETED:
        after = replace(
            after,
            status=Status.ENROLLED,
            before_pause=None,
            task_status=TaskStatus.COMPLETED,
            completed_at=now,
            completed_as=Status.CLOSED,
        )
    release_peer(books, referral)
    keep(books, person, end_engagement(books, after, reason))
    return books.engagement_of(referral_id) or running
