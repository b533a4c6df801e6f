"""The judge of this installation: R4, and the profiles of the packages that the site has added."""

from __future__ import annotations

from functools import cache

from peerfhir.fhir import schema
from peerfhir.fhir.judge import Judge


@cache
def judge() -> Judge:
    """The judge that every door of this process asks."""
    return Judge(schema.r4())
