"""What the pathway will not do, each with a reason code and a sentence."""

from __future__ import annotations

from typing import ClassVar


class Refusal(Exception):
    """The pathway does not do that."""

    reason: ClassVar[str] = "refused"

    def __init__(self, detail: str = "", *, field: str | None = None) -> None:
        self.detail = detail  # never a value of a person's record
        self.field = field  # the element or form field it is about
        super().__init__(detail or " ".join((type(self).__doc__ or "").split()))


class IllegalTransition(Refusal):
    """A referral in this state cannot move there."""

    reason = "illegal-transition"


class WrongActor(Refusal):
    """Someone else has to do that."""

    reason = "wrong-actor"


class ReasonMissing(Refusal):
    """A sentence that says why is needed."""

    reason = "reason-missing"


class NotFoundHere(Refusal):
    """There is no such record in this program."""

    reason = "not-found"


class Closed(Refusal):
    """This referral has ended; a new try is a new referral."""

    reason = "closed"


class SharingStopped(Refusal):
    """The person has stopped; nothing more is recorded for sharing."""

    reason = "sharing-stopped"


class ConsentIncomplete(Refusal):
    """A complete written consent is needed."""

    reason = "consent-incomplete"


class AttemptsMissing(Refusal):
    """More attempts to reach the person are needed, or a coordinator's reason."""

    reason = "attempts-missing"


class PeerNotAvailable(Refusal):
    """This peer cannot take the person on now."""

    reason = "peer-not-available"


class BadTimes(Refusal):
    """The times of the meeting do not fit together."""

    reason = "bad-times"


class BadAnswer(Refusal):
    """An answer is not one of the allowed ones; nothing is scored."""

    reason = "bad-answer"


class TooLong(Refusal):
    """The text is longer than its field."""

    reason = "too-long"


class NotGrantable(Refusal):
    """This cannot be shared with that recipient."""

    reason = "not-grantable"


class StaleVersion(Refusal):
    """It has changed since you opened it. Look again and repeat your change."""

    reason = "stale-version"


class AlreadyRecorded(Refusal):
    """It is already there."""

    reason = "already-recorded"


class NamesSomeone(Refusal):
    """Names of people do not belong in what goes to a chart. Say it without them, or keep it in the working note."""

    reason = "names-someone"
