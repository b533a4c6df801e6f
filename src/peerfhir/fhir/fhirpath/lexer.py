"""The text of an expression -> tokens that know where they stood."""

from __future__ import annotations

import re
from datetime import date
from typing import NamedTuple

from peerfhir.fhir.fhirpath.problems import ExpressionProblem


class Token(NamedTuple):
    """One word of an expression.

    kind    name | quoted-name | string | number | date | dateTime | time | variable | symbol | end
    text    its value: a string without quotes and escapes, a date without @, a variable without %
    offset  characters from the start of the expression
    """

    kind: str
    text: str
    offset: int


_ESCAPES = {"'": "'", '"': '"', "`": "`", "\\": "\\", "/": "/", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_SURROGATES = range(0xD800, 0xE000)

_TIME = r"[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?"
_TOKENS = re.compile(
    rf"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<time>@T(?P<clock>{_TIME}))
    |(?P<temporal>@(?P<day>[0-9]{{4}}(?:-[0-9]{{2}}(?:-[0-9]{{2}})?)?)(?P<rest>T(?:{_TIME})?(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})?)?)
    |(?P<number>[0-9]+(?:\.[0-9]+)?L?)
    |(?P<string>'(?:[^'\\]|\\.)*')
    |(?P<quoted>`(?:[^`\\]|\\.)*`)
    |(?P<variable>%(?:[A-Za-z_][A-Za-z0-9_]*|`(?:[^`\\]|\\.)*`|'(?:[^'\\]|\\.)*'))
    |(?P<name>[$]?[A-Za-z_][A-Za-z0-9_]*)
    |(?P<symbol>!=|!~|<=|>=|[.,:()\[\]{{}}+\-*&|=~<>]|/(?!\*))""",
    re.VERBOSE | re.DOTALL,
)


def tokens(text: str) -> list[Token]:
    """The words of an expression, ended by one of kind "end".

    Raises  ExpressionProblem PM100 (no such sign, text without end) or PM125 (escape, date, number)
    """
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKENS.match(text, at)
        if match is None:
            raise _unreadable(text, at)
        if match.lastgroup != "space":
            found.append(_token(match, at))
        at = match.end()
    found.append(Token("end", "", len(text)))
    return found


def _token(match: re.Match[str], at: int) -> Token:
    text, kind = match.group(), match.lastgroup
    if kind in ("name", "symbol", "number"):
        return Token(kind, text, at)
    if match.group("time"):
        return Token("time", _time(match.group("clock"), at), at)
    if match.group("temporal"):
        return _temporal(match, at)
    if match.group("string"):
        return Token("string", _unescape(text[1:-1], at + 1), at)
    if match.group("quoted"):
        return Token("quoted-name", _unescape(text[1:-1], at + 1), at)
    name = text[1:]
    return Token("variable", _unescape(name[1:-1], at + 2) if name[0] in "`'" else name, at)


def _temporal(match: re.Match[str], at: int) -> Token:
    day, rest = match.group("day"), match.group("rest")
    try:
        date.fromisoformat((day + "-01-01")[:10])
    except ValueError:
        raise ExpressionProblem("PM125", at, f"@{day} is not a date of the calendar") from None
    if rest is None:
        return Token("date", day, at)
    clock = re.match(_TIME, rest[1:])
    if clock:
        _time(clock.group(), at)
    return Token("dateTime", day + (rest if clock else ""), at)


def _time(clock: str, at: int) -> str:
    limits = zip(re.split("[:.]", clock)[:3], (23, 59, 59), strict=False)
    if any(int(part) > limit for part, limit in limits):
        raise ExpressionProblem("PM125", at, "that is not a time of day")
    return clock


def _unescape(text: str, at: int) -> str:
    def one(match: re.Match[str]) -> str:
        escape = match.group(1)
        if escape[0] == "u" and len(escape) == 5 and int(escape[1:], 16) not in _SURROGATES:
            return chr(int(escape[1:], 16))
        if escape in _ESCAPES:
            return _ESCAPES[escape]
        raise ExpressionProblem(
            "PM125", at + match.start(), "this escape does not exist", r"write \\ for a backslash, \' for a quote"
        )

    return _ESCAPE.sub(one, text)


def _unreadable(text: str, at: int) -> ExpressionProblem:
    sign = text[at]
    if sign in "'`":
        return ExpressionProblem("PM100", at, f"the text that begins here has no closing {sign}")
    if sign == '"':
        return ExpressionProblem("PM100", at, "texts stand in single quotes", "write 'text'")
    if sign == "@":
        return ExpressionProblem("PM125", at, "this is not a date, a time or a moment", "write @2026-01-31")
    if text.startswith("/*", at):
        return ExpressionProblem("PM100", at, "the comment that begins here has no end")
    return ExpressionProblem("PM100", at, f"'{sign}' has no meaning here")
