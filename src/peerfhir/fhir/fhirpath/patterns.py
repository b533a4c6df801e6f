"""Regular expressions of a safe subset: no back-references, no looking around, nothing that can run away."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from re import _parser  # type: ignore[attr-defined]  # no other way to see what a pattern can do
from typing import Any

from peerfhir.fhir.fhirpath.problems import EvaluationProblem

MAX_SUBJECT = 10_000
_MAX_PATTERN = 2_000
_REFUSED = {
    "GROUPREF": "a back-reference", "GROUPREF_EXISTS": "a back-reference", "ASSERT": "looking around",
    "ASSERT_NOT": "looking around",
}  # fmt: skip
_NESTED_SET = re.compile(r"\[\^?\[|\[[^\]]*(?:--|&&|~~|\|\|)")  # Python warns that their meaning will change
_REPEATS = frozenset(("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"))
_SAMPLES = [chr(at) for at in range(256)] + ["é", "Ω", "中", "\u2003", "😀"]


class UnsafePattern(Exception):
    """Why a pattern is refused."""


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of the safe subset.

    Raises  UnsafePattern when it is not one, or not a regular expression
    """
    if len(pattern) > _MAX_PATTERN:
        raise UnsafePattern(f"the pattern is longer than {_MAX_PATTERN} characters")
    if _NESTED_SET.search(pattern):
        raise UnsafePattern("a [ that begins a set is written \\[")
    try:
        found = re.compile(pattern, re.DOTALL)
        tree = _parser.parse(pattern, re.DOTALL)
    except (re.error, RecursionError, OverflowError):
        raise UnsafePattern("this is not a regular expression") from None
    _check(_Reading(tree).whole(tree), None, True)
    return found


def at_run_time(pattern: str, subject: str) -> re.Pattern[str]:
    """A pattern that came from data. Raises EvaluationProblem PM712 (pattern) or PM750 (subject too long)."""
    if len(subject) > MAX_SUBJECT:
        raise EvaluationProblem("PM750", f"a text longer than {MAX_SUBJECT} characters is not matched")
    try:
        return compiled(pattern)
    except UnsafePattern as problem:
        raise EvaluationProblem("PM712", f"a pattern is refused: {problem}") from None


# --- what a pattern can do ------------------------------------------------------------------------------------------

Signs = frozenset[str]
_NONE: Signs = frozenset()
_EVERY: Signs = frozenset(_SAMPLES)
_WIDE, _BOUNDED = 8, 100  # more times than the first: a repeat that counts; than the second: one without end
_MOST_CHOICES = 6  # optional parts that could as well be skipped, beside each other
_DEEPEST = 40


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a pattern.

    takes, begins, ends  the signs it can match at all, at its beginning, at its end
    empty                whether it can be nothing
    word                 sign | sequence | branch | repeat
    parts                what it is made of
    slack                how many more times than it must it may repeat
    loops                whether it may repeat at all
    """

    takes: Signs
    begins: Signs
    ends: Signs
    empty: bool
    word: str = "sign"
    parts: tuple[_Part, ...] = ()
    slack: int = 0
    loops: bool = False


def _sequence(parts: Sequence[_Part]) -> _Part:
    takes = _NONE.union(*(part.takes for part in parts))
    edges = []
    for way in (parts, parts[::-1]):
        edge = _NONE
        for part in way:
            edge |= part.begins if way is parts else part.ends
            if not part.empty:
                break
        edges.append(edge)
    return _Part(takes, edges[0], edges[1], all(part.empty for part in parts), "sequence", tuple(parts))


def _branch(ways: Sequence[_Part]) -> _Part:
    takes, begins, ends = (
        _NONE.union(*signs) for signs in zip(*((way.takes, way.begins, way.ends) for way in ways), strict=True)
    )
    empty = any(way.empty for way in ways)
    alike = any(one.begins & other.begins for at, one in enumerate(ways) for other in ways[:at])
    return _Part(takes, begins, ends, empty, "branch", tuple(ways), 1 if alike or empty else 0)


class _Reading:
    """The parsed pattern as parts."""

    def __init__(self, tree: Any) -> None:
        self._samples = frozenset((*_SAMPLES, *_signs_of(tree)))

    def whole(self, tree: Any, depth: int = 0) -> _Part:
        if depth > _DEEPEST:
            raise UnsafePattern("the pattern is nested too deeply")
        return _sequence([self._part(str(operator), argument, depth) for operator, argument in tree])

    def _part(self, name: str, argument: Any, depth: int) -> _Part:
        if name in _REFUSED:
            raise UnsafePattern(f"{_REFUSED[name]} is not supported")
        if name == "AT":
            return _Part(_NONE, _NONE, _NONE, True)
        if name in ("SUBPATTERN", "ATOMIC_GROUP"):
            return self.whole(argument[3] if name == "SUBPATTERN" else argument, depth + 1)
        if name == "BRANCH":
            return _branch([self.whole(one, depth + 1) for one in argument[1]])
        if name in _REPEATS:
            least, most, inner = argument
            part = self.whole(inner, depth + 1)
            empty = least == 0 or part.empty
            return _Part(part.takes, part.begins, part.ends, empty, "repeat", (part,), most - least, most > 1)
        signs = frozenset(sign for sign in self._samples if _sign_fits(name, argument, sign))
        return _Part(signs, signs, signs, False)


def _check(part: _Part, after: Signs | None, outermost: bool) -> None:
    """Refuses what could take longer than the square of the subject's length.

    In a loop the next sign alone decides what happens; outside, repeats without end never share what they match.

    after      the signs that can follow inside the loop around it; None outside of loops
    outermost  a sequence that is no part of another, outside of loops
    """
    if part.word == "sequence":
        if outermost:
            _apart(part.parts)
        for at, one in enumerate(part.parts):
            rest = _sequence(part.parts[at + 1 :])
            following = None if after is None else rest.begins | (after if rest.empty else _NONE)
            if following is not None and one.slack and one.begins & following:
                raise UnsafePattern("a part inside a repeat could end earlier or later: what follows begins alike")
            _check(one, following, one.word != "sequence" and following is None)
    elif part.word == "branch":
        if after is not None and any(
            one.begins & other.begins for at, one in enumerate(part.parts) for other in part.parts[:at]
        ):
            raise UnsafePattern("alternatives inside a repeat begin alike")
        for one in part.parts:
            _check(one, after, after is None)
    elif part.word == "repeat":
        inner = part.parts[0]
        if part.loops and inner.empty:
            raise UnsafePattern("a repeat stands around something that can be nothing")
        _check(inner, (after or _NONE) | inner.begins if part.loops else after, after is None and not part.loops)


def _flat(parts: Sequence[_Part]) -> Iterator[_Part]:
    for part in parts:
        yield from _flat(part.parts) if part.word == "sequence" else (part,)


def _slack(part: _Part) -> int:
    """How many more times than it must the freest repeat in it may go on."""
    return max([part.slack, *(_slack(one) for one in part.parts)])


def _apart(given: Sequence[_Part]) -> None:
    parts = list(_flat(given))
    wide = [at for at, part in enumerate(parts) if _slack(part) > _WIDE]
    if wide and parts[wide[-1]].takes >= _EVERY and not any(part.takes for part in parts[wide[-1] + 1 :]):
        wide.pop()  # .* at the end takes what is left and never fails
    met = 0
    for at, one in enumerate(wide):
        for other in wide[at + 1 :]:
            if _meet(parts[one], parts[other], [part for part in parts[one + 1 : other] if not part.empty]):
                met += 1 if min(_slack(parts[one]), _slack(parts[other])) <= _BOUNDED else 2
    if met > 1:
        raise UnsafePattern("two repeats without end can match the same characters")
    choices = [
        at for at, part in enumerate(parts)
        if 0 < part.slack <= _WIDE and part.begins & _sequence(parts[at + 1 :]).begins
    ]  # fmt: skip
    if len(choices) > _MOST_CHOICES:
        raise UnsafePattern("too many optional parts could match the same characters")


def _meet(first: _Part, second: _Part, between: Sequence[_Part]) -> bool:
    """Whether a second repeat could match what a first one gives back, from more than one place."""
    shared = first.takes & second.takes
    meet = all(part.takes & shared for part in between) if between else bool(first.takes & second.begins)
    return meet and bool(first.ends & second.takes)


def _signs_of(tree: Any) -> Iterator[str]:
    """Characters that a pattern names, so that it is tried with them."""
    for operator, argument in tree:
        name = str(operator)
        if name in ("LITERAL", "NOT_LITERAL"):
            yield chr(argument)
        elif name == "RANGE":
            yield from (chr(argument[0]), chr(argument[1]))
        elif name == "IN":
            yield from _signs_of(argument)
        elif name == "BRANCH":
            for one in argument[1]:
                yield from _signs_of(one)
        elif name in _REPEATS:
            yield from _signs_of(argument[2])
        elif name in ("SUBPATTERN", "ATOMIC_GROUP"):
            yield from _signs_of(argument[3] if name == "SUBPATTERN" else argument)


def _sign_fits(name: str, argument: Any, sign: str) -> bool:
    """Whether a part that matches one character matches this one."""
    if name in ("LITERAL", "NOT_LITERAL"):
        return bool((argument == ord(sign)) == (name == "LITERAL"))
    return _set_takes(argument, sign) if name == "IN" else True


def _set_takes(items: Any, sign: str) -> bool:
    found, negated = False, False
    for operator, argument in items:
        name = str(operator)
        if name == "NEGATE":
            negated = True
        elif name == "LITERAL":
            found = found or argument == ord(sign)
        elif name == "RANGE":
            found = found or argument[0] <= ord(sign) <= argument[1]
        else:
            found = found or re.match(_CATEGORIES[str(argument)], sign) is not None
    return found is not negated


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d", "CATEGORY_NOT_DIGIT": r"\D", "CATEGORY_SPACE": r"\s", "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w", "CATEGORY_NOT_WORD": r"\W",
}  # fmt: skip


def replacement(text: str) -> str:
    """A replacement with `$1` or `${name}` for groups, as Python writes it."""
    escaped = text.replace("\\", "\\\\")
    return re.sub(r"\$(?:\{(\w+)\}|(\d+))", lambda found: rf"\g<{found.group(1) or found.group(2)}>", escaped)
