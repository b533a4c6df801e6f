"""`bands`: labels for numbers, by the greatest lower bound that is not above the number."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from peerfhir.config import Mark, Node
from peerfhir.fhir.fhirpath.problems import EvaluationProblem
from peerfhir.fhir.fhirpath.types import Card, Static
from peerfhir.mapping.code_map import Target, coding, coding_type
from peerfhir.mapping.codes import NAME, CodeMaps
from peerfhir.mapping.document import keys
from peerfhir.mapping.problems import Problems

MAX_BANDS = 1_000

# (instrument, score or None) -> lower bound and label of each band; None when there is no such score
OfInstrument = Callable[[str, str | None], Sequence[tuple[Decimal, str]] | None]


@dataclass(frozen=True)
class Band:
    """One table of bands; `translate` is what expressions call.

    bounds  ascending
    labels  a text each, or a Coding each when some label has more than a code
    """

    name: str
    mark: Mark
    bounds: tuple[Decimal, ...]
    labels: tuple[Target, ...]
    broken: bool = False
    _values: tuple[Any, ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        values = tuple(coding(one) if self.coded else one.code for one in self.labels)
        object.__setattr__(self, "_values", values)

    @property
    def coded(self) -> bool:
        """Whether results are Codings."""
        return any(one.system or one.display for one in self.labels)

    def translate(self, value: Any) -> Any:
        """The label of one number: a text, or a Coding that must not be changed; None for no number.

        Raises  EvaluationProblem PM713 below the lowest band, PM712 for what is no number
        """
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            raise EvaluationProblem("PM712", f"band('{self.name}') takes a number")
        at = bisect_right(self.bounds, value)
        if at == 0:
            raise EvaluationProblem("PM713", f"the number is below the lowest band of '{self.name}'")
        return self._values[at - 1]

    def output(self, given: Static) -> Static:
        """The type of the result for an input of this type."""
        card: Card = "one" if given.card == "one" else "opt"
        if self.coded:
            return coding_type(self.labels, card)
        codes = frozenset(one.code for one in self.labels if one.code is not None)
        return Static(("string",), card, codes=codes, blank=False)

    def review(self, given: Static) -> list[tuple[str, str, str]]:
        """What is wrong with a value of this type as input: rule, what, hint."""
        if self.broken or not given.kinds or given.systems <= {"Integer", "Decimal"}:
            return []
        return [("PM120", f"band() takes a number, not {given.called()}", "declare the field as integer or decimal")]


class Bands:
    """Reads the bands of one document.

    code_maps      reads labels that are targets
    of_instrument  the bands of a score of a configured instrument
    """

    def __init__(
        self, code_maps: CodeMaps, problems: Problems, of_instrument: OfInstrument = lambda _id, _score: None
    ) -> None:
        self._code_maps = code_maps
        self._problems = problems
        self._of_instrument = of_instrument

    def read(self, items: Mapping[str, Node], marks: Mapping[str, Mark]) -> dict[str, Band]:
        """Every table of bands of a section; what cannot be read is noted and marked as broken."""
        return {
            name: self.one(name, node, marks[name]) or Band(name, marks[name], (), (), broken=True)
            for name, node in items.items()
        }

    def one(self, name: str, node: Node, mark: Mark) -> Band | None:
        """One table of bands, or None after noting what is wrong with it."""
        address = f"bands.{name}"
        if not NAME.fullmatch(name):
            self._problems.add(mark, "PM007", address, "a name of bands is made of a-z, 0-9, '-' and '_'")
        if node.kind != "map" or not node.value:
            self._problems.add(node.mark, "PM007", address, "a map of lower bounds and labels is expected here")
            return None
        if "instrument" in node.value:
            return self._from_instrument(name, node, mark, address)
        if len(node.value) > MAX_BANDS:
            self._problems.add(node.mark, "PM750", address, f"there are at most {MAX_BANDS} bands")
            return None
        found: list[tuple[Decimal, Target]] = []
        for written, label in node.value.items():
            bound = self._bound(written, found, node.key_marks[written], address)
            target = self._label(label, f"{address}.{written}")
            if bound is None or target is None:
                return None
            found.append((bound, target))
        return Band(name, mark, tuple(bound for bound, _ in found), tuple(label for _, label in found))

    def _label(self, node: Node, address: str) -> Target | None:
        target = self._code_maps.target(node, address)
        if target is not None and target.code is None:
            self._problems.add(node.mark, "PM138", address, "a band has a label")
            return None
        return target

    def _bound(self, written: str, found: list[tuple[Decimal, Target]], mark: Mark, address: str) -> Decimal | None:
        try:
            bound = Decimal(written.strip())
        except InvalidOperation:
            bound = Decimal("NaN")
        if not bound.is_finite() or "_" in written:
            self._problems.add(mark, "PM138", address, f"the bound '{written}' is not a number")
            return None
        if found and bound <= found[-1][0]:
            what = "stands twice" if bound == found[-1][0] else "is below the one before it"
            self._problems.add(mark, "PM138", address, f"the bound {written} {what}", "write the bounds upwards")
            return None
        return bound

    def _from_instrument(self, name: str, node: Node, mark: Mark, address: str) -> Band | None:
        keys(node, ("instrument", "score"), frozenset(), address, self._problems)
        texts = {key: str(value.value) for key, value in node.value.items() if value.kind == "scalar"}
        found = self._of_instrument(texts.get("instrument", ""), texts.get("score"))
        if not found:
            what = "there is no such instrument, or its score has no bands"
            self._problems.add(node.value["instrument"].mark, "PM130", address, what)
            return None
        ordered = sorted(found)
        return Band(name, mark, tuple(bound for bound, _ in ordered), tuple(Target(label) for _, label in ordered))
