"""Which methods an address takes: what dispatches a call, what Allow says, and what is not there at all."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from peerfhir.errors import NotFound
from peerfhir.fhir import compartments
from peerfhir.fhir.capability import INTERACTIONS
from peerfhir.fhir.parameters import PARAMETERS

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ORDER = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_OF_ONE = {"GET": "read", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True)
class Offered:
    """What a server offers, as its CapabilityStatement says it.

    types         resource type -> interactions of the codes in capability.INTERACTIONS
    conditional   whether creates and updates may have a condition
    transactions  whether Bundles are carried out
    """

    types: Mapping[str, Collection[str]] = field(default_factory=lambda: dict.fromkeys(PARAMETERS, INTERACTIONS))
    conditional: bool = True
    transactions: bool = True

    def methods(self, parts: Sequence[str]) -> tuple[str, ...]:
        """The methods of an address below the base, in a fixed order. Raises NotFound where there is none.

        HEAD goes with GET. Source: RFC 9110, 9.3.2
        """
        found = self._of(parts)
        head = "HEAD" if "GET" in found else ""
        return tuple(one for one in _ORDER if one in found or one in (head, "OPTIONS"))

    def takes(self, method: str, parts: Sequence[str]) -> bool:
        """Whether an address takes a method. Raises NotFound where there is no such address."""
        return ("GET" if method == "HEAD" else method) in self._of(parts)

    def _of(self, parts: Sequence[str]) -> Collection[str]:
        if not parts:
            return ("POST",) if self.transactions else ()
        if parts[0] == "metadata" and len(parts) == 1:
            return ("GET",)
        if parts[0] not in self.types or parts[0] not in PARAMETERS:
            known = bool(_TYPE.fullmatch(parts[0]))
            raise NotFound("This resource type is not served here." if known else "There is no such address here.")
        name, *rest = parts
        if not rest or rest[0].startswith(("_", "$")):
            return self._of_type(name, rest)
        if not _ID.fullmatch(rest[0]):
            raise NotFound("There is no such address here.")
        return self._of_one(name, rest[1:])

    def _of_type(self, name: str, rest: Sequence[str]) -> Collection[str]:
        offered = self.types[name]
        if not rest:
            by_search = self.conditional and "create" in offered and "update" in offered
            found = [method for method, one in (("GET", "search-type"), ("POST", "create")) if one in offered]
            return [*found, "PUT"] if by_search else found
        kinds = {"_search": ("POST", "search-type"), "_history": ("GET", "history-type"), "$validate": ("POST", "")}
        return _one_of(kinds, rest, offered)

    def _of_one(self, name: str, rest: Sequence[str]) -> Collection[str]:
        offered = self.types[name]
        if not rest:
            return [method for method, one in _OF_ONE.items() if one in offered]
        if rest[0] == "_history" and len(rest) == 2:
            return ("GET",) if "vread" in offered else ()
        if name == "Patient" and len(rest) == 1 and rest[0] in compartments.PATIENT:
            return ("GET",) if "search-type" in self.types.get(rest[0], ()) else ()
        if name == "Patient" and list(rest) == ["$everything"]:
            return ("GET", "POST") if "read" in offered and "search-type" in offered else ()
        return _one_of({"_history": ("GET", "history-instance"), "$validate": ("POST", "")}, rest, offered)


def _one_of(kinds: Mapping[str, tuple[str, str]], rest: Sequence[str], offered: Collection[str]) -> Collection[str]:
    if len(rest) != 1 or rest[0] not in kinds:
        raise NotFound("There is no such address here.")
    method, interaction = kinds[rest[0]]
    return (method,) if not interaction or interaction in offered else ()
