"""Static types: what an expression gives, how often, and which names lie below it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from peerfhir.fhir.definitions import Definitions
from peerfhir.fhir.fhirpath.dialects import MAPPING, Dialect

Card = Literal["one", "opt", "many"]  # exactly one, none or one, any number

_STRINGS = (
    "string", "markdown", "code", "id", "uri", "url", "canonical", "oid", "uuid", "base64Binary", "xhtml",
)  # fmt: skip
_SYSTEM = {
    **dict.fromkeys(_STRINGS, "String"),
    **dict.fromkeys(("integer", "positiveInt", "unsignedInt"), "Integer"),
    "decimal": "Decimal",
    "boolean": "Boolean",
    "date": "Date",
    "dateTime": "DateTime",
    "instant": "DateTime",
    "time": "Time",
}


def system(kind: str) -> str:
    """The System type an operator sees: String for a code; a complex type stays itself."""
    return _SYSTEM.get(kind, kind)


class Shape(Protocol):
    """The declared names below an object of a record, each with its type."""

    def names(self) -> Iterable[str]: ...

    def member(self, name: str) -> Static | None: ...


class Profiled(Protocol):
    """What a profile says of an element of the input."""

    @property
    def minimum(self) -> int: ...

    @property
    def maximum(self) -> int | None: ...

    def below(self, name: str) -> Profiled | None:
        """What it says of an element below; of the whole choice under the name of the choice."""
        ...

    def slice(self, name: str, value: str) -> Profiled | None:
        """What it says of the entries that have this value under a name."""
        ...


@dataclass(frozen=True, slots=True)
class Static:
    """What is known of a value before there is one.

    kinds   the FHIR types it can have; () only for {}; "object" for an object of a record
    shape   the names below an object of a record
    codes   every text it can be, when that is a closed set
    blank   a text that may be '' although it is there
    sure    read through declared fields or made here, so that its form is proven; False for what FHIR input holds
    ordered whether its items have an order: children() has none
    profile  what a profile of the input says of it; a record may break it, so that code relies on nothing it says
    promised the profile says that there is one
    spread   it stands in several places, each with a cardinality of its own
    """

    kinds: tuple[str, ...]
    card: Card = "opt"
    shape: Shape | None = None
    codes: frozenset[str] | None = None
    blank: bool = True
    sure: bool = True
    ordered: bool = True
    profile: Profiled | None = field(default=None, compare=False)
    promised: bool = False
    spread: bool = False

    @property
    def systems(self) -> frozenset[str]:
        return frozenset(system(kind) for kind in self.kinds)

    def as_card(self, card: Card) -> Static:
        return replace(self, card=card, promised=False)

    def called(self) -> str:
        """Its name in a message."""
        return " or ".join(self.kinds) if self.kinds else "nothing"


UNKNOWN = "unknown"  # the kind of what only the data tells
EMPTY = Static((), "opt")
OPEN = Static((UNKNOWN,), "many", sure=False)


def made(kind: str, card: Card = "opt", codes: frozenset[str] | None = None) -> Static:
    """A value that an operator or function makes."""
    return Static((kind,), card, codes=codes, blank=kind == "string")


def joined(left: Static, right: Static) -> Static:
    """The type of a value that is one or the other."""
    if not left.kinds or not right.kinds:
        some = left if left.kinds else right
        return some.as_card("many" if some.card == "many" else "opt")
    kinds = tuple(dict.fromkeys((*left.kinds, *right.kinds)))
    card: Card = "many" if "many" in (left.card, right.card) else "opt" if "opt" in (left.card, right.card) else "one"
    codes = left.codes | right.codes if left.codes is not None and right.codes is not None else None
    shape = left.shape if left.shape is right.shape else None
    ordered = left.ordered and right.ordered
    return Static(kinds, card, shape, codes, left.blank or right.blank, left.sure and right.sure, ordered)


@dataclass(frozen=True, slots=True)
class Step:
    """How to go from a value to what a name means below it: the JSON keys that may hold it, and its type."""

    keys: tuple[str, ...]
    type: Static


@dataclass(frozen=True, slots=True)
class Bound:
    """A %variable: its type, and the Python name that holds it in compiled code."""

    type: Static
    place: str


@dataclass(frozen=True)
class Scope:
    """What an expression may name, and how strictly it is read.

    root       the type of the context
    variables  %name -> its type and place
    constants  %name -> a text known when the expression is loaded
    systems    %systems.alias -> URI
    tables     map name -> its codes, for translate()
    bands      name -> the labels of numbers, for band()
    addresses  gives the code of a resource's fullUrl and whether it is a list, for fullUrl(); None where it is unknown
    link_ids   items of the questionnaire that the input answers; None where it is any
    listed     whether a value set is at hand, for memberOf(); None: none is
    strict     documents of this house: closed names, no silent single values; else FHIRPath's own rules
    dialect    which functions and operators there are
    """

    root: Static
    definitions: Definitions
    variables: Mapping[str, Bound] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    systems: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    bands: Mapping[str, Table] = field(default_factory=dict)
    addresses: Callable[[str], tuple[ast.expr, bool] | None] | None = None
    listed: Callable[[str], bool] | None = None
    link_ids: frozenset[str] | None = None
    strict: bool = True
    dialect: Dialect = MAPPING

    def step(self, base: Static, name: str) -> Step | None:
        """What `name` means below `base`, or None when it means nothing there."""
        if base.shape is not None:
            below = base.shape.member(name)
            if below is None:
                return None
            return Step((name,), below.as_card(_below(base.card, below.card)))
        keys: list[str] = []
        found: Static | None = None
        for kind in base.kinds:
            element = self.definitions.element(kind, name)
            several = (element,) if element and not element.choice else self.definitions.choices(kind, name)
            for one in several:
                keys += [one.name] if one.name not in keys else []
                card: Card = "many" if one.many else "one" if one.minimum and not one.choice else "opt"
                static = Static((one.type,), card, codes=one.codes, sure=False)
                found = joined(found, static) if found else static
        if found is None:
            return None
        sure_of = found.as_card("opt") if found.card == "one" else found  # input may lack what it must have
        return Step(tuple(keys), sure_of.as_card(_below(base.card, sure_of.card)))

    def tables_by_place(self) -> dict[str, Callable[..., Any]]:
        """The functions of code maps and bands under their Python names in compiled code."""
        maps: dict[str, Callable[..., Any]] = {f"m_{at}": one.translate for at, one in enumerate(self.tables.values())}
        return maps | {f"b_{at}": one.translate for at, one in enumerate(self.bands.values())}

    def names(self, base: Static) -> list[str]:
        """Every name that means something below `base`."""
        if base.shape is not None:
            return list(base.shape.names())
        found = {}
        for kind in base.kinds:
            for element in self.definitions.elements(kind).values():
                found[element.choice or element.name] = True
        return list(found)


def _below(base: Card, own: Card) -> Card:
    if "many" in (base, own):
        return "many"
    return "opt" if "opt" in (base, own) else "one"


class Table(Protocol):
    """A code map, or the bands of a number, as an expression sees it."""

    def output(self, given: Static) -> Static:
        """The type of translating a value of type `given`."""
        ...

    def review(self, given: Static) -> list[tuple[str, str, str]]:
        """What translating a value of type `given` risks: rule, what, hint."""
        ...

    def translate(self, value: object) -> object:
        """The target of one value; None for none. Raises EvaluationProblem PM710."""
        ...
