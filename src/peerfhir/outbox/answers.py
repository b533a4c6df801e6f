"""What one exchange with an endpoint brought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from peerfhir.fhir.reader import Json
from peerfhir.outbox.retry import Body, Failure, Seen


@dataclass(frozen=True)
class EhrAnswer:
    """What one exchange brought.

    status   None when no whole head of an answer came; then `failure` says why
    headers  with lower-case names
    json     the body through fhir.reader; None when empty or unreadable
    doubt    bytes may have left and nothing came back
    body     what stood in it, for a request about `expected`
    """

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Json | None = None
    doubt: bool = False
    failure: Failure | None = None
    whole: bool = True  # False: unreadable, too large, or cut off
    milliseconds: int = 0

    def seen(self, expected: str) -> Seen:
        """As retry.judge wants it. `expected` is the resource type that was written or asked for."""
        return Seen(self.status, self.failure, self._body(expected), "location" in self.headers)

    def _body(self, expected: str) -> Body:
        if not self.whole:
            return Body.OTHER
        if self.json is None:
            return Body.NONE
        kind = self.json.get("resourceType") if isinstance(self.json, dict) else None
        if kind == "OperationOutcome":
            return Body.ERRORS if _has_errors(self.json) else Body.RESOURCE
        return Body.RESOURCE if kind == expected else Body.OTHER


def _has_errors(outcome: Json) -> bool:
    issues = outcome.get("issue")
    return isinstance(issues, list) and any(
        isinstance(issue, dict) and issue.get("severity") in ("error", "fatal") for issue in issues
    )
