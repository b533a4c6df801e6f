"""What can be wrong with an expression, before and while it runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from peerfhir.errors import Fault

MAX_TEXT = 5 * 1024 * 1024  # characters that functions and operators make of shorter texts


class ExpressionProblem(Fault):
    """The expression cannot be used.

    rule    the check that refused it: PM100 syntax, PM122 unknown or unsupported, PM111 undeclared name ...
    offset  characters from the start of the expression to the place
    hint    what to write instead, or ""
    uses    what the expression read before that place: shape and name
    """

    uses: tuple[tuple[Any, str], ...] = ()
    code = "fhirpath-expression"
    issue = "invalid"
    status = 422

    def __init__(self, rule: str, offset: int, what: str, hint: str = "") -> None:
        super().__init__(what, advice=hint or None)
        self.rule = rule
        self.offset = offset
        self.hint = hint


class EvaluationProblem(Fault):
    """The expression met data that it cannot be evaluated on.

    rule    PM710 code not in a map, PM711 many values where one fits, PM712 anything else
    """

    code = "fhirpath-evaluation"
    issue = "processing"
    status = 422

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(what)
        self.rule = rule


def too_long() -> EvaluationProblem:
    """A text that is too long."""
    return EvaluationProblem("PM750", f"a text of more than {MAX_TEXT} characters is not made")


def short(text: str) -> str:
    """A text that is not too long. Raises EvaluationProblem PM750."""
    if len(text) > MAX_TEXT:
        raise too_long()
    return text


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint naming the known word most like `name`, or ""."""
    from difflib import get_close_matches  # only a mistake needs it

    found = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean '{found[0]}'?" if found else ""
