"""Bytes -> object: size, depth, encoding, duplicate keys, NaN, control characters; the only JSON reader."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from peerfhir.errors import BadBody, BodyTooLarge

Json = Any  # what JSON parses to: dict, list, str, int, Decimal, bool or None

MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 64
_MAX_NUMBER = 400  # characters, and the largest exponent: a longer number is an attack, not a measurement

# Only these escapes can bring a control character or half a character past the parser.
_SUSPECT = re.compile(r"\\(?:[bf]|u00[01]|u[dD][89a-fA-F])")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]')


class _Repeated(Exception):
    """A key stands twice in one object; where, is found by `_position`."""


_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity|-?[0-9][0-9.eE+-]*)')


def read(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Json:
    """A stranger's bytes as one JSON value; numbers with a point or exponent as Decimal.

    max_depth  how many arrays and objects may stand inside each other
    Raises     BodyTooLarge; BadBody with place "line:column", never with a piece of the text
    Source     docs/rules.md, Doors
    """
    if len(data) > max_bytes:
        raise BodyTooLarge(advice=f"Send at most {max_bytes} bytes.")
    if data.startswith(b"\xef\xbb\xbf"):
        raise BadBody("The text starts with a byte order mark.", place="1:1", advice="Send plain UTF-8.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as err:
        before = data[: err.start].decode("utf-8")
        raise BadBody("This is not UTF-8.", place=_line_column(before, len(before))) from None
    value = _parse(text, max_depth)
    _check_depth(value, text, max_depth)
    if _SUSPECT.search(text) and _holds_forbidden(value):
        raise BadBody("A control character or half a character stands in a text.", place=_position(text, max_depth))
    return value


def read_own(data: bytes) -> Json:
    """Bytes that this house wrote itself, as one JSON value; decimals as Decimal."""
    return json.loads(data, parse_float=Decimal, parse_int=_integer)


def _parse(text: str, max_depth: int) -> Json:
    try:
        return json.loads(
            text, parse_float=_decimal, parse_int=_integer, parse_constant=_no_constant, object_pairs_hook=_object
        )
    except json.JSONDecodeError as err:
        raise BadBody("This is not JSON.", place=f"{err.lineno}:{err.colno}") from None
    except _Repeated:
        raise BadBody("A key stands twice in one object.", place=_position(text, max_depth)) from None
    except RecursionError:
        raise _too_deep(text, max_depth) from None
    except (ValueError, InvalidOperation):  # NaN, Infinity, or a number beyond all measure
        place = _number_position(text)
        raise BadBody("This number cannot be kept.", place=place, advice="Send finite numbers.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Repeated
    return found


def _decimal(text: str) -> Decimal:
    number = Decimal(text)
    if len(text) > _MAX_NUMBER or abs(number.adjusted()) > _MAX_NUMBER:
        raise ValueError("number")
    return number


def _integer(text: str) -> int | Decimal:
    """Small numbers as int; what does not fit 64 bits as Decimal, because it could not be written again."""
    return int(text) if len(text) < 19 else _decimal(text)


def _no_constant(_: str) -> Any:
    raise ValueError("number")


def _check_depth(value: Json, text: str, max_depth: int) -> None:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(max_depth):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return
    raise _too_deep(text, max_depth)


def _too_deep(text: str, max_depth: int) -> BadBody:
    return BadBody(
        f"More than {max_depth} arrays and objects stand inside each other.", place=_position(text, max_depth)
    )


def _holds_forbidden(value: Json) -> bool:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if _FORBIDDEN.search(one):
                return True
        elif isinstance(one, dict):
            waiting.extend(one)
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return False


def _position(text: str, max_depth: int) -> str:
    """Where the first repeated key, forbidden character or level too many stands; asked only after a refusal."""
    keys: list[set[str] | None] = []
    previous = ""
    for match in _TOKEN.finditer(text):
        piece = match.group()
        if piece in "[{":
            keys.append(set() if piece == "{" else None)
            if len(keys) > max_depth:
                break
        elif piece in "]}":
            keys.pop()
        elif piece[0] == '"':
            plain = json.loads(piece, strict=False)
            if _FORBIDDEN.search(plain) or not _new_key(keys, previous, plain):
                break
        previous = piece
    else:
        return _line_column(text, len(text))
    return _line_column(text, match.start())


def _number_position(text: str) -> str:
    """Where the first number stands that `_parse` refuses."""
    for match in _NUMBER.finditer(text):
        number = match.group(1)
        try:
            if number:
                _finite(number)
        except (ValueError, InvalidOperation):
            return _line_column(text, match.start())
    return _line_column(text, len(text))


def _finite(text: str) -> None:
    if text.endswith(("N", "y")):  # NaN, Infinity
        raise ValueError("number")
    _decimal(text)


def _new_key(keys: list[set[str] | None], previous: str, name: str) -> bool:
    """False when `name` stands where a key stands and the object has it already."""
    seen = keys[-1] if keys else None
    if seen is None or previous not in ("{", ","):
        return True
    if name in seen:
        return False
    seen.add(name)
    return True


def _line_column(text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    return f"{line}:{column}"
