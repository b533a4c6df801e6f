"""Regular expressions of a safe subset: no back-references, no looking around, nothing that can run away."""

from __future__ import annotations

import re
from functools import lru_cache
from re import _constants, _parser  # type: ignore[attr-defined]  # no other way to see what a pattern can do
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
    _check(tree, 0)
    return found


def at_run_time(pattern: str, subject: str) -> re.Pattern[str]:
    """A pattern that came from data. Raises EvaluationProblem PM712 (pattern) or PM750 (subject too long)."""
    if len(subject) > MAX_SUBJECT:
        raise EvaluationProblem("PM750", f"a text longer than {MAX_SUBJECT} characters is not matched")
    try:
        return compiled(pattern)
    except UnsafePattern as problem:
        raise EvaluationProblem("PM712", f"a pattern is refused: {problem}") from None


def _check(tree: Any, unbounded: int) -> None:
    before: list[Any] = []  # the unbounded repeats that can end where the next part begins
    for operator, argument in tree:
        name = str(operator)
        if name in _REFUSED:
            raise UnsafePattern(f"{_REFUSED[name]} is not supported")
        if name in _REPEATS:
            least, most, inner = argument
            endless = most is _constants.MAXREPEAT or most > 100
            if endless and unbounded:
                raise UnsafePattern("a repeat without end stands inside another")
            _check(inner, unbounded + endless)
            if endless:
                if any(_overlap(inner, other) for other in before):
                    raise UnsafePattern("two repeats without end stand beside each other and match the same characters")
                before = [*before, inner] if not least else [inner]
            elif least:
                before = []
            continue
        inners = _inside(name, argument)
        if unbounded and any(_overlap(one, other) for at, one in enumerate(inners) for other in inners[:at]):
            raise UnsafePattern("alternatives inside a repeat without end match the same characters")
        for inner in inners:
            _check(inner, unbounded)
        if name not in ("AT",):
            before = []


def _inside(name: str, argument: Any) -> list[Any]:
    if name == "SUBPATTERN":
        return [argument[3]]
    if name == "ATOMIC_GROUP":
        return [argument]
    return list(argument[1]) if name == "BRANCH" else []


def _overlap(left: Any, right: Any) -> bool:
    return any(_takes(left, sign) and _takes(right, sign) for sign in _SAMPLES)


def _takes(tree: Any, sign: str) -> bool:
    """Whether any part of a tree can match one character."""
    return any(_part_takes(str(operator), argument, sign) for operator, argument in tree)


def _part_takes(name: str, argument: Any, sign: str) -> bool:
    if name == "ANY":
        return True
    if name in ("LITERAL", "NOT_LITERAL"):
        return bool((argument == ord(sign)) == (name == "LITERAL"))
    if name == "IN":
        return _set_takes(argument, sign)
    if name in _REPEATS:
        return _takes(argument[2], sign)
    return any(_takes(inner, sign) for inner in _inside(name, argument))


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
