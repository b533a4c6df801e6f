"""The bytes of a request, read once: content type, length, encoding, then `fhir.reader`; forms too."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

from flask import Request

from peerfhir.errors import BadBody, BadRequest, BodyTooLarge, LengthRequired, UnsupportedMedia
from peerfhir.fhir import reader
from peerfhir.fhir.reader import Json

MAX_BYTES = reader.MAX_BYTES
LARGE_BYTES = 8 * 1024 * 1024  # a transaction Bundle, or a DocumentReference with its note inside
MAX_FORM_BYTES = 256 * 1024
_CHUNK = 64 * 1024
_JSON = frozenset({"application/fhir+json", "application/json", "application/json+fhir"})
_PATCHES = frozenset({"application/json-patch+json", "application/merge-patch+json"})
_FORM = "application/x-www-form-urlencoded"


def read_json(request: Request, *, max_bytes: int = MAX_BYTES) -> tuple[Json, bytes]:
    """The body as parsed JSON, and the bytes as they came. Call it after the caller is known, never before.

    Raises  UnsupportedMedia and BodyTooLarge before anything is read where the headers say enough;
            BodyTooLarge, BadBody
    Source  docs/rules.md, Doors
    """
    _check_media(request, _JSON, "Send application/fhir+json.")
    raw = _read(request, max_bytes)
    return reader.read(raw, max_bytes=max_bytes), raw


def read_patch(request: Request, *, max_bytes: int = MAX_BYTES) -> tuple[Json, bytes]:
    """The body of a PATCH, and the bytes as they came: JSON Patch is a list, a merge patch an object.

    Raises  as read_json; UnsupportedMedia for the patches that are not JSON
    """
    _check_media(request, _JSON | _PATCHES, "Send application/json-patch+json.")
    raw = _read(request, max_bytes)
    return reader.read(raw, max_bytes=max_bytes), raw


def read_form(request: Request, *, max_bytes: int = MAX_FORM_BYTES) -> dict[str, list[str]]:
    """The fields of a form, each with its values in order. Raises as read_json, and LengthRequired.

    A form that is cut off still looks like a form: so it must say its length.
    """
    _check_media(request, frozenset({_FORM}), f"Send {_FORM}.")
    if _declared(request) is None and _is_chunked(request):
        raise LengthRequired
    raw = _read(request, max_bytes)
    try:
        fields = parse_qs(raw.decode("utf-8"), keep_blank_values=True, max_num_fields=1000, errors="strict")
    except ValueError:
        raise BadBody("The form is not UTF-8 text, or has too many fields.") from None
    if "\x00" in "".join(value for values in fields.values() for value in values):
        raise BadBody("A control character stands in the form.")
    return fields


def is_form(request: Request) -> bool:
    """Whether the body is a form, by its content type."""
    return _media(request) == _FORM


def _media(request: Request) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _check_media(request: Request, taken: frozenset[str], advice: str) -> None:
    headers = request.headers
    if headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMedia("A compressed body is not taken.", place="Content-Encoding", advice="Send it plain.")
    if _media(request) not in taken:
        raise UnsupportedMedia("This door does not take that kind of body.", place="Content-Type", advice=advice)
    said = dict(re.findall(r';\s*([\w.-]+)\s*=\s*"?([^";]*)', headers.get("Content-Type", "").lower()))
    if said.get("charset", "utf-8") not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMedia("The text must be UTF-8.", place="Content-Type", advice="Send charset=utf-8.")
    if not said.get("fhirversion", "4.0").startswith("4.0"):
        raise UnsupportedMedia("Only FHIR 4.0 is spoken here.", place="Content-Type")


def _declared(request: Request) -> int | None:
    """The length the sender promised. Raises BadRequest for one that is none."""
    text = request.environ.get("CONTENT_LENGTH", "")
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise BadRequest("This is not a length.", place="Content-Length")
    return int(text)


def _is_chunked(request: Request) -> bool:
    return "chunked" in request.environ.get("HTTP_TRANSFER_ENCODING", "").lower()


def _read(request: Request, max_bytes: int) -> bytes:
    """The body, at most `max_bytes`.

    The server's own stream is read, not Flask's: servers cut a chunked body silently at Flask's limit, and do not
    notice a client that leaves in the middle.
    """
    length = None if _is_chunked(request) else _declared(request)
    if length is None and not _is_chunked(request):
        return b""
    if length is not None and length > max_bytes:
        raise _too_large(max_bytes)
    stream: Any = request.environ["wsgi.input"]
    pieces: list[bytes] = []
    room = max_bytes + 1 if length is None else length
    try:
        while room > 0 and (piece := stream.read(min(_CHUNK, room))):
            pieces.append(piece)
            room -= len(piece)
    except OSError:
        raise BadBody("The connection ended before the body did.") from None
    raw = b"".join(pieces)
    if len(raw) > max_bytes:
        raise _too_large(max_bytes)
    if length is not None and len(raw) != length:
        raise BadBody("Fewer bytes came than Content-Length said.")
    return raw


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(advice=f"Send at most {max_bytes} bytes.")
