"""What the hospital will see of a note, exactly, beside what stays."""

from __future__ import annotations

from dataclasses import dataclass

from peerfhir.adapters.words import signed
from peerfhir.pathway.consent import may_share
from peerfhir.pathway.encounter import Encounter
from peerfhir.pathway.people import Person
from peerfhir.pathway.referral import Referral, is_paused
from peerfhir.pathway.vocabulary import Piece, Recipient, ShareClass
from peerfhir.portal.desk import Desk
from peerfhir.records.work import Work


@dataclass(frozen=True)
class Part:
    """A heading and its text; `exact` is a text that goes out word for word."""

    title: str
    text: str
    exact: bool = False


@dataclass(frozen=True)
class Preview:
    """The two sides."""

    goes: tuple[Part, ...]
    nothing: str  # why nothing goes out, when nothing does
    stays: tuple[Part, ...]


def preview_of(
    desk: Desk, work: Work, person: Person, referral: Referral, draft: Encounter, summary: str, *,
    keep: bool, drafted: bool,
) -> Preview:  # fmt: skip
    """Both sides of a note that is not saved yet, by the same question that is asked when it is.

    drafted  the summary was written from the taps, so that what was tapped is in it
    """
    allowed = _allowed(work, person, referral)
    met = ShareClass.ATTENDANCE in allowed
    told = ShareClass.SUMMARY in allowed and not keep and bool(summary)
    named = ShareClass.CARE_TEAM_CONTACT in allowed and (met or told)
    peer = work.peer(draft.peer_id)
    say = desk.words.say
    goes: list[Part] = []
    if met:
        goes.append(Part(say("preview.met"), _met(desk, draft)))
    if named:
        goes.append(Part(say("preview.who"), f"{peer.display}, {peer.title}"))
    if told:
        text = summary + signed(peer if named else None)
        goes.append(Part(say("preview.summary"), text, exact=True))
    nothing = "" if goes else _why_nothing(desk, work, person, referral)
    return Preview(
        tuple(goes), nothing, _stays(desk, person, draft, summary, met, told, named, keep, drafted, peer.display)
    )


def _allowed(work: Work, person: Person, referral: Referral) -> set[ShareClass]:
    recipient: Recipient | None = work.recipient_of(referral)
    grants = work.grants_of(person.id)
    asked = {
        ShareClass.ATTENDANCE: Piece.ENCOUNTER,
        ShareClass.SUMMARY: Piece.SUMMARY,
        ShareClass.CARE_TEAM_CONTACT: Piece.ENCOUNTER,
    }
    stopped = person.sharing_stopped_at is not None
    return {
        share
        for share, piece in asked.items()
        if may_share(
            grants, recipient, share, work.now(), person_stopped=stopped, is_origin=True, piece=piece,
            paused=is_paused(referral),
        ).permit
    }  # fmt: skip


def _met(desk: Desk, draft: Encounter) -> str:
    say, calendar = desk.words.say, desk.calendar(draft.program_id)
    lines = (
        say(
            "preview.met_text",
            when=calendar.day(calendar.local(draft.started_at).date()),
            start=calendar.time(draft.started_at),
            end=calendar.time(draft.ended_at),
            how=say(f"modality.{draft.modality}"),
        ),
        say("person.minutes", count=draft.minutes),
        say("preview.service", service=say(f"service.{draft.service}")),
    )
    return "\n".join(lines)


def _why_nothing(desk: Desk, work: Work, person: Person, referral: Referral) -> str:
    if work.recipient_of(referral) is None:
        return desk.words.say("preview.no_endpoint", given=person.given)
    return desk.words.say("preview.not_chosen", given=person.given) if person.sharing_chosen_at is None else ""


def _stays(
    desk: Desk, person: Person, draft: Encounter, summary: str, met: bool, told: bool, named: bool, keep: bool,
    drafted: bool, peer: str,
) -> tuple[Part, ...]:  # fmt: skip
    words = desk.words
    say = words.say
    parts = [
        Part(say("note.working"), draft.working_note or say("preview.working_none"), exact=bool(draft.working_note))
    ]
    if not told:
        why = "kept" if keep else "denied" if summary else "none"
        parts.append(Part(say("preview.summary"), say(f"preview.stays_summary.{why}", given=person.given)))
    if not met:
        parts.append(Part(say("preview.met"), _met(desk, draft)))
    if draft.setting and words.knows(f"setting.{draft.setting}"):
        parts.append(Part(say("note.setting"), say(f"setting.{draft.setting}")))
    if draft.interventions and not (told and drafted):
        parts.append(
            Part(say("preview.stays_did"), ", ".join(say(f"intervention.{tap}") for tap in draft.interventions))
        )
    if draft.next_step and not (told and drafted):
        parts.append(Part(say("preview.stays_next"), draft.next_step))
    if not named:
        parts.append(Part(say("preview.stays_name"), peer))
    if draft.worry:
        parts.append(Part(say("note.worry"), say("preview.stays_worry")))
    return tuple(parts)
