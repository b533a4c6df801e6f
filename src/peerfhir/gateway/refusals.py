"""What the pathway will not do, said in HTTP: reason -> issue code and status."""

from __future__ import annotations

from peerfhir.errors import (
    BusinessRule,
    Conflict,
    Fault,
    Forbidden,
    NotFound,
    RequiredMissing,
    VersionConflict,
)
from peerfhir.pathway import refusals

FAULT_OF: dict[type[refusals.Refusal], type[Fault]] = {
    refusals.IllegalTransition: BusinessRule,
    refusals.WrongActor: Forbidden,
    refusals.ReasonMissing: RequiredMissing,
    refusals.NotFoundHere: NotFound,
    refusals.Closed: BusinessRule,
    refusals.SharingStopped: BusinessRule,
    refusals.ConsentIncomplete: BusinessRule,
    refusals.AttemptsMissing: BusinessRule,
    refusals.PeerNotAvailable: BusinessRule,
    refusals.BadTimes: BusinessRule,
    refusals.BadAnswer: BusinessRule,
    refusals.TooLong: BusinessRule,
    refusals.NotGrantable: BusinessRule,
    refusals.StaleVersion: VersionConflict,
    refusals.AlreadyRecorded: Conflict,
    refusals.NamesSomeone: BusinessRule,
}


def fault_of(refusal: refusals.Refusal, *, place: str | None = None) -> Fault:
    """The fault a door answers with; the refusal's own sentence is what people read.

    place  where it stands in what was sent; the refusal's own field when not given
    """
    kind = next((FAULT_OF[one] for one in type(refusal).__mro__ if one in FAULT_OF), BusinessRule)
    return kind(str(refusal), place=place or refusal.field)
