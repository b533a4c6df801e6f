"""Patterns that values must match, run by an engine whose time grows with the text alone."""

from __future__ import annotations

from collections.abc import Callable

from peerfhir.fhir.fhirpath import patterns

MAX_SUBJECT = patterns.MAX_SUBJECT


def matcher(pattern: str) -> Callable[[str], bool]:
    """A function that tells whether a whole text matches.

    pattern  of the subset that expressions accept: one pattern means the same in both places
    Raises   UnsafePattern with the reason
    """
    patterns.compiled(pattern)
    import jsonschema_rs  # 30 ms, for the few documents that have a pattern

    try:
        found = jsonschema_rs.validator_for(
            {"pattern": f"^(?s:{pattern})$"}, pattern_options=jsonschema_rs.RegexOptions(), mask="(value)", offline=True
        )
    except (ValueError, jsonschema_rs.ValidationError):
        raise patterns.UnsafePattern("this is not a regular expression of the supported subset") from None
    return found.is_valid
