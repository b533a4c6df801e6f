"""What a caller would like to be answered with: Accept, _format, Prefer, and what it has already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl

from peerfhir.errors import NotAcceptable

FHIR_JSON = "application/fhir+json; fhirVersion=4.0"
_JSON = ("application/fhir+json", "application/json", "application/json+fhir")
_SPOKEN = {**dict.fromkeys(_JSON, 2), "application/*": 1, "*/*": 0}  # media range -> how close it comes
_FORMATS = frozenset({"json", *_JSON})
_RETURNS = frozenset({"minimal", "representation", "OperationOutcome"})


@dataclass(frozen=True)
class Preferences:
    """The understood part of Prefer; what is not understood is ignored (RFC 7240)."""

    returns: str = ""  # "" | minimal | representation | OperationOutcome
    lenient: bool = False


def of(headers: Mapping[str, str]) -> Preferences:
    """The preferences in lower-cased headers."""
    wishes = [one.strip().partition("=") for one in headers.get("prefer", "").replace(";", ",").split(",")]
    said = {name.strip().lower(): value.strip().strip('"') for name, _, value in reversed(wishes)}
    returns = said.get("return", "")
    return Preferences(returns if returns in _RETURNS else "", said.get("handling") == "lenient")


def check_acceptable(headers: Mapping[str, str], query: str) -> None:
    """Raises NotAcceptable when neither _format nor Accept allows FHIR JSON."""
    wanted = [value for name, value in parse_qsl(query) if name == "_format"] if "_format" in query else []
    if wanted:
        # a plus sign in a query is a space
        name, said = _media_range(wanted[-1].strip().replace(" ", "+"))
        if name not in _FORMATS or not _is_ours(said):
            raise NotAcceptable(place="_format")
        return
    accept = headers.get("accept", "").strip()
    if accept and not _is_accepted(accept):
        raise NotAcceptable(place="Accept")


def _is_accepted(accept: str) -> bool:
    """Whether a media range allows ours: of those that fit, the closest decide (RFC 9110, 12.5.1)."""
    found: dict[int, bool] = {}
    for one in accept.split(","):
        name, said = _media_range(one)
        closeness = _SPOKEN.get(name)
        if closeness is not None and _is_ours(said):
            wanted = said.get("q", "1").rstrip("0").rstrip(".") not in ("", "0")
            found[closeness] = found.get(closeness, False) or wanted
    return bool(found) and found[max(found)]


def _media_range(text: str) -> tuple[str, dict[str, str]]:
    name, *rest = (part.strip().lower() for part in text.split(";"))
    return name, {key.strip(): value.strip().strip('"') for key, _, value in (one.partition("=") for one in rest)}


def _is_ours(said: Mapping[str, str]) -> bool:
    return said.get("fhirversion", "4.0").startswith("4.0")


def is_known(headers: Mapping[str, str], etag: str, written: datetime | None = None) -> bool:
    """Whether the caller has this version already: If-None-Match, and without one If-Modified-Since."""
    tags = headers.get("if-none-match")
    if tags is not None:
        return any(one.strip() in (etag, etag.removeprefix("W/"), "*") for one in tags.split(","))
    since = headers.get("if-modified-since")
    if since is None or written is None:
        return False
    try:
        at = parsedate_to_datetime(since)
    except ValueError:
        return False  # as RFC 9110 has it: a date that is none is ignored
    return at.tzinfo is not None and written.replace(microsecond=0) <= at
