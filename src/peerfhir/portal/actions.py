"""The steps that a person of staff may take with a referral: only those that are possible now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from peerfhir.clock import new_id
from peerfhir.pathway import steps
from peerfhir.pathway.engagement import Engagement
from peerfhir.pathway.people import Actor, Program
from peerfhir.pathway.ports import Books
from peerfhir.pathway.referral import Referral, is_ended, is_open
from peerfhir.pathway.transitions import STAFF, TRANSITIONS, Event
from peerfhir.pathway.vocabulary import Modality, Role, Status
from peerfhir.portal import forms
from peerfhir.portal.fields import Field, Filled, Option, options
from peerfhir.portal.states import tries
from peerfhir.portal.words import Words

CHANNELS = (Modality.PHONE, Modality.TEXT_CHAT, Modality.VIDEO, Modality.IN_PERSON, Modality.HOME, Modality.BEDSIDE)
_BEFORE_MATCH = frozenset({Status.TRIAGE, Status.WAITLISTED, Status.MATCHING, Status.MATCH_PROPOSED})
_MATCHED = frozenset(
    {
        Status.ASSIGNED, Status.OUTREACH, Status.CONTACT_MADE, Status.INTRO_SCHEDULED, Status.INTRO_MISSED,
        Status.INTRO_CANCELLED, Status.INTRO_DONE, Status.DECIDING,
    }
)  # fmt: skip

_PEER = frozenset({Role.PEER})

Data: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Action:
    """One step: its name in addresses and words, what has to be possible for it, and what it does.

    events    the table lets this role do one of them from where the referral is
    only_in   and the referral is in one of these; empty: anywhere
    roles     and, where a step has fewer actors than its event
    walking   who may do it once they walk together, by the state of the engagement
    ahead     the states in which it is the next thing to do
    aside     it is one of the ways out, shown below the others
    """

    name: str
    events: tuple[Event, ...]
    run: Callable[[Books, str, Data], object]
    form: type[forms.PageForm] = forms.NothingForm
    controls: Callable[[Words], tuple[Field, ...]] = lambda words: ()
    only_in: frozenset[Status] = frozenset()
    roles: frozenset[Role] = frozenset()
    walking: Mapping[str, frozenset[Role]] = field(default_factory=dict)
    ahead: frozenset[Status] = frozenset()
    aside: bool = False

    def fits(self, referral: Referral, engagement: Engagement | None, actor: Actor, program: Program) -> bool:
        """This actor may take this step now."""
        if not is_open(referral) or (self.only_in and referral.status not in self.only_in):
            return False
        if self.roles and actor.role not in self.roles:
            return False
        if is_ended(referral) or not self.events:
            return engagement is not None and actor.role in self.walking.get(engagement.status, frozenset())
        if self.name == "propose" and referral.peer_id is not None:
            return False  # the person has chosen
        if self.name == "give-up" and actor.role is Role.PEER and tries(referral) < program.contact_attempts:
            return False
        found = [TRANSITIONS.get((referral.status, event)) for event in self.events]
        return any(one is not None and actor.role in one.actors for one in found)


def _sentence(words: Words, name: str, *, needed: bool = True) -> Field:
    hint = f"step.{name}_sentence_hint"
    return Field(
        "sentence",
        words.say(f"step.{name}_sentence"),
        "area",
        hint=words.say(hint) if words.knows(hint) else "",
        needed=needed,
        limit=200,
        place=f"{name}-",
    )


def _choice(words: Words, name: str, field: str, texts: Mapping[str, str], label: str) -> Field:
    pick = (Option("", words.say("site.pick")),)
    return Field(field, words.say(label), "select", options=pick + options(texts), needed=True, place=f"{name}-")


def _decline(words: Words) -> tuple[Field, ...]:
    reasons = _choice(words, "decline", "reason", words.under("decline"), "step.decline_reason")
    return (reasons, _sentence(words, "decline"))


def _contact(words: Words) -> tuple[Field, ...]:
    channels = options(words.under("modality"), CHANNELS)
    how = Field("channel", words.say("step.contact_channel"), "radios", options=channels, needed=True, place="contact-")
    came = _choice(words, "contact", "outcome", words.under("contact_outcome"), "step.contact_outcome")
    once = Field("client_uuid", "", "hidden", values=(new_id(),))  # a form that is sent twice is one try
    return (how, came, once)


def _meeting(words: Words) -> tuple[Field, ...]:
    return (Field("at", words.say("step.meeting_at"), "moment", needed=True, place="meeting-"),)


def _stage(words: Words) -> tuple[Field, ...]:
    return (_choice(words, "stage", "stage", words.under("stage"), "step.stage_pick"),)


def _close(words: Words) -> tuple[Field, ...]:
    return (_choice(words, "close", "reason", words.under("closing"), "step.close_reason"),)


def _sentenced(name: str, *, needed: bool = True) -> Callable[[Words], tuple[Field, ...]]:
    return lambda words: (_sentence(words, name, needed=needed),)


_ACTIONS = (
    Action(
        "triage", (Event.START_TRIAGE,), lambda books, id_, data: steps.start_triage(books, id_),
        ahead=frozenset({Status.RECEIVED}),
    ),
    Action(
        "propose", (Event.START_MATCHING, Event.PROPOSE), lambda books, id_, data: steps.propose_peers(books, id_),
        only_in=_BEFORE_MATCH, roles=STAFF,
        ahead=frozenset({Status.TRIAGE, Status.WAITLISTED, Status.MATCHING}),
    ),
    Action(
        "accept", (Event.ASSIGN,), lambda books, id_, data: steps.accept_person(books, id_),
        ahead=frozenset({Status.MATCH_PROPOSED}),
    ),
    Action(
        "contact", (Event.REACH_OUT, Event.MAKE_CONTACT),
        lambda books, id_, data: steps.log_contact(
            books, id_, data["channel"], data["outcome"], data["client_uuid"] or None
        ),
        forms.ContactForm, _contact, ahead=frozenset({Status.ASSIGNED, Status.OUTREACH}),
    ),
    Action(
        "meeting", (Event.BOOK,), lambda books, id_, data: steps.book_meeting(books, id_, data["at"]),
        forms.MeetingForm, _meeting,
        ahead=frozenset({Status.CONTACT_MADE, Status.INTRO_MISSED, Status.INTRO_CANCELLED}),
    ),
    Action("missed", (Event.MISS,), lambda books, id_, data: steps.miss_meeting(books, id_)),
    Action(
        "enrol", (Event.ENROL,), lambda books, id_, data: steps.enrol(books, id_),
        ahead=frozenset({Status.INTRO_DONE, Status.DECIDING}),
    ),
    Action("deciding", (Event.DECIDE,), lambda books, id_, data: steps.leave_to_decide(books, id_)),
    Action(
        "stage", (), lambda books, id_, data: steps.enter_stage(books, id_, data["stage"]), forms.StageForm, _stage,
        only_in=frozenset({Status.ENROLLED}), walking={"active": _PEER},
    ),
    Action(
        "resume", (Event.RESUME,), lambda books, id_, data: steps.resume(books, id_),
        walking={"onhold": _PEER}, ahead=frozenset({Status.PAUSED, Status.INFO_NEEDED, Status.ENROLLED}),
    ),
    Action(
        "question", (Event.ASK_QUESTION,), lambda books, id_, data: steps.ask_question(books, id_, data["sentence"]),
        forms.SentenceForm, _sentenced("question"), only_in=_BEFORE_MATCH | {Status.RECEIVED},
    ),
    Action(
        "waitlist", (Event.WAITLIST,), lambda books, id_, data: steps.waitlist(books, id_, data["sentence"] or None),
        forms.MaybeSentenceForm, _sentenced("waitlist", needed=False), aside=True,
    ),
    Action(
        "decline", (Event.DECLINE_PROGRAM,),
        lambda books, id_, data: steps.decline(books, id_, data["reason"], data["sentence"]),
        forms.DeclineForm, _decline, aside=True,
    ),
    Action(
        "change-peer", (Event.START_MATCHING,), lambda books, id_, data: steps.change_peer(books, id_),
        only_in=_MATCHED, roles=STAFF, aside=True,
    ),
    Action(
        "not-me", (Event.START_MATCHING,), lambda books, id_, data: steps.not_me(books, id_),
        only_in=frozenset({Status.MATCH_PROPOSED, Status.ASSIGNED}), roles=_PEER,
    ),
    Action(
        "pause", (Event.PAUSE,), lambda books, id_, data: steps.pause(books, id_), walking={"active": _PEER},
        aside=True,
    ),
    Action(
        "give-up", (Event.GIVE_UP,), lambda books, id_, data: steps.give_up(books, id_, data["sentence"] or None),
        forms.MaybeSentenceForm, _sentenced("give-up", needed=False), only_in=_MATCHED, aside=True,
    ),
    Action(
        "they-decline", (Event.DECLINE_PERSON,), lambda books, id_, data: steps.decline_by_person(books, id_),
        only_in=_MATCHED | {Status.MATCH_PROPOSED}, aside=True,
    ),
    Action(
        "redirect", (Event.REDIRECT,), lambda books, id_, data: steps.redirect(books, id_, data["sentence"]),
        forms.SentenceForm, _sentenced("redirect"), aside=True,
    ),
    Action(
        "transfer", (Event.TRANSFER,), lambda books, id_, data: steps.transfer(books, id_, data["sentence"]),
        forms.SentenceForm, _sentenced("transfer"), aside=True,
    ),
    Action(
        "close", (), lambda books, id_, data: steps.close_engagement(books, id_, data["reason"]), forms.CloseForm,
        _close, only_in=frozenset({Status.ENROLLED}), walking={"active": STAFF | _PEER, "onhold": STAFF | _PEER},
        aside=True,
    ),
)  # fmt: skip
ACTIONS: Mapping[str, Action] = {action.name: action for action in _ACTIONS}


@dataclass(frozen=True)
class Step:
    """A step as the page shows it: a button, a short form behind a button, or a link to another page."""

    name: str
    label: str
    action: str = ""
    hint: str = ""
    href: str = ""
    go: str = ""
    controls: tuple[Field, ...] = ()
    primary: bool = False
    open: bool = False
    aside: bool = False


def step_of(action: Action, referral: Referral, words: Words, given: str, filled: Filled | None) -> Step:
    """The step with its words; `filled` is what was entered when it came back with a mistake."""
    key = f"step.{action.name}"
    label = key
    if action.name == "meeting" and referral.meeting_at:
        label = "step.meeting_move"
    if action.name == "propose" and referral.proposals:
        label = "step.propose_again"
    controls = action.controls(words)
    if filled is not None:
        controls = tuple(filled.into(control) for control in controls)
    return Step(
        name=action.name,
        label=words.say(label),
        action=f"/referrals/{referral.id}/{action.name}",
        hint=words.say(f"{key}_hint", given=given) if words.knows(f"{key}_hint") else "",
        go=words.say(f"{key}_go") if words.knows(f"{key}_go") else words.say(label),
        controls=controls,
        primary=referral.status in action.ahead,
        open=filled is not None or (referral.status in action.ahead and bool(controls)),
        aside=action.aside,
    )


def steps_of(
    referral: Referral, engagement: Engagement | None, actor: Actor, program: Program, words: Words, given: str,
    came_back: tuple[str, Filled] | None = None,
) -> tuple[Step, ...]:  # fmt: skip
    """What this actor can do with this referral now, the next thing first, the ways out last."""
    found = [
        step_of(action, referral, words, given, came_back[1] if came_back and came_back[0] == action.name else None)
        for action in _ACTIONS
        if action.fits(referral, engagement, actor, program)
    ]
    if actor.role is Role.PEER and (step := _note_step(referral, engagement, words)) is not None:
        found.append(step)
    first_meeting = referral.status is Status.INTRO_SCHEDULED
    if first_meeting:
        found = [replace(one, primary=one.name == "note") for one in found]
    return tuple(sorted(found, key=lambda one: (one.aside, not one.primary)))


def _note_step(referral: Referral, engagement: Engagement | None, words: Words) -> Step | None:
    """The link to the note: of the first meeting while there was none, of any meeting afterwards."""
    href = f"/people/{referral.person_id}/note"
    if not is_open(referral):
        return None
    if (referral.status, Event.MEET) in TRANSITIONS:
        return Step("note", words.say("step.note"), href=href, hint=words.say("step.note_hint"))
    if engagement is not None and engagement.status == "active":
        return Step("note", words.say("person.write_note"), href=href, primary=True)
    return None
