"""One value of a search parameter, as text -> what it compares with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from peerfhir.errors import BadRequest
from peerfhir.fhir.index import folded, key_of, span_of
from peerfhir.fhir.parameters import Parameter

_PREFIX = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(\d.*)")
_NUMBER = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?([+-]?\d{1,18}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,2})?)", re.ASCII)


@dataclass(frozen=True)
class Token:
    """One value of a token search, or an address and its version. system None: any; "": none."""

    code: str
    system: str | None


@dataclass(frozen=True)
class Span:
    """One value of a date search, microseconds; `high` is excluded."""

    prefix: str
    low: int
    high: int


@dataclass(frozen=True)
class Number:
    """One value of a quantity search, with half a unit of its last digit on each side; `unit` None: any."""

    prefix: str
    value: float
    low: float
    high: float
    unit: str | None = None
    system: str | None = None


@dataclass(frozen=True)
class Text:
    """One value of a string search."""

    plain: str  # folded
    exact: str  # as it was sent, as index key


Value = Token | Span | Number | Text | tuple[str, ...] | str


def divided(value: str, mark: str) -> list[str]:
    """The parts of a value between those marks that no backslash has taken; the backslashes stay.

    Source  R4 search, 3.1.1.4.5.1 (escaping search parameters)
    """
    parts, begin = [], 0
    for one in re.finditer(rf"\\.|{re.escape(mark)}", value, re.DOTALL):
        if one[0] == mark:
            parts.append(value[begin : one.start()])
            begin = one.end()
    return [*parts, value[begin:]]


def _plain(escaped: str) -> str:
    return re.sub(r"\\([,$|\\])", r"\1", escaped)


def value_of(name: str, parameter: Parameter, modifier: str, escaped: str, base: str) -> Value:
    """One value as it was sent, its escapes still in it. Raises BadRequest that names the parameter."""
    kind = parameter.kind
    text = _plain(escaped)
    if kind == "token" or modifier == "identifier":
        system, *rest = (_plain(one) for one in divided(escaped, "|"))
        code = "|".join(rest) if rest else system
        if not code:
            raise wrong(name, "a code, alone or after system|")
        return Token(key_of(code), key_of(system) if rest else None)
    if kind in ("date", "updated"):
        match = _PREFIX.fullmatch(text.replace(" ", "+"))  # the sign of a zone that nobody encoded
        span = span_of(match.group(2)) if match else None
        if match is None or span is None:
            raise wrong(name, "a date, with eq, ne, gt, lt, ge, le, sa, eb or ap before it")
        return Span(match.group(1) or "eq", *span)
    if kind == "quantity":
        return _number(name, escaped)
    if kind == "reference":
        return _targets(parameter, text, base)
    if kind == "string":
        plain = folded(text)
        if not plain:
            raise wrong(name, "a text")
        return Text(plain, key_of(text))
    if kind == "uri":
        address, *version = (key_of(_plain(one)) for one in divided(escaped, "|"))
        return Token(address, version[0]) if any(version) else address
    return key_of(text)


def wrong(name: str, what: str) -> BadRequest:
    """What to say of a value that cannot be meant; never the value."""
    return BadRequest(f"The search parameter {name[:64]!r} needs {what}.")


def _number(name: str, escaped: str) -> Number:
    """`5.4`, `gt5`, `5.4|http://unitsofmeasure.org|mg`, `5.4||mg`. Source: R4 search, 3.1.1.4.11 (quantity)."""
    number, *parts = (_plain(one) for one in divided(escaped, "|"))
    system, unit = parts if len(parts) == 2 else ("", "")
    match = _NUMBER.fullmatch(number)
    try:
        value = Decimal(match.group(2)) if match else None
    except InvalidOperation:
        value = None
    if match is None or value is None or len(parts) not in (0, 2) or (system and not unit):
        raise wrong(name, "a number, alone or as number|system|code")
    exponent = value.as_tuple().exponent
    half = Decimal(5).scaleb((exponent if isinstance(exponent, int) else 0) - 1)
    return Number(
        match.group(1) or "eq", float(value), float(value - half), float(value + half),
        key_of(unit) if unit else None, key_of(system) if system else None,
    )  # fmt: skip


def _targets(parameter: Parameter, text: str, base: str) -> tuple[str, ...]:
    if base and text.startswith(base + "/"):
        text = text[len(base) + 1 :]
    if "/" in text or ":" in text:
        return (key_of(text.split("/_history/")[0]),)
    return tuple(key_of(f"{target}/{text}") for target in parameter.targets)
