"""A resource -> findings with FHIRPath expressions."""

from __future__ import annotations

from collections.abc import Iterable

from peerfhir.fhir import model, site
from peerfhir.fhir.issues import Finding
from peerfhir.fhir.reader import Json

__all__ = ["Finding", "validate"]


def validate(
    resource: Json,
    *,
    profiles: Iterable[str] = (),
    strict: bool = False,
    informed: bool = False,
    by_model: bool = False,
) -> tuple[Finding, ...]:
    """Everything that speaks against a resource, errors first; empty when nothing does. Never raises.

    Judged are R4 itself (structure, required codes, invariants), the profiles that the resource claims and this
    site has installed (see `fhir.site`), those that are asked for, and what our doors ask beside the specification:
    references that can be followed without a store, and the rules of a referral Task. This is the function behind
    `$validate`: a resource without an error here is stored.

    profiles  canonical urls to hold it against, whether it claims them or not; one that is not at hand is named
              by a finding of severity information
    strict    for what we send: a reference to a type that is not allowed there is an error, not a warning
    informed  for `$validate`: says as well which codes could not be looked up, and what is good practice
    by_model  asks `fhir.model` as well where the rest is content; for what we send, as a second opinion
    Source    docs/rules.md, Doors
    """
    judge = site.judge()
    found = judge.findings(resource, profiles=profiles, strict=strict, at_door=True, informed=informed)
    if by_model and not any(one.severity == "error" for one in found):
        found += model.parse(resource)
    return tuple(dict.fromkeys(sorted(found, key=_rank)))


def _rank(finding: Finding) -> int:
    return ("fatal", "error", "warning", "information").index(finding.severity)
