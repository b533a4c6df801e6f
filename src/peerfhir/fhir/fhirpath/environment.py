"""What an evaluation may know besides its input: resource, time, questionnaire, terminology, and where traces go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from peerfhir.fhir.fhirpath.functions import item_of
from peerfhir.fhir.fhirpath.model import Item, Model, Value
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.fhir.fhirpath.temporal import Temporal

Json = Any
_ANY = ("Resource",)
_LONG = 500  # characters of a text that a pattern takes a while with
MAX_ITEMS = 100_000  # a collection larger than this is a mistake or an attack

Member = Callable[[str | None, str, str], bool | None]  # system, code, value set -> yes, no, cannot know
Subsumes = Callable[[str, str, str], bool | None]  # system, code, the code that may be below it
Watch = Callable[[int], None]  # told of items that are looked at; raises EvaluationProblem PM750 when time is up


@dataclass(slots=True)
class Environment:
    """One evaluation. Made for each; never shared between threads.

    resource       the resource that holds the context; the context itself when absent
    root           the resource or Bundle around it; `resource` when absent
    variables      %name -> JSON values or items
    now            the instant at which the record was accepted; now() and today() fail without it
    questionnaire  for weight(), %questionnaire
    resolved       canonical URL -> value set or code system, for weight()
    trace          collects (name, values); nothing is kept when absent
    watch          ends an evaluation that takes too long; nothing does when absent
    """

    model: Model
    resource: Json = None
    root: Json = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    now: datetime | None = None
    questionnaire: Json = None
    resolved: Mapping[str, Json] = field(default_factory=dict)
    member_of: Member | None = None
    subsumes: Subsumes | None = None
    trace: list[tuple[str, list[Value]]] | None = None
    context: Item | None = None
    defined: dict[str, list[Value]] = field(default_factory=dict)
    weights: Mapping[Any, Decimal] | None = None
    watch: Watch | None = None

    def fresh(self) -> Environment:
        """The same surroundings for another evaluation."""
        return replace(self, defined={})

    def watched(self, values: Sequence[Value]) -> Iterable[Value]:
        """The same values, each told to the watch before it is looked at."""
        return values if self.watch is None else _told(values, self.watch)

    def spend(self, items: int) -> None:
        """Tell the watch of work that was done. Raises EvaluationProblem PM750."""
        if self.watch is not None:
            self.watch(items)

    def subject(self, text: Value) -> Value:
        """A text that a pattern is tried on; before a long one the watch is asked. Raises EvaluationProblem PM750."""
        if type(text) is str and len(text) > _LONG:
            self.spend(MAX_ITEMS)
        return text

    def variable(self, name: str, kinds: Sequence[str] = ()) -> list[Value]:
        """The values of a %variable of the caller; structures become items of the type they say or are declared."""
        value = self.variables[name]
        values = value if type(value) is list else [] if value is None else [value]
        return [item_of(self.model, one, kinds or _ANY) if type(one) is dict else one for one in values]

    def question(self) -> list[Value]:
        """The item of the questionnaire that the context answers."""
        item = self.context
        while item is not None and not (type(item.value) is dict and "linkId" in item.value):
            item = item.parent
        waiting = list((self.questionnaire or {}).get("item") or ()) if item is not None else []
        while waiting and item is not None:
            asked = waiting.pop()
            if asked.get("linkId") == item.value["linkId"]:
                return [Item(asked, "QuestionnaireItem")]
            waiting += asked.get("item") or ()
        return []

    def of_resource(self, resource: Json) -> list[Value]:
        """A resource of the environment as a collection, else the outermost one around the context."""
        if resource is not None:
            return [self.model.root(resource)]
        item = self.context
        while item is not None and item.parent is not None:
            item = item.parent
        return [] if item is None else [item]

    def instant(self) -> datetime:
        """The time that was passed in. Raises EvaluationProblem when there is none."""
        if self.now is None:
            raise EvaluationProblem("PM712", "now() needs the time at which the record was accepted")
        return self.now

    def moment(self, kind: str) -> Temporal:
        """now(), today() or timeOfDay()."""
        at = self.instant()
        day = (at.year, at.month, at.day)
        clock: tuple[int | Decimal, ...] = (
            at.hour,
            at.minute,
            Decimal(at.second) + (Decimal(at.microsecond // 1000) / 1000).quantize(_MILLI),
        )
        offset = at.utcoffset()
        minutes = None if offset is None else int(offset.total_seconds()) // 60
        by_kind: dict[str, tuple[int | Decimal, ...]] = {"Date": day, "Time": clock}
        parts = by_kind.get(kind, (*day, *clock))
        return Temporal(kind, parts, minutes if kind == "DateTime" else None)


_MILLI = Decimal("0.001")


def _told(values: Sequence[Value], watch: Watch) -> Iterator[Value]:
    for value in values:
        watch(1)
        yield value


def limited(values: list[Value]) -> list[Value]:
    """A collection that is not too large. Raises EvaluationProblem PM750."""
    if len(values) > MAX_ITEMS:
        raise too_many()
    return values


def too_many() -> EvaluationProblem:
    """A collection that is too large."""
    return EvaluationProblem("PM750", f"a collection of more than {MAX_ITEMS} items is not evaluated")
