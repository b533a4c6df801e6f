"""Dialects: which functions and operators an expression may use where it stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way of using the language.

    functions  the names it accepts; None for the whole library of the standard
    more       names it accepts besides the library
    operators  the binary operators it accepts; None for all
    """

    name: str
    functions: frozenset[str] | None = None
    more: frozenset[str] = frozenset()
    operators: frozenset[str] | None = None


# mapping documents: proven small; what it lacks is refused when the document is read
MAPPING = Dialect(
    "mapping",
    functions=frozenset(("where", "first", "exists", "not", "iif", "translate")),
    operators=frozenset(("=", "and", "or", "&")),
)
STANDARD = Dialect("standard")
VIEW = Dialect("view", more=frozenset(("getResourceKey", "getReferenceKey")))
SDC = Dialect("sdc")
