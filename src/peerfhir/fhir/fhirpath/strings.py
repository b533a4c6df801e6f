"""Functions of texts; positions count characters, never bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from peerfhir.errors import Fault
from peerfhir.fhir.fhirpath import patterns
from peerfhir.fhir.fhirpath.model import Value, plains
from peerfhir.fhir.fhirpath.operators import misfit
from peerfhir.fhir.fhirpath.problems import MAX_TEXT, EvaluationProblem, short, too_long

Values = Sequence[Value]
_MAX_REPLACEMENT = 1_000  # characters of what replaceMatches() puts in


def _over(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of texts that proves them to be texts."""

    def over(*texts: Value) -> Value:
        for text in texts:
            if type(text) is not str:
                raise misfit("a text is needed here")
        return function(*texts)

    return over


def _whole(value: Value) -> int:
    if type(value) is not int:
        raise misfit("an integer is needed here")
    return value


def substring(text: Value, start: Value, length: Value = None) -> str | None:
    """`substring()`: nothing where it would begin outside."""
    if type(text) is not str:
        raise misfit("a text is needed here")
    if not 0 <= _whole(start) < len(text):
        return None
    return text[start:] if length is None else text[start : start + max(0, _whole(length))]


def join(base: Values, separator: Value = None) -> str | None:
    """`join()`: nothing of nothing."""
    found = plains(base)
    if any(type(value) is not str for value in found) or not isinstance(separator, str | None):
        raise misfit("join() needs texts")
    if separator and len(found) * len(separator) > MAX_TEXT:
        raise too_long()
    return (separator or "").join(found) if found else None


def _replace(text: str, old: str, new: str) -> str:
    if len(text) * len(new) > MAX_TEXT and text.count(old) * (len(new) - len(old)) > MAX_TEXT:
        raise too_long()
    return text.replace(old, new)


def _replace_matches(text: str, pattern: str, replacement: str) -> str:
    if not pattern:
        return text
    if len(replacement) > _MAX_REPLACEMENT:
        what = f"a replacement longer than {_MAX_REPLACEMENT} characters is not put in"
        raise EvaluationProblem("PM750", what)
    found = patterns.at_run_time(pattern, text)
    try:
        return found.sub(patterns.replacement(replacement, found), text)
    except patterns.UnsafePattern as problem:
        raise misfit(f"replaceMatches() is refused: {problem}") from None


_BARE_QUOTE, _ESCAPED_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*)"'), r"\1\""
_AMPERSANDS = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


def _encode(text: str, form: str) -> str | None:
    from base64 import b64encode, urlsafe_b64encode  # with the two below: few expressions need them

    data = short(text).encode("ascii" if form == "ascii" else "utf-8", "replace")
    if form == "hex":
        return data.hex()
    if form in ("base64", "urlbase64"):
        return (b64encode if form == "base64" else urlsafe_b64encode)(data).decode()
    return data.decode() if form == "ascii" else None


def _decode(text: str, form: str) -> str | None:
    from base64 import b64decode

    try:
        if form == "hex":
            return bytes.fromhex(text).decode()
        if form in ("base64", "urlbase64"):
            return b64decode(text, altchars=b"-_" if form == "urlbase64" else None, validate=True).decode()
    except ValueError:
        raise misfit("this is not a text in the encoding that is named") from None
    return None


def _escape(text: str, form: str) -> str | None:
    short(text)
    if form == "html":
        return "".join(_AMPERSANDS.get(sign, sign) for sign in text)
    if form != "json":
        return None
    from peerfhir.fhir import writer

    return writer.write(text).decode()[1:-1]


def _unescape(text: str, form: str) -> str | None:
    if form == "html":
        from html import unescape

        return unescape(text)
    if form != "json":
        return None
    from peerfhir.fhir import reader

    try:
        found = str(reader.read_own(f'"{_BARE_QUOTE.sub(_ESCAPED_QUOTE, text)}"'.encode()))
        found.encode()  # half of a character is no text
        return found
    except (Fault, ValueError):
        raise misfit("this is not an escaped text of JSON") from None


index_of = _over(str.find)
last_index_of = _over(str.rfind)
starts_with = _over(str.startswith)
ends_with = _over(str.endswith)
contains = _over(lambda text, wanted: wanted in text)
upper = _over(str.upper)
lower = _over(str.lower)
replace = _over(_replace)
matches = _over(lambda text, pattern: patterns.at_run_time(pattern, text).search(text) is not None)
matches_full = _over(lambda text, pattern: patterns.at_run_time(pattern, text).fullmatch(text) is not None)
replace_matches = _over(_replace_matches)
length = _over(len)
to_chars = _over(list)
trim = _over(str.strip)
split = _over(lambda text, separator: text.split(separator) if separator else list(text))
encode = _over(_encode)
decode = _over(_decode)
escape = _over(_escape)
unescape = _over(_unescape)
