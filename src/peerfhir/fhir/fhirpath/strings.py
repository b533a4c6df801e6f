"""Functions of texts; positions count characters, never bytes."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable, Sequence
from typing import Any

from peerfhir.errors import Fault
from peerfhir.fhir import reader, writer
from peerfhir.fhir.fhirpath import patterns
from peerfhir.fhir.fhirpath.environment import Environment
from peerfhir.fhir.fhirpath.model import Value, plains
from peerfhir.fhir.fhirpath.operators import misfit, one

Values = Sequence[Value]


def _text(values: Values) -> str | None:
    found = one(values)
    if found is not None and type(found) is not str:
        raise misfit("a text is needed here")
    return found


def _texts(*collections: Values) -> tuple[str, ...] | None:
    """The texts of several collections, or None when one is empty."""
    found = [_text(values) for values in collections]
    return None if None in found else tuple(str(value) for value in found)


def _whole(values: Values) -> int | None:
    found = one(values)
    if found is not None and type(found) is not int:
        raise misfit("an integer is needed here")
    return found


def _over(function: Callable[..., Any]) -> Callable[..., list[Value]]:
    """A function of texts as a function of collections: nothing when one of them is empty."""

    def over(e: Environment, *collections: Values) -> list[Value]:
        texts = _texts(*collections)
        found = None if texts is None else function(*texts)
        return [] if found is None else found if type(found) is list else [found]

    return over


def substring(e: Environment, base: Values, start: Values, length: Values | None = None) -> list[Value]:
    """`substring()`."""
    text, at = _text(base), _whole(start)
    if text is None or at is None or not 0 <= at < len(text):
        return []
    count = None if length is None else _whole(length)
    return [text[at:] if count is None else text[at : at + max(0, count)]]


def join(e: Environment, base: Values, separator: Values = ()) -> list[Value]:
    """`join()`."""
    found = plains(base)
    if any(type(value) is not str for value in found):
        raise misfit("join() needs texts")
    return [(_text(separator) or "").join(found)] if found else []


def _replace_matches(text: str, pattern: str, replacement: str) -> str:
    if not pattern:
        return text
    return patterns.at_run_time(pattern, text).sub(patterns.replacement(replacement), text)


_ENCODINGS: dict[str, Callable[[bytes], str]] = {
    "base64": lambda data: base64.b64encode(data).decode(),
    "urlbase64": lambda data: base64.urlsafe_b64encode(data).decode(),
    "hex": bytes.hex,
}
_DECODINGS: dict[str, Callable[[str], bytes]] = {
    "base64": lambda text: base64.b64decode(text, validate=True),
    "urlbase64": lambda text: base64.b64decode(text, altchars=b"-_", validate=True),
    "hex": bytes.fromhex,
}
_BARE_QUOTE, _ESCAPED_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*)"'), r"\1\""
_AMPERSANDS = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


def _encode(text: str, form: str) -> str | None:
    if form == "ascii":
        return text.encode("ascii", "replace").decode()
    encoding = _ENCODINGS.get(form)
    return encoding(text.encode()) if encoding else None


def _decode(text: str, form: str) -> str | None:
    decoding = _DECODINGS.get(form)
    try:
        return decoding(text).decode() if decoding else None
    except (ValueError, binascii.Error):
        raise misfit("this is not a text in the encoding that is named") from None


def _escape(text: str, form: str) -> str | None:
    if form == "html":
        return "".join(_AMPERSANDS.get(sign, sign) for sign in text)
    return writer.write(text).decode()[1:-1] if form == "json" else None


def _unescape(text: str, form: str) -> str | None:
    if form == "html":
        return html.unescape(text)
    if form != "json":
        return None
    try:
        return str(reader.read_own(f'"{_BARE_QUOTE.sub(_ESCAPED_QUOTE, text)}"'.encode()))
    except (Fault, ValueError):
        raise misfit("this is not an escaped text of JSON") from None


index_of = _over(lambda text, wanted: text.find(wanted))
last_index_of = _over(lambda text, wanted: text.rfind(wanted))
starts_with = _over(lambda text, wanted: text.startswith(wanted))
ends_with = _over(lambda text, wanted: text.endswith(wanted))
contains = _over(lambda text, wanted: wanted in text)
upper = _over(lambda text: text.upper())
lower = _over(lambda text: text.lower())
replace = _over(lambda text, wanted, given: text.replace(wanted, given))
matches = _over(lambda text, pattern: patterns.at_run_time(pattern, text).search(text) is not None)
matches_full = _over(lambda text, pattern: patterns.at_run_time(pattern, text).fullmatch(text) is not None)
replace_matches = _over(_replace_matches)
length = _over(len)
to_chars = _over(list)
trim = _over(lambda text: text.strip())
split = _over(lambda text, separator: text.split(separator) if separator else list(text))
encode = _over(_encode)
decode = _over(_decode)
escape = _over(_escape)
unescape = _over(_unescape)
