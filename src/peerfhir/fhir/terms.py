"""What can be said offline about the codes of a resource beyond required bindings: known, wrong, cannot know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from peerfhir.fhir.issues import Finding
from peerfhir.fhir.terminology import Answer, Terminology

_UNKNOWN = "The code system of this code is not at hand: the code was not checked."
_WRONG = "The code system at hand has no such code."


def check(resource: dict[str, Any], path: str, terminology: Terminology, seen: set[str]) -> Iterator[Finding]:
    """A finding for each code that its system has not, and one for each system that is not at hand, at its first code.

    Unknown is never an error and never silent. Units of quantities are left to their own rules.

    seen  the systems that were said not to be at hand; it is added to
    """
    waiting: list[tuple[str, Any]] = [(path, resource)]
    while waiting:
        place, node = waiting.pop()
        system, code = node.get("system"), node.get("code")
        if type(system) is str and type(code) is str and "value" not in node and "unit" not in node:
            answer = terminology.ask_system(system, code)
            if answer is Answer.INVALID:
                yield Finding("warning", "code-invalid", f"{place}.code", _WRONG)
            elif answer is Answer.UNKNOWN and system not in seen:
                seen.add(system)
                yield Finding("information", "informational", f"{place}.code", _UNKNOWN)
        inner: list[tuple[str, Any]] = []
        for key, one in node.items():
            if type(one) is dict and key != "resource":
                inner.append((f"{place}.{key}", one))
            elif type(one) is list and key != "contained":
                inner += [(f"{place}.{key}[{at}]", each) for at, each in enumerate(one) if type(each) is dict]
        waiting += reversed(inner)
