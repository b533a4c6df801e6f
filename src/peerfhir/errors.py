"""The ways things go wrong: code, OperationOutcome issue, HTTP status, verdict and advice."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Verdict(StrEnum):
    """Whether doing the same thing again can help."""

    NEVER = "never"  # park it, with advice
    LATER = "later"  # the other side may recover: schedule
    RECONCILE = "reconcile"  # it may have arrived: search before any resend
    DONE = "done"  # it is already so: count as success


class Fault(Exception):
    """Something went wrong on our side of a door or on the wire.

    A subclass is a noun; its docstring is the sentence a person reads.
    `place` is a FHIRPath expression, a file position or a header name, never a value of a record.
    """

    code: ClassVar[str] = "fault"  # stable; a retired code stays in this file as a comment
    issue: ClassVar[str] = "exception"  # OperationOutcome.issue.code
    status: ClassVar[int] = 500  # when a door has to answer with it
    verdict: ClassVar[Verdict] = Verdict.NEVER

    def __init__(self, what: str = "", *, place: str | None = None, advice: str | None = None) -> None:
        self.what = what or " ".join((type(self).__doc__ or "").split())
        self.place = place
        self.advice = advice
        super().__init__(f"{self.place}: {self.what}" if self.place else self.what)


class BadBody(Fault):
    """The body is not a JSON document we can read."""

    code = "bad-body"
    issue = "structure"
    status = 400


class BodyTooLarge(Fault):
    """The body is larger than this door takes."""

    code = "body-too-large"
    issue = "too-long"
    status = 413


class LengthRequired(Fault):
    """A body of this kind needs a Content-Length."""

    code = "length-required"
    issue = "required"
    status = 411


class UnsupportedMedia(Fault):
    """This door takes JSON only."""

    code = "unsupported-media"
    issue = "not-supported"
    status = 415


class NotAcceptable(Fault):
    """Only application/fhir+json can be answered here."""

    code = "not-acceptable"
    issue = "not-supported"
    status = 406


class BadRequest(Fault):
    """The request contradicts itself or asks for something unknown."""

    code = "bad-request"
    issue = "invalid"
    status = 400


class Unauthenticated(Fault):
    """A valid access token is needed."""

    code = "unauthenticated"
    issue = "login"
    status = 401


class Forbidden(Fault):
    """This caller may not do that."""

    code = "forbidden"
    issue = "forbidden"
    status = 403


class NotFound(Fault):
    """There is nothing here that you may see."""

    code = "not-found"
    issue = "not-found"
    status = 404


class Gone(Fault):
    """It was deleted."""

    code = "gone"
    issue = "deleted"
    status = 410


class MethodNotAllowed(Fault):
    """That interaction is not offered here."""

    code = "method-not-allowed"
    issue = "not-supported"
    status = 405


class Conflict(Fault):
    """It already exists, or two writes collided."""

    code = "conflict"
    issue = "conflict"
    status = 409


class Duplicate(Conflict):
    """One sender sent the same identifier twice."""

    code = "duplicate"
    issue = "duplicate"


class VersionConflict(Fault):
    """The resource has changed since you read it. Read it again and repeat your change."""

    code = "version-conflict"
    issue = "conflict"
    status = 412


class SeveralMatches(Fault):
    """The condition matches more than one resource."""

    code = "several-matches"
    issue = "multiple-matches"
    status = 412


class InvalidResource(Fault):
    """The resource breaks the specification; the issues say where."""

    code = "invalid-resource"
    issue = "invalid"
    status = 422

    def __init__(self, findings: tuple[object, ...] = (), what: str = "", *, place: str | None = None) -> None:
        super().__init__(what, place=place)
        self.findings = findings  # fhir.validate.Finding values, in order


class BusinessRule(Fault):
    """A rule of the referral pathway forbids it."""

    code = "business-rule"
    issue = "business-rule"
    status = 422


class RequiredMissing(Fault):
    """Something that is required was not sent."""

    code = "required-missing"
    issue = "required"
    status = 422


class PreconditionMissing(Fault):
    """This change needs an If-Match header with the version you have read."""

    code = "precondition-missing"
    issue = "required"
    status = 400


class HeadersTooLarge(Fault):
    """The headers of this request are longer than this door takes."""

    code = "headers-too-large"
    issue = "too-long"
    status = 431


class TooManyRequests(Fault):
    """Too many tries in a short time. Wait, then try again."""

    code = "too-many-requests"
    issue = "throttled"
    status = 429
    verdict = Verdict.LATER

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds  # until it is worth another try: Retry-After


class DatabaseBusy(Fault):
    """The database cannot take it just now. Nothing was stored; send it again."""

    code = "database-busy"
    issue = "transient"
    status = 503
    verdict = Verdict.LATER


class BadConfiguration(Fault):
    """The configuration is wrong; the service does not start."""

    code = "bad-configuration"
    issue = "invalid"
    status = 500

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems  # each "path:line:column: what is wrong"


class MappingFailed(Fault):
    """A mapping could not turn this record into FHIR. The record itself is safe; mend the mapping and rerun."""

    code = "mapping-failed"
    issue = "processing"
    status = 422
