"""A search as it was asked -> what it means; what is not understood is refused, or named."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

from peerfhir.errors import BadRequest
from peerfhir.fhir import compartments, parameters
from peerfhir.fhir.cursors import Cursor, cursor
from peerfhir.fhir.parameters import Parameter
from peerfhir.fhir.values import Number, Span, Token, Value, divided, value_of, wrong

__all__ = ["Clause", "Include", "Number", "Query", "Span", "Token", "parse"]

DEFAULT_COUNT = 50
MAX_COUNT = 500
MAX_CLAUSES = 30  # each is a subquery
MAX_VALUES = 100  # of one clause
MAX_SORTS = 3
MAX_ELEMENTS = 50
_CONTROL = re.compile("[\x00-\x1f]")
_NAME = re.compile(r"[A-Za-z]{1,64}")
_MODIFIERS = {
    "token": frozenset({"not", "missing"}),
    "string": frozenset({"contains", "exact", "missing"}),
    "reference": frozenset({"identifier", "missing"}),
    "date": frozenset({"missing"}),
    "uri": frozenset({"missing"}),
    "quantity": frozenset({"missing"}),
}
_TOLERATED = frozenset({"_format", "_pretty"})  # said by clients, without meaning for the matches
SUMMARIES = frozenset({"true", "text", "data", "count", "false"})


@dataclass(frozen=True)
class Clause:
    """One parameter as asked: any of its values may match; all clauses must.

    chain  for `patient.name=x`: the clause that the resource pointed at must fulfil, one for each of its types
    """

    type: str
    parameter: Parameter
    values: tuple[Value, ...] = ()
    modifier: str = ""  # not | contains | exact | identifier | missing | chain
    chain: tuple[Clause, ...] = ()

    @property
    def is_negative(self) -> bool:
        """Whether it matches what has no such row."""
        return self.modifier == "not" or (self.modifier == "missing" and self.values == ("true",))


@dataclass(frozen=True)
class Include:
    """What to bring along: `type`'s reference `name` (to `target`, when one is said); again and again if `iterate`."""

    type: str
    name: str
    target: str = ""
    iterate: bool = False


@dataclass(frozen=True)
class Query:
    """A whole search. `used` is what the self link says; `ignored` are names that lenient handling passed over.

    path   where the search is asked, below the base: the type, or a compartment and the type
    sort   (parameter, descending); empty for the order of the ids
    total  whether the number of all matches was asked for
    """

    type: str
    clauses: tuple[Clause, ...] = ()
    count: int = DEFAULT_COUNT
    sort: tuple[tuple[str, bool], ...] = ()
    total: bool = False
    after: Cursor | None = None  # the last row of the page before
    includes: tuple[Include, ...] = ()
    revincludes: tuple[Include, ...] = ()
    summary: str = "false"
    elements: tuple[str, ...] = ()
    used: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
    path: str = ""

    def link(self, after: str | None = None) -> str:
        """This search as a query string; with `after` the one of the next page."""
        own = [pair for pair in self.used if pair[0] != "_after"]
        return urlencode([*own, ("_after", after)] if after else self.used, safe=":/|,$")

    @property
    def chained(self) -> frozenset[str]:
        """The types that a chained parameter looks into."""
        return frozenset(inner.type for one in self.clauses for inner in one.chain)


def parse(resource_type: str, query: str, *, form: Mapping[str, list[str]] | None = None, base: str = "",
          lenient: bool = False, patient: str | None = None) -> Query:  # fmt: skip
    """A query string (and the form of a POST _search) as a Query.

    base     of this server: absolute references below it are ours
    patient  id of the Patient whose compartment is searched
    Raises   BadRequest that names the parameter, never its value; under `lenient` unknown ones are passed over
    """
    pairs = pairs_of(query, "A search", 200, blank=True)
    pairs += [(name, value) for name, values in (form or {}).items() for value in values]
    reading = _Reading(resource_type, base)
    if patient is not None:
        reading.clauses.append(Clause(resource_type, compartments.of(resource_type), ((f"Patient/{patient}",),)))
        reading.path = f"Patient/{patient}/{resource_type}"
    for name, value in pairs:
        if value.strip(",") == "" or name in _TOLERATED:
            continue
        if _CONTROL.search(value):
            raise wrong(name, "a value without control characters")
        if reading.take(name, value):
            reading.used.append((name, value))
        elif lenient:
            reading.ignored.append(name[:64])
        else:
            raise BadRequest(
                f"The search parameter {name[:64]!r} is not understood for {resource_type}.",
                advice="See the CapabilityStatement, or send Prefer: handling=lenient.",
            )
    return reading.query()


def pairs_of(query: str, what: str, most: int, *, blank: bool = False) -> list[tuple[str, str]]:
    """The names and values of a query string. Raises BadRequest."""
    try:
        return parse_qsl(query, keep_blank_values=blank, max_num_fields=most, errors="strict")
    except UnicodeDecodeError:
        raise BadRequest("The query is not UTF-8 text.") from None
    except ValueError:
        raise BadRequest(f"{what} may have at most {most} parameters.") from None


def count_of(value: str, least: int = 0) -> int:
    """What `_count` asks for, no more than a page holds. Raises BadRequest."""
    if not re.fullmatch(r"\d{1,100}", value, re.ASCII) or int(value) < least:
        raise wrong("_count", "a whole number" + (" above zero" if least else ""))
    return min(int(value), MAX_COUNT)


@dataclass
class _Reading:
    """A search while its parameters are read one by one."""

    type: str
    base: str
    clauses: list[Clause] = field(default_factory=list)
    used: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    includes: list[Include] = field(default_factory=list)
    revincludes: list[Include] = field(default_factory=list)
    sort: tuple[tuple[str, bool], ...] = ()
    elements: tuple[str, ...] = ()
    after: Cursor | None = None
    count: int = DEFAULT_COUNT
    total: bool = False
    summary: str = "false"
    path: str = ""

    def query(self) -> Query:
        if len(self.clauses) > MAX_CLAUSES:
            raise BadRequest(f"A search may have at most {MAX_CLAUSES} conditions.")
        if self.after is not None and not self.after.fits(self.sort):
            raise wrong("_after", "a next link as it was given")
        return Query(
            self.type, tuple(self.clauses), 0 if self.summary == "count" else self.count, self.sort, self.total,
            self.after, tuple(self.includes), tuple(self.revincludes), self.summary, self.elements,
            tuple(self.used), tuple(self.ignored), self.path or self.type,
        )  # fmt: skip

    def take(self, name: str, value: str) -> bool:
        """Understand one parameter; False when it is unknown here."""
        plain = name.partition(":")[0]
        if plain in ("_include", "_revinclude"):
            return self._include(name, value)
        if name in _RESULT:
            if any(each == name and other != value for each, other in self.used):
                raise wrong(name, "one value, not several")
            return _RESULT[name](self, value)
        clause = condition(self.type, name, value, self.base)
        if clause is None:
            return False
        self.clauses.append(clause)
        return True

    def _count(self, value: str) -> bool:
        self.count = count_of(value)
        return True

    def _sort(self, value: str) -> bool:
        known = parameters.of(self.type)
        keys = tuple((one.removeprefix("-"), one.startswith("-")) for one in value.split(",") if one)
        if len(keys) > MAX_SORTS:
            raise BadRequest(f"A search may be sorted by at most {MAX_SORTS} parameters.")
        if len({name for name, _ in keys}) < len(keys) or any(name not in known for name, _ in keys):
            return False
        # ids are never alike: what stands behind one decides nothing
        until = next((at for at, (name, _) in enumerate(keys, 1) if name == "_id"), len(keys))
        self.sort = () if keys[:until] == (("_id", False),) else keys[:until]
        return True

    def _total(self, value: str) -> bool:
        self.total = value in ("accurate", "estimate")
        return value in ("none", "estimate", "accurate")

    def _total_method(self, value: str) -> bool:
        self.total = True
        return True

    def _summary(self, value: str) -> bool:
        self.summary = value
        return value in SUMMARIES

    def _elements(self, value: str) -> bool:
        names = [one.removeprefix(f"{self.type}.") for one in value.split(",") if one]
        if len(names) > MAX_ELEMENTS or not all(_NAME.fullmatch(one) for one in names):
            raise wrong("_elements", "names of elements at the top of the resource")
        self.elements = tuple(names)
        return True

    def _after(self, value: str) -> bool:
        self.after = cursor(value)
        return True

    def _include(self, name: str, value: str) -> bool:
        plain, _, modifier = name.partition(":")
        source, _, rest = value.partition(":")
        parameter_name, _, target = rest.partition(":")
        parameter = parameters.PARAMETERS.get(source, {}).get(parameter_name)
        if parameter is None or parameter.kind != "reference" or modifier not in ("", "iterate"):
            return False
        iterate = modifier == "iterate"
        if target and target not in parameter.targets:
            return False
        one = Include(source, parameter.name, target, iterate)
        if plain == "_include":
            if source != self.type and not iterate:
                return False
            self.includes.append(one)
        else:
            if self.type not in parameter.targets and not iterate:
                return False
            self.revincludes.append(one)
        return True


_RESULT: Mapping[str, Callable[[_Reading, str], bool]] = {
    "_count": _Reading._count,  # noqa: SLF001 - the table of this class
    "_sort": _Reading._sort,  # noqa: SLF001
    "_total": _Reading._total,  # noqa: SLF001
    "_totalMethod": _Reading._total_method,  # noqa: SLF001 - as fhirpy says it
    "_summary": _Reading._summary,  # noqa: SLF001
    "_elements": _Reading._elements,  # noqa: SLF001
    "_after": _Reading._after,  # noqa: SLF001
}


def condition(resource_type: str, name: str, value: str, base: str, *, chained: bool = False) -> Clause | None:
    """One condition on a type; None when it is unknown there. Raises BadRequest for a value that cannot be meant."""
    if "." in name and not chained:
        return _chain(resource_type, name, value, base)
    plain, _, modifier = name.partition(":")
    parameter = parameters.of(resource_type).get(plain)
    if parameter is None:
        return None
    texts = [one for one in divided(value, ",") if one]
    if parameter.kind == "reference" and modifier in parameter.targets:
        if any("/" in one and not one.startswith(f"{modifier}/") for one in texts):
            raise wrong(name, f"an id, or {modifier}/id")
        texts = [one if "/" in one else f"{modifier}/{one}" for one in texts]
        modifier = ""
    if modifier and modifier not in _MODIFIERS.get(parameter.kind, frozenset()):
        # not even lenient handling passes over it: the search would mean something else (R4 search, 3.1.1.4.5)
        raise BadRequest(f"The search parameter {plain!r} does not take the modifier of {name[:64]!r}.")
    if len(texts) > MAX_VALUES:
        raise BadRequest(f"A search parameter may have at most {MAX_VALUES} values.")
    if modifier == "missing":
        if texts not in (["true"], ["false"]):
            raise wrong(name, "true or false")
        return Clause(resource_type, parameter, (texts[0],), modifier)
    values = tuple(value_of(name, parameter, modifier, one, base) for one in texts)
    return Clause(resource_type, parameter, values, modifier)


def _chain(resource_type: str, name: str, value: str, base: str) -> Clause | None:
    """`patient.name=x`, `subject:Patient.name=x`: one level, to each type the reference may have."""
    pointing, _, rest = name.partition(".")
    plain, _, target = pointing.partition(":")
    parameter = parameters.PARAMETERS.get(resource_type, {}).get(plain)
    if parameter is None or parameter.kind != "reference" or (target and target not in parameter.targets):
        return None
    targets = [target] if target else [one for one in parameter.targets if one in parameters.PARAMETERS]
    inner = [condition(one, rest, value, base, chained=True) for one in targets]
    found = tuple(one for one in inner if one is not None)
    return Clause(resource_type, parameter, (), "chain", found) if found else None
