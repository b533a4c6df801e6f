"""Dialects: which functions and names an expression may use where it stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way of using the language. Every dialect has the whole library of the standard.

    more     functions it has besides
    prints   `&` takes every primitive, written as toString() does; else texts alone
    watched  what looks at every item tells the watch of the evaluation, so that a record cannot take for ever
    amounts  toQuantity('min') on a number makes a Quantity of FHIR; else numbers have the unit '1'
    """

    name: str
    more: frozenset[str] = frozenset()
    prints: bool = False
    amounts: bool = False
    watched: bool = False


MAPPING = Dialect("mapping", frozenset(("translate", "band", "fullUrl")), prints=True, amounts=True, watched=True)
STANDARD = Dialect("standard")
VIEW = Dialect("view", frozenset(("getResourceKey", "getReferenceKey")))
SDC = Dialect("sdc", frozenset(("translate", "band")))  # where a document brings code maps and bands
RULE = Dialect("rule", prints=True)  # rules of a site over a plain record
