"""Regular expressions of a safe subset: no back-references, no looking around, nothing that can run away."""

from __future__ import annotations

import math
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
_GROUP = re.compile(r"\$(?:\{(\w{1,99})\}|([0-9]{1,4}))", re.ASCII)
_NAMED = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|\(\?<(?=[A-Za-z_])", re.DOTALL)
_REPEATS = frozenset(("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"))
_SAMPLES = [chr(at) for at in range(256)] + ["é", "Ω", "中", "\u2003", "😀"]


class UnsafePattern(Exception):
    """Why a pattern is refused."""


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of the safe subset.

    Raises  UnsafePattern when it is not one, or not a regular expression
    """
    return _safe(pattern)[0]


@lru_cache(maxsize=512)
def _safe(pattern: str) -> tuple[re.Pattern[str], int]:
    """The pattern, and how long a text it is matched with: its work grows with the square of that."""
    if len(pattern) > _MAX_PATTERN:
        raise UnsafePattern(f"the pattern is longer than {_MAX_PATTERN} characters")
    if _NESTED_SET.search(pattern):
        raise UnsafePattern("a [ that begins a set is written \\[")
    try:
        written = _NAMED.sub(lambda one: one.group(1) or "(?P<", pattern)  # a name as the standard writes it
        found = re.compile(written, re.DOTALL)
        tree = _parser.parse(written, re.DOTALL)
    except (re.error, RecursionError, OverflowError):
        raise UnsafePattern("this is not a regular expression") from None
    folds = bool(found.flags & re.IGNORECASE) or _folds(tree)
    ways = _check(_Reading(tree, folds=folds).whole(tree), None, True)
    return found, int(MAX_SUBJECT / ways**0.5)


def at_run_time(pattern: str, subject: str) -> re.Pattern[str]:
    """A pattern that came from data. Raises EvaluationProblem PM712 (pattern) or PM750 (subject too long)."""
    if len(subject) > MAX_SUBJECT:
        raise EvaluationProblem("PM750", f"a text longer than {MAX_SUBJECT} characters is not matched")
    try:
        found, longest = _safe(pattern)
    except UnsafePattern as problem:
        raise EvaluationProblem("PM712", f"a pattern is refused: {problem}") from None
    if len(subject) > longest:
        what = f"a text longer than {longest} characters is not matched by a pattern with so many ways to match"
        raise EvaluationProblem("PM750", what)
    return found


# --- what a pattern can do ------------------------------------------------------------------------------------------

Signs = frozenset[str]
_NONE: Signs = frozenset()
_EVERY: Signs = frozenset(_SAMPLES)
_WIDE, _BOUNDED = 8, 100  # more times than the first: a repeat that counts; than the second: one without end
_MOST_CHOICES = 6  # optional parts that could as well be skipped, beside each other
_DEEPEST = 40
_ENDS = frozenset(("AT_END", "AT_END_STRING"))
_WITHIN = 32  # characters of a range that a pattern is tried with


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a pattern.

    takes, begins, ends  the signs it can match at all, at its beginning, at its end
    empty                whether it can be nothing
    word                 sign | sequence | branch | repeat | end (of the text) | edge (of a word or line)
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

    def __init__(self, tree: Any, *, folds: bool) -> None:
        self._samples = frozenset((*_SAMPLES, *_signs_of(tree)))
        self._folds = folds  # upper and lower case are one, here or there: taken for everywhere

    def whole(self, tree: Any, depth: int = 0) -> _Part:
        if depth > _DEEPEST:
            raise UnsafePattern("the pattern is nested too deeply")
        return _sequence([self._part(str(operator), argument, depth) for operator, argument in tree])

    def _part(self, name: str, argument: Any, depth: int) -> _Part:
        if name in _REFUSED:
            raise UnsafePattern(f"{_REFUSED[name]} is not supported")
        if name == "AT":
            return _Part(_NONE, _NONE, _NONE, True, "end" if str(argument) in _ENDS else "edge")
        if name in ("SUBPATTERN", "ATOMIC_GROUP"):
            return self.whole(argument[3] if name == "SUBPATTERN" else argument, depth + 1)
        if name == "BRANCH":
            return _branch([self.whole(one, depth + 1) for one in argument[1]])
        if name in _REPEATS:
            least, most, inner = argument
            part = self.whole(inner, depth + 1)
            empty = least == 0 or part.empty
            return _Part(part.takes, part.begins, part.ends, empty, "repeat", (part,), most - least, most > 1)
        signs = frozenset(sign for sign in self._samples if self._fits(name, argument, sign))
        return _Part(signs, signs, signs, False)

    def _fits(self, name: str, argument: Any, sign: str) -> bool:
        if not self._folds:
            return _sign_fits(name, argument, sign)
        alike = {sign, sign.lower(), sign.upper(), sign.upper().lower(), sign.lower().upper()}
        return any(_sign_fits(name, argument, one) for one in alike if len(one) == 1)


def _check(part: _Part, after: Signs | None, outermost: bool) -> int:
    """How many ways there are to match at one place; refuses what could take longer than the square of the subject.

    In a loop the next sign alone decides what happens; outside, repeats without end never share what they match.

    after      the signs that can follow inside the loop around it; None outside of loops
    outermost  a sequence that is no part of another, outside of loops
    """
    ways = 1
    if part.word == "sequence":
        if outermost:
            ways = _apart(part.parts)
        for at, one in enumerate(part.parts):
            rest = _sequence(part.parts[at + 1 :])
            following = None if after is None else rest.begins | (after if rest.empty else _NONE)
            if following is not None and one.slack and one.begins & following:
                raise UnsafePattern("a part inside a repeat could end earlier or later: what follows begins alike")
            ways *= _check(one, following, one.word != "sequence" and following is None)
    elif part.word == "branch":
        if after is not None and (
            _twice_nothing(part)
            or any(one.begins & other.begins for at, one in enumerate(part.parts) for other in part.parts[:at])
        ):
            raise UnsafePattern("alternatives inside a repeat begin alike")
        for one in part.parts:
            ways *= _check(one, after, after is None)
    elif part.word == "repeat":
        inner = part.parts[0]
        if part.loops and inner.empty:
            raise UnsafePattern("a repeat stands around something that can be nothing")
        ways = _check(inner, (after or _NONE) | inner.begins if part.loops else after, after is None and not part.loops)
    return ways


def _twice_nothing(part: _Part) -> bool:
    """Whether two alternatives can be nothing: what (a|a) is once Python has taken out what they begin with."""
    return part.word == "branch" and sum(way.empty for way in part.parts) > 1


def _flat(parts: Sequence[_Part]) -> Iterator[_Part]:
    for part in parts:
        yield from _flat(part.parts) if part.word == "sequence" else (part,)


def _slack(part: _Part) -> int:
    """How many more times than it must the freest repeat in it may go on."""
    return max([part.slack, *(_slack(one) for one in part.parts)])


def _apart(given: Sequence[_Part]) -> int:
    ways = 1
    parts = list(_flat(given))
    wide = [at for at, part in enumerate(parts) if _slack(part) > _WIDE]
    if wide and parts[wide[-1]].takes >= _EVERY and all(part.word == "end" for part in parts[wide[-1] + 1 :]):
        wide.pop()  # .* at the end takes what is left and never fails
    met = 0
    for at, one in enumerate(wide):
        for other in wide[at + 1 :]:
            if _meet(parts[one], parts[other], [part for part in parts[one + 1 : other] if not part.empty]):
                fewest = min(_slack(parts[one]), _slack(parts[other]))
                met += 1 if fewest <= _BOUNDED else 2
                ways *= fewest + 1
    if met > 1:
        raise UnsafePattern("two repeats without end can match the same characters")
    choices = [
        at for at, part in enumerate(parts)
        if 0 < part.slack <= _WIDE and (_twice_nothing(part) or part.begins & _sequence(parts[at + 1 :]).begins)
    ]  # fmt: skip
    if len(choices) > _MOST_CHOICES:
        raise UnsafePattern("too many optional parts could match the same characters")
    return ways * math.prod(parts[at].slack + 1 for at in choices)


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
            first, last = argument
            yield from map(chr, range(first, last + 1, max(1, (last - first) // _WITHIN)))
            yield chr(last)
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
            found = found or _is_of(str(argument), sign)
    return found is not negated


@lru_cache(maxsize=4096)
def _is_of(category: str, sign: str) -> bool:
    return re.match(_CATEGORIES[category], sign) is not None


def _folds(tree: Any) -> bool:
    """Whether a part of the pattern takes upper and lower case for one: (?i:...)."""
    for operator, argument in tree:
        name = str(operator)
        if name == "SUBPATTERN" and (argument[1] & re.IGNORECASE or _folds(argument[3])):
            return True
        if name == "BRANCH" and any(_folds(one) for one in argument[1]):
            return True
        if (name in _REPEATS and _folds(argument[2])) or (name == "ATOMIC_GROUP" and _folds(argument)):
            return True
    return False


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d", "CATEGORY_NOT_DIGIT": r"\D", "CATEGORY_SPACE": r"\s", "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w", "CATEGORY_NOT_WORD": r"\W",
}  # fmt: skip


def replacement(text: str, pattern: re.Pattern[str]) -> str:
    """A replacement with `$1` or `${name}` for groups of the pattern, as Python writes it.

    Raises  UnsafePattern when the pattern has no such group
    """

    def group(found: re.Match[str]) -> str:
        word = found.group(1) or found.group(2)
        if word in pattern.groupindex or (word.isdigit() and int(word) <= pattern.groups):
            return rf"\g<{word}>"
        raise UnsafePattern("the replacement names a group that the pattern has not")

    return _GROUP.sub(group, text.replace("\\", "\\\\"))
