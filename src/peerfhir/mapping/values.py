"""What compiled mappings call while they run: texts, checks of form, copies."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from typing import Any

from peerfhir.fhir.fhirpath.functions import text as printed
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.mapping import forms, identity
from peerfhir.mapping.cells import writer
from peerfhir.mapping.fields import Field
from peerfhir.mapping.zones import Unfit


def text(parts: list[Any]) -> str | None:
    """A text with expressions; None when any of them is empty."""
    if None in parts or "" in parts:
        return None
    return "".join([printed(part) for part in parts])


def escaped(value: Any) -> str | None:
    """A value inside a narrative."""
    return None if value is None else html.escape(printed(value))


def filled(values: list[Any]) -> list[Any]:
    """A list without empty texts."""
    return [one for one in values if one != ""]


def at_most(values: list[Any] | None, most: int) -> list[Any] | None:
    """The same list. Raises EvaluationProblem PM724 where it has more values than the profile allows."""
    if values is not None and len(values) > most:
        raise EvaluationProblem("PM724", f"{len(values)} values are made, and the profile allows {most}")
    return values


def some(values: list[Any]) -> list[Any] | None:
    """A fresh list, or None for an empty one."""
    return list(values) if values else None


def each(function: Callable[[Any], Any], values: list[Any]) -> list[Any]:
    """A function of every item."""
    return [function(one) for one in values]


def wrapped(value: Any) -> Any:
    """A Coding as a CodeableConcept."""
    return None if value is None else {"coding": [copied(value)]}


def copied(value: Any) -> Any:
    """A structure that shares nothing with the source."""
    if isinstance(value, dict):
        return {key: copied(one) for key, one in value.items()}
    return [copied(one) for one in value] if isinstance(value, list) else value


def form_checker(form: str | None, codes: frozenset[str] | None) -> Callable[[Any], Any]:
    """A function that lets a value through when it has the form of a primitive and is among the codes."""
    if form == forms.REFERENCE:
        return _reference

    def check(value: Any) -> Any:
        if value is None:
            return None
        if form is not None and not forms.fits(form, value):
            raise EvaluationProblem("PM720", f"the value does not have the form of {form}")
        if codes is not None and value not in codes:
            raise EvaluationProblem("PM721", "the code is not in the required value set")
        return value

    return check


def _reference(value: Any) -> Any:
    if value is None or (type(value) is str and forms.is_reference(value)):
        return value
    raise EvaluationProblem("PM720", "the value does not have the form of a reference")


def field_checker(field: Field) -> Callable[[Any], Any]:
    """A function that puts a value into a declared field when it fits: its format is printed."""
    write = writer(field)

    def check(value: Any) -> Any:
        if value is None:
            return None
        try:
            return write(value)
        except Unfit as problem:
            raise EvaluationProblem("PM703", str(problem)) from None

    return check


RUNTIME: Mapping[str, Any] = {
    "g_at_most": at_most, "g_text": text, "g_escaped": escaped, "g_filled": filled, "g_some": some, "g_each": each,
    "g_wrapped": wrapped, "g_copied": copied, "g_full_url": identity.full_url, "g_searched": identity.searched,
}  # fmt: skip
