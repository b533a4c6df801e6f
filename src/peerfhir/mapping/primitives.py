"""Primitives with extensions, or with the reason why they are absent."""

from __future__ import annotations

from typing import Any

URL = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
# Source: http://terminology.hl7.org/CodeSystem/data-absent-reason
ABSENT_REASONS = (
    "unknown", "asked-unknown", "temp-unknown", "not-asked", "asked-declined", "masked", "not-applicable",
    "unsupported", "as-text", "error", "not-a-number", "negative-infinity", "positive-infinity", "not-performed",
    "not-permitted",
)  # fmt: skip


def absent(extra: dict[str, Any] | None, reason: str) -> dict[str, Any]:
    """What stands beside a primitive without a value: `extra` with one extension more."""
    made = extra or {}
    return {**made, "extension": [*made.get("extension", ()), {"url": URL, "valueCode": reason}]}


def present(values: list[Any]) -> list[Any] | None:
    """One of the two lists of a repeating primitive, or None when it holds nothing but nulls."""
    return values if any(one is not None for one in values) else None
