"""A search as it was asked -> what it means; what is not understood is refused, or named."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from peerfhir.errors import BadRequest
from peerfhir.fhir import parameters
from peerfhir.fhir.index import folded, key_of, span_of
from peerfhir.fhir.parameters import Parameter

DEFAULT_COUNT = 50
MAX_COUNT = 500
MAX_CLAUSES = 30  # each is a subquery
MAX_VALUES = 100  # of one clause
_PREFIX = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb)?(\d.*)")
_CONTROL = re.compile("[\x00-\x1f]")
_MODIFIERS = {"token": {"not", "missing"}, "reference": {"missing"}, "date": {"missing"}, "uri": {"missing"}}
_SORTS = {"_id", "-_id", "_lastUpdated", "-_lastUpdated"}
_TOLERATED = {"_format", "_pretty", "_totalMethod"}  # said by clients, without meaning for the matches


@dataclass(frozen=True)
class Token:
    """One value of a token search. system None: any; "": none."""

    code: str
    system: str | None


@dataclass(frozen=True)
class Span:
    """One value of a date search, microseconds; `high` is excluded."""

    prefix: str
    low: int
    high: int


@dataclass(frozen=True)
class Clause:
    """One parameter as asked: any of its values may match; all clauses must."""

    type: str
    parameter: Parameter
    values: tuple[Token | Span | tuple[str, ...] | str, ...]
    modifier: str = ""  # not | contains | missing


@dataclass(frozen=True)
class Query:
    """A whole search. `used` is what the self link says; `ignored` are names that lenient handling passed over."""

    type: str
    clauses: tuple[Clause, ...] = ()
    count: int = DEFAULT_COUNT
    sort: str = "_id"
    total: bool = True
    after: tuple[int, str] | None = None  # the last row of the page before: updated_at, id
    includes: tuple[tuple[str, str], ...] = ()  # (type, reference parameter) to bring along
    revincludes: tuple[tuple[str, str], ...] = ()  # (type, reference parameter) that point here
    used: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()

    def link(self, after: str | None = None) -> str:
        """This search as a query string; with `after` the one of the next page."""
        own = [pair for pair in self.used if pair[0] != "_after"]
        return urlencode([*own, ("_after", after)] if after else self.used, safe=":/|,$")


def parse(resource_type: str, query: str, *, form: Mapping[str, list[str]] | None = None, base: str = "",
          lenient: bool = False) -> Query:  # fmt: skip
    """A query string (and the form of a POST _search) as a Query.

    base    of this server: absolute references below it are ours
    Raises  BadRequest that names the parameter, never its value; under `lenient` unknown ones are passed over
    """
    pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=200)
    pairs += [(name, value) for name, values in (form or {}).items() for value in values]
    reading = _Reading(resource_type, base)
    for name, value in pairs:
        if value.strip(",") == "" or name in _TOLERATED:
            continue
        if _CONTROL.search(value):
            raise _wrong(name, "a value without control characters")
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


class _Reading:
    """A search while its parameters are read one by one."""

    def __init__(self, resource_type: str, base: str) -> None:
        self.type = resource_type
        self.base = base
        self.known = parameters.of(resource_type)
        self.clauses: list[Clause] = []
        self.used: list[tuple[str, str]] = []
        self.ignored: list[str] = []
        self.count, self.sort, self.total = DEFAULT_COUNT, "_id", True
        self.after: tuple[int, str] | None = None
        self.includes: list[tuple[str, str]] = []
        self.revincludes: list[tuple[str, str]] = []

    def query(self) -> Query:
        if len(self.clauses) > MAX_CLAUSES:
            raise BadRequest(f"A search may have at most {MAX_CLAUSES} conditions.")
        return Query(
            self.type, tuple(self.clauses), self.count, self.sort, self.total, self.after, tuple(self.includes),
            tuple(self.revincludes), tuple(self.used), tuple(self.ignored),
        )  # fmt: skip

    def take(self, name: str, value: str) -> bool:
        """Understand one parameter; False when it is unknown here."""
        if name == "_count":
            if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
                raise _wrong(name, "a whole number")
            self.count = min(int(value), MAX_COUNT)
        elif name == "_sort":
            self.sort = value
            return value in _SORTS
        elif name == "_total":
            self.total = value != "none"
            return value in ("none", "estimate", "accurate")
        elif name == "_summary":
            self.count = 0 if value == "count" else self.count
            return value in ("count", "false")
        elif name == "_after":
            self.after = cursor(value)
        elif name in ("_include", "_revinclude"):
            return self._include(name, value)
        else:
            return self._condition(name, value)
        return True

    def _include(self, name: str, value: str) -> bool:
        source, _, rest = value.partition(":")
        parameter = parameters.PARAMETERS.get(source, {}).get(rest.partition(":")[0])
        if parameter is None or parameter.kind != "reference" or (name == "_include" and source != self.type):
            return False
        (self.includes if name == "_include" else self.revincludes).append((source, parameter.name))
        return True

    def _condition(self, name: str, value: str) -> bool:
        plain, _, modifier = name.partition(":")
        parameter = self.known.get(plain)
        if parameter is None:
            return False
        if parameter.kind == "reference" and modifier in parameter.targets:
            value = ",".join(one if "/" in one else f"{modifier}/{one}" for one in value.split(","))
            modifier = ""
        allowed = {"contains", "missing"} if parameter.kind == "string" else _MODIFIERS.get(parameter.kind, set())
        if modifier and modifier not in allowed:
            return False
        texts = _split(value)
        if len(texts) > MAX_VALUES:
            raise BadRequest(f"A search parameter may have at most {MAX_VALUES} values.")
        values = tuple(self._value(name, parameter, modifier, one) for one in texts)
        self.clauses.append(Clause(self.type, parameter, values, modifier))
        return True

    def _value(self, name: str, parameter: Parameter, modifier: str, text: str) -> Token | Span | tuple[str, ...] | str:
        if modifier == "missing":
            if text not in ("true", "false"):
                raise _wrong(name, "true or false")
            return text
        if parameter.kind == "token":
            system, bar, code = text.rpartition("|")
            if not system and not code:
                raise _wrong(name, "a code, a system, or both")
            return Token(key_of(code), key_of(system) if bar else None)
        if parameter.kind in ("date", "updated"):
            match = _PREFIX.fullmatch(text)
            span = span_of(match.group(2)) if match else None
            if match is None or span is None:
                raise _wrong(name, "a date, with eq, ne, gt, lt, ge, le, sa or eb before it")
            return Span(match.group(1) or "eq", *span)
        if parameter.kind == "reference":
            return self._targets(parameter, text)
        return folded(text) if parameter.kind == "string" else key_of(text)

    def _targets(self, parameter: Parameter, text: str) -> tuple[str, ...]:
        if self.base and text.startswith(self.base + "/"):
            text = text[len(self.base) + 1 :]
        if "/" in text or ":" in text:
            return (key_of(text.split("/_history/")[0]),)
        return tuple(key_of(f"{target}/{text}") for target in parameter.targets)


def cursor_of(updated_at: int, resource_id: str) -> str:
    """The opaque text that begins the next page after this row."""
    return base64.urlsafe_b64encode(f"{updated_at}.{resource_id}".encode()).decode().rstrip("=")


def cursor(text: str) -> tuple[int, str]:
    """The row that an opaque text names. Raises BadRequest."""
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
        updated_at, _, resource_id = plain.partition(".")
        if re.fullmatch(r"\d{1,18}", updated_at, re.ASCII) and resource_id:
            return int(updated_at), resource_id
    except (binascii.Error, ValueError):
        pass
    raise _wrong("_after", "a next link as it was given")


def _split(value: str) -> list[str]:
    """The comma list of OR values; a backslash takes the meaning from the comma after it."""
    return [re.sub(r"\\([,$|\\])", r"\1", one) for one in re.split(r"(?<!\\),", value) if one]


def _wrong(name: str, what: str) -> BadRequest:
    return BadRequest(f"The search parameter {name[:64]!r} needs {what}.")
