"""What an answer means and what follows: done, again at, reconcile or park; pure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

from peerfhir.errors import Verdict

LONGEST_RETRY_AFTER_SECONDS = 24 * 3600  # docs/rules.md, Delivery
SHORTEST_WAIT_SECONDS = 0.5


class Failure(StrEnum):
    """Why no whole answer came."""

    ADDRESS = "address-refused"  # the guard: not an address we may call
    CONNECT = "no-connection"  # DNS, refused, unreachable, connect deadline
    TLS = "tls-failed"
    CERTIFICATE = "certificate"
    LOST = "no-answer"  # deadline or drop after bytes may have left
    TOKEN = "no-token"  # noqa: S105 - the token server could not be asked
    TOKEN_REFUSED = "token-refused"  # noqa: S105 - a reason


class Body(StrEnum):
    """What stood in the body of an answer."""

    NONE = "none"
    RESOURCE = "resource"  # a FHIR resource of the type that was asked for, or a harmless OperationOutcome
    ERRORS = "errors"  # an OperationOutcome with an error
    OTHER = "other"  # not FHIR, of another type, or cut off


class Effect(StrEnum):
    """What it says about the endpoint as a whole."""

    NO = "no"
    RESETS = "resets"
    COUNTS = "counts"  # towards the breaker
    THROTTLES = "throttles"  # the endpoint's wait
    REST = "rest"  # the endpoint rests for a while: a fault that only its people can mend
    PAUSES = "pauses"  # until a person says so


@dataclass(frozen=True)
class Sent:
    """What was asked, as far as judging the answer needs it."""

    method: str  # POST | PUT | GET
    if_none_exist: bool = False
    if_match: bool = False


@dataclass(frozen=True)
class Seen:
    """What came back."""

    status: int | None = None
    failure: Failure | None = None
    body: Body = Body.NONE
    located: bool = False  # a Location header named the resource


@dataclass(frozen=True)
class Judgement:
    """The verdict on one exchange.

    doubt    the write may have been applied although no one said so
    reason   kebab-case, stable; advice is a sentence for the one who reruns
    """

    verdict: Verdict
    reason: str
    effect: Effect = Effect.NO
    doubt: bool = False
    advice: str | None = None


_FAILED: dict[Failure, Judgement] = {
    Failure.ADDRESS: Judgement(
        Verdict.LATER,
        "address-refused",
        Effect.REST,
        advice="The endpoint's name leads to an address that may not be called; see allowed_networks.",
    ),
    Failure.CONNECT: Judgement(Verdict.LATER, "no-connection", Effect.COUNTS),
    Failure.TLS: Judgement(Verdict.LATER, "tls-failed", Effect.COUNTS),
    Failure.CERTIFICATE: Judgement(
        Verdict.LATER,
        "certificate",
        Effect.REST,
        advice="The hospital's certificate is not one this machine trusts.",
    ),
    Failure.LOST: Judgement(Verdict.RECONCILE, "no-answer", Effect.COUNTS, doubt=True),
    Failure.TOKEN: Judgement(Verdict.LATER, "no-token", Effect.COUNTS),
    Failure.TOKEN_REFUSED: Judgement(
        Verdict.NEVER,
        "auth",
        Effect.PAUSES,
        advice="The hospital gives us no token: check client id, secret or key and scopes, then rerun.",
    ),
}

_REFUSED: dict[int, tuple[str, str]] = {
    400: ("refused", "The hospital refuses the resource; see its issues, mend the mapping, rerun as current."),
    422: ("refused", "The hospital refuses the resource; see its issues, mend the mapping, rerun as current."),
    403: ("forbidden", "The hospital does not let us do this: check the scopes it gave us, then rerun."),
    404: ("not-found", "What was to be changed is not there, or base_url is wrong; check, then rerun."),
}
_CAPABILITY = frozenset({405, 406, 413, 415, 501})
_CAPABILITY_ADVICE = (
    "The hospital does not take this kind of resource: set writes.<type>.accept to false in its file, rerun as current."
)
_BUSY = frozenset({408, 425})


def judge(seen: Seen, sent: Sent) -> Judgement:
    """The verdict table of docs/rules.md, Delivery; every status and every failure has exactly one row."""
    if seen.status is None:
        judged = _FAILED[seen.failure or Failure.LOST]
        return _harmless(judged) if sent.method == "GET" else judged
    if 200 <= seen.status < 300:
        judged = _accepted(seen)
    elif 400 <= seen.status < 500 or seen.status == 501:
        judged = _client_error(seen.status, sent)
    elif 500 <= seen.status < 600:
        judged = Judgement(Verdict.LATER, "server-error", Effect.COUNTS, doubt=True)
    elif 300 <= seen.status < 400:
        judged = Judgement(
            Verdict.NEVER, "redirected", advice="Redirects are not followed: put the real address into base_url."
        )
    else:
        judged = Judgement(Verdict.RECONCILE, "strange-status", doubt=True)
    return _harmless(judged) if sent.method == "GET" else judged


def _accepted(seen: Seen) -> Judgement:
    if seen.status not in (200, 201, 202, 204) or seen.body is Body.ERRORS:
        return Judgement(Verdict.RECONCILE, "unclear-success", doubt=True)
    if seen.body is Body.OTHER and not (seen.status == 201 and seen.located):
        return Judgement(Verdict.RECONCILE, "unclear-success", doubt=True)
    return Judgement(Verdict.DONE, "arrived", Effect.RESETS)


def _client_error(status: int, sent: Sent) -> Judgement:
    if status in _CAPABILITY:
        return Judgement(Verdict.NEVER, "not-offered", advice=_CAPABILITY_ADVICE)
    if status == 429:
        return Judgement(Verdict.LATER, "too-many", Effect.THROTTLES)
    if status in _BUSY:
        return Judgement(Verdict.LATER, "busy", Effect.COUNTS, doubt=status == 408)
    if status == 401:  # the client has already tried a new token
        return _FAILED[Failure.TOKEN_REFUSED]
    if status == 409:
        # an update is read again and made anew on top of what is there; a create is looked for
        return Judgement(Verdict.LATER, "conflict", doubt=sent.method == "POST")
    if status == 410:
        # a collection that is gone is an endpoint that is gone; a resource that is gone concerns itself only
        effect = Effect.PAUSES if sent.method == "POST" else Effect.NO
        return Judgement(Verdict.NEVER, "gone", effect, advice="It is no longer there; ask the hospital, then rerun.")
    if status == 412:
        return _precondition(sent)
    reason, advice = _REFUSED.get(status, ("refused", "The hospital refuses the request; ask its people, then rerun."))
    return Judgement(Verdict.NEVER, reason, advice=advice)


def _precondition(sent: Sent) -> Judgement:
    if sent.if_match:
        return Judgement(Verdict.LATER, "conflict")
    advice = "The hospital has more than one resource with our identifier; its people have to say which one stays."
    return Judgement(Verdict.NEVER, "several-matches", advice=advice)


def _harmless(judged: Judgement) -> Judgement:
    """A read changes nothing: there is nothing to be in doubt about, and asking again is always right."""
    verdict = Verdict.LATER if judged.verdict is Verdict.RECONCILE else judged.verdict
    return Judgement(verdict, judged.reason, judged.effect, advice=judged.advice)


def wait_seconds(tries: int, base: float, cap: float, chance: random.Random) -> float:
    """Full jitter: uniform between the floor and min(cap, base x 2^(tries - 1)).

    tries    how many attempts there have been, 1 or more
    Returns  seconds; at least 0.5, or half the ceiling where that is less
    Source   docs/rules.md, Delivery
    """
    ceiling = min(cap, base * 2.0 ** min(tries - 1, 60))
    return chance.uniform(min(SHORTEST_WAIT_SECONDS, ceiling / 2), ceiling)


def retry_after_seconds(header: str | None, now: datetime) -> int | None:
    """Retry-After as whole seconds from now, never less than asked; None when there is none or it is unreadable.

    header  seconds or an HTTP date (RFC 9110, 10.2.3)
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return LONGEST_RETRY_AFTER_SECONDS if len(text) > 9 else min(int(text), LONGEST_RETRY_AFTER_SECONDS)
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    seconds = -((now - at) // timedelta(seconds=1))  # rounded up: a moment too early is too early
    return max(0, min(seconds, LONGEST_RETRY_AFTER_SECONDS))


def next_time(now: datetime, wait: float, retry_after: int | None, horizon: datetime) -> datetime | None:
    """When to try again; None when the horizon has passed.

    The last try falls on the horizon itself, so that nothing is given up before it.
    """
    if now >= horizon:
        return None
    due = now + timedelta(seconds=max(wait, retry_after or 0))
    return min(due, horizon) if retry_after is None else due


def later(now: datetime, seconds: float) -> datetime:
    """An instant so many seconds from now."""
    return now + timedelta(seconds=seconds)
