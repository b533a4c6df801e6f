"""Where an entry stands inside what was sent, for faults."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from peerfhir.errors import Fault, InvalidResource
from peerfhir.fhir.bundle import Entry
from peerfhir.fhir.issues import Finding


def path_of(entry: Entry) -> str:
    """Where the resource of an entry stands: its type alone, when it came alone."""
    return f"{entry.place}.resource" if entry.place else entry.type


@contextmanager
def at(entry: Entry, element: str = "") -> Iterator[None]:
    """Faults from within get their place inside the Bundle."""
    try:
        yield
    except Fault as fault:
        if entry.place:
            if isinstance(fault, InvalidResource):
                fault.findings = tuple(
                    one.below(path_of(entry)) if isinstance(one, Finding) else one for one in fault.findings
                )
            elif fault.place and fault.place.startswith(f"{entry.type}."):
                fault.place = path_of(entry) + fault.place.removeprefix(entry.type)
            elif not (fault.place or "").startswith("Bundle."):
                fault.place = f"{entry.place}.{element}" if element else path_of(entry)
        raise
