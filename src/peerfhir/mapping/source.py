"""What a record holds: declared fields, and the reader that proves a record has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from peerfhir.config import Mark, Node
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.fhir.fhirpath.types import Card, Static
from peerfhir.mapping import forms
from peerfhir.mapping.codes import CodeMap
from peerfhir.mapping.document import NAME, keys
from peerfhir.mapping.problems import Problem, Problems

PRIMITIVES = ("string", "code", "uri", "boolean", "integer", "decimal", "date", "dateTime", "instant", "time")

_SOURCE = ["format", "key", "empty", "trim", "unknown", "fields", "type"]
_SOURCE_LATER = frozenset(["record", "encoding", "delimiter", "quote", "header", "profile", "questionnaire"])
_OPTIONS = [
    "type", "from", "true", "false", "codes", "split", "min", "max", "maxLength", "sensitive", "unused",
    "example", "description",
]  # fmt: skip
_OPTIONS_LATER = frozenset(["format", "offset", "timezone", "ambiguous", "pattern", "decimalComma"])
_OBJECT = ("fields", "from", "description")
_RANGE = re.compile(r"([A-Za-z_]+)([0-9]+)\.\.([A-Za-z_]+)([0-9]+)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?")


_TRUE = frozenset(("true",))


@dataclass(frozen=True)
class Field:
    """One declared field.

    key         its name in the record; `name` is what expressions write
    kind        a primitive, or "object" with `fields`
    repeats     a list of them; `split` cuts one text into such a list
    """

    name: str
    key: str
    kind: str
    mark: Mark
    required: bool = False
    repeats: bool = False
    split: str | None = None
    fields: Fields | None = None
    codes: frozenset[str] | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    max_length: int | None = None
    true: frozenset[str] = _TRUE
    false: frozenset[str] = frozenset(("false",))
    unused: bool = False

    def static(self) -> Static:
        """Its type in an expression."""
        card: Card = "many" if self.repeats else "one" if self.required else "opt"
        return Static((self.kind,), card, self.fields, self.codes, blank=not (self.required or self.codes))


class Fields:
    """The declared names of a record or of an object in it."""

    def __init__(self, items: Mapping[str, Field]) -> None:
        self.items = items

    def names(self) -> Iterable[str]:
        return self.items

    def member(self, name: str) -> Static | None:
        found = self.items.get(name)
        return found.static() if found else None

    def required(self) -> bool:
        """Whether an object of these fields is required: some field of it is."""
        return any(one.required for one in self.items.values())


class Declarations:
    """Reads `fields` of a source, or of the record that a from-fhir mapping writes."""

    def __init__(self, code_maps: Mapping[str, CodeMap], problems: Problems) -> None:
        self._code_maps = code_maps
        self._problems = problems

    def fields(self, node: Node, address: str) -> Fields:
        """The fields of a map; what cannot be read is noted and left out."""
        found: dict[str, Field] = {}
        keyed: dict[str, str] = {}
        if node.kind != "map":
            self._problems.add(node.mark, "PM007", address, "a map of field names and types is expected here")
            return Fields({})
        for written, value in node.value.items():
            for name in self._names(written, node.key_marks[written], address):
                field = self._field(name, value, node.key_marks[written], f"{address}.{written}")
                if field is None:
                    continue
                if field.key in keyed:
                    what = f"'{field.key}' is already read by field '{keyed[field.key]}'"
                    self._problems.add(field.mark, "PM302", f"{address}.{name}", what)
                keyed[field.key] = name
                found[name] = field
        return Fields(found)

    def _names(self, written: str, mark: Mark, address: str) -> list[str]:
        span = _RANGE.fullmatch(written)
        if span and span.group(1) == span.group(3) and 0 <= int(span.group(4)) - int(span.group(2)) < 100:
            return [f"{span.group(1)}{n}" for n in range(int(span.group(2)), int(span.group(4)) + 1)]
        if not NAME.fullmatch(written):
            what = "a field name is made of letters, digits and '_'"
            self._problems.add(mark, "PM007", address, what, "give the column name with from:")
            return []
        return [written]

    def _field(self, name: str, node: Node, mark: Mark, address: str) -> Field | None:
        if node.kind == "list":
            if len(node.value) != 1:
                self._problems.add(node.mark, "PM007", address, "a list of one type is expected: [string]")
                return None
            inner = self._field(name, node.value[0], mark, address)
            if inner is None:
                return None
            return replace(inner, repeats=True, required=inner.required and inner.kind != "object")
        if node.kind == "scalar":
            return self._primitive(name, node, mark, address)
        type_node = node.value.get("type")
        if type_node is not None and type_node.kind == "scalar" and self._is_primitive(type_node.value):
            return self._with_options(name, node, mark, address)
        return self._object(name, node, mark, address)

    def _is_primitive(self, value: object) -> bool:
        return isinstance(value, str) and value.removesuffix("!") in PRIMITIVES

    def _primitive(self, name: str, node: Node, mark: Mark, address: str) -> Field | None:
        if not self._is_primitive(node.value):
            hint = nearest(str(node.raw).removesuffix("!"), PRIMITIVES)
            self._problems.add(node.mark, "PM007", address, "a field type is expected here", hint)
            return None
        return Field(name, name, node.value.removesuffix("!"), mark, required=node.value.endswith("!"))

    def _object(self, name: str, node: Node, mark: Mark, address: str) -> Field:
        inner, key = node, name
        if "fields" in node.value and node.value["fields"].kind == "map":
            keys(node, _OBJECT, frozenset(), address, self._problems)
            inner = node.value["fields"]
            key = str(node.value["from"].value) if "from" in node.value else name
        fields = self.fields(inner, address)
        return Field(name, key, "object", mark, required=fields.required(), fields=fields)

    def _with_options(self, name: str, node: Node, mark: Mark, address: str) -> Field | None:
        keys(node, _OPTIONS, _OPTIONS_LATER, address, self._problems)
        field = self._primitive(name, node.value["type"], mark, address)
        if field is None:
            return None
        value = node.value
        texts = {key: str(value[key].value) for key in ("from", "split") if key in value}
        numbers = {key: self._number(value[key], address) for key in ("min", "max", "maxLength") if key in value}
        true, false = (self._texts(value.get(key)) for key in ("true", "false"))
        maximum_length = numbers.get("maxLength")
        field = replace(
            field, key=texts.get("from", name), split=texts.get("split"), repeats="split" in texts,
            codes=self._codes(value.get("codes"), address), minimum=numbers.get("min"), maximum=numbers.get("max"),
            max_length=int(maximum_length) if maximum_length is not None else None, unused="unused" in value,
            true=true or field.true, false=false or field.false,
        )  # fmt: skip
        if field.true & field.false:
            self._problems.add(node.mark, "PM312", address, "a text means both true and false")
        if field.minimum is not None and field.maximum is not None and field.minimum > field.maximum:
            self._problems.add(node.mark, "PM312", address, "min lies above max")
        return field

    def _texts(self, node: Node | None) -> frozenset[str]:
        return frozenset(one.raw for one in node.value) if node is not None and node.kind == "list" else frozenset()

    def _number(self, node: Node, address: str) -> Decimal | None:
        if isinstance(node.value, (int, Decimal)) and not isinstance(node.value, bool):
            return Decimal(node.value)
        self._problems.add(node.mark, "PM007", address, "a number is expected here")
        return None

    def _codes(self, node: Node | None, address: str) -> frozenset[str] | None:
        if node is None:
            return None
        if node.kind == "list":
            return frozenset(one.raw for one in node.value if one.kind == "scalar")
        code_map = self._code_maps.get(str(node.value))
        if code_map is None:
            hint = nearest(str(node.value), self._code_maps)
            self._problems.add(node.mark, "PM130", address, "there is no such code map", hint)
            return None
        if code_map.broken:
            return None
        if code_map.default is not None or code_map.provided:
            self._problems.add(
                node.mark, "PM312", address, f"code map '{code_map.name}' is open and cannot close a list"
            )
            return None
        return frozenset(code_map.entries)


@dataclass(frozen=True)
class Source:
    """The source of a to-fhir mapping: json, form or csv with declared fields; or fhir with a type.

    key         names of the fields that identify a record
    empty       texts that mean "no value"
    refuse      whether an undeclared key fails the record
    """

    format: str
    fields: Fields
    key: tuple[str, ...] = ()
    empty: frozenset[str] = frozenset()
    trim: bool = False
    refuse: bool = False
    type: str = ""


def read(node: Node, declarations: Declarations, problems: Problems) -> Source | None:
    """The `source` section, or None when it has no known format."""
    keys(node, _SOURCE, _SOURCE_LATER, "source", problems)
    chosen = node.value.get("format")
    kind = chosen.value if chosen is not None else None
    if kind not in ("json", "form", "csv", "fhir"):
        what = "'format' is json, form, csv or fhir"
        hint = "ndjson is not supported in this version" if kind == "ndjson" else ""
        problems.add(chosen.mark if chosen else node.mark, "PM007", "source", what, hint)
        return None
    if kind == "fhir":
        return _fhir(node, problems)
    if "fields" not in node.value:
        problems.add(node.mark, "PM007", "source", "'fields' is missing")
        return None
    fields = declarations.fields(node.value["fields"], "source.fields")
    flat = kind != "json"
    empty = node.value.get("empty")
    texts = (
        frozenset(one.raw for one in empty.value) if empty and empty.kind == "list" else frozenset({""} if flat else ())
    )
    unknown = node.value.get("unknown")
    if unknown is not None and unknown.value not in ("ignore", "warn", "refuse"):
        problems.add(unknown.mark, "PM007", "source", "'unknown' is ignore, warn or refuse")
    trim = node.value.get("trim")
    return Source(
        kind, fields, _key(node.value.get("key"), fields, problems), texts,
        trim=flat if trim is None else trim.value is True, refuse=unknown is not None and unknown.value == "refuse",
    )  # fmt: skip


def _fhir(node: Node, problems: Problems) -> Source | None:
    if "fields" in node.value:
        problems.add(node.key_marks["fields"], "PM007", "source", "'fields' does not belong to format fhir")
    if "type" not in node.value:
        problems.add(node.mark, "PM007", "source", "'type' is missing: the resource type this mapping reads")
        return None
    return Source("fhir", Fields({}), type=str(node.value["type"].value))


def _key(node: Node | None, fields: Fields, problems: Problems) -> tuple[str, ...]:
    if node is None:
        return ()
    names = node.value if node.kind == "list" else [node]
    for one in names:
        field = fields.items.get(str(one.value))
        if field is None or not field.required or field.kind == "object" or field.repeats:
            hint = "" if field else nearest(str(one.value), fields.items)
            problems.add(one.mark, "PM302", "source.key", "a key is a required field with one value", hint)
    return tuple(str(one.value) for one in names if str(one.value) in fields.items)


class RecordReader:
    """Turns a raw record into a typed one: every declared field present, as a value, None or a list."""

    def __init__(self, source: Source, mark: Mark) -> None:
        self._source = source
        self._mark = mark
        self._typed = source.format == "json"

    def read(self, record: Any, problems: list[Problem]) -> dict[str, Any]:
        """The typed record; what does not fit its declaration is appended to `problems`, without the value."""
        return self._object(self._source.fields, record, "", problems)

    def _object(self, fields: Fields, record: Any, where: str, problems: list[Problem]) -> dict[str, Any]:
        if not isinstance(record, Mapping):
            problems.append(
                Problem(self._mark, "PM700", where or "/", "an object with the declared fields is expected")
            )
            return dict.fromkeys(fields.items)
        found = {
            name: self._field(field, record.get(field.key), where, problems) for name, field in fields.items.items()
        }
        if self._source.refuse and (more := len(set(record) - {field.key for field in fields.items.values()})):
            problems.append(Problem(self._mark, "PM704", where or "/", f"{more} keys are not declared"))
        return found

    def _field(self, field: Field, raw: Any, where: str, problems: list[Problem]) -> Any:
        if field.repeats:
            return self._list(field, raw, where, problems)
        if not self._typed and isinstance(raw, (list, tuple)) and len(raw) == 1:
            raw = raw[0]  # a form gives a list for every name
        before = len(problems)
        value = self._one(field, raw, f"{where}/{field.key}", problems)
        if value is None and field.required and len(problems) == before:
            problems.append(Problem(field.mark, "PM701", f"{where}/{field.key}", "a required field has no value"))
        return value

    def _list(self, field: Field, raw: Any, where: str, problems: list[Problem]) -> list[Any]:
        if field.split is not None and isinstance(raw, str):
            raw = raw.split(field.split)
        if raw is None:
            raw = []
        if not isinstance(raw, (list, tuple)):
            if self._typed:
                problems.append(Problem(field.mark, "PM702", f"{where}/{field.key}", "a list is expected"))
                return []
            raw = [raw]
        before = len(problems)
        read = [self._one(field, one, f"{where}/{field.key}/{at}", problems) for at, one in enumerate(raw)]
        values = [one for one in read if one is not None]
        if not values and field.required and field.kind != "object" and len(problems) == before:
            problems.append(Problem(field.mark, "PM701", f"{where}/{field.key}", "a required field has no value"))
        return values

    def _one(self, field: Field, raw: Any, where: str, problems: list[Problem]) -> Any:
        if isinstance(raw, str):
            raw = str(raw).strip() if self._source.trim else str(raw)
            if raw in self._source.empty or (raw == "" and (field.required or field.kind != "string")):
                return None
        if raw is None:
            return None
        if field.fields is not None:
            return self._object(field.fields, raw, where, problems)
        value = _parsed(field, raw, self._typed)
        if value is None:
            problems.append(Problem(field.mark, "PM702", where, f"the value is not a {field.kind}"))
        elif (why := _outside(field, value)) is not None:
            problems.append(Problem(field.mark, "PM703", where, why))
        return value


def _parsed(field: Field, raw: Any, typed: bool) -> Any:
    """The typed value of a raw one, or None when it does not parse."""
    if field.kind == "boolean" and isinstance(raw, str) and (not typed or field.true != _TRUE):
        return True if raw in field.true else False if raw in field.false else None
    if field.kind in ("integer", "decimal") and isinstance(raw, str) and not typed:
        if not _NUMBER.fullmatch(raw):
            return None
        try:
            raw = int(raw) if field.kind == "integer" and re.fullmatch(r"-?[0-9]{1,10}", raw) else Decimal(raw)
        except (InvalidOperation, ValueError):
            return None
    if field.kind == "string":
        return raw if isinstance(raw, str) else None
    return raw if forms.fits(field.kind, raw) else None


def _outside(field: Field, value: Any) -> str | None:
    """Why a typed value is not allowed, or None."""
    if field.codes is not None and value not in field.codes:
        shown = sorted(field.codes)[:8]
        return f"the value is not one of {', '.join(shown)}" + (" ..." if len(field.codes) > 8 else "")
    if field.max_length is not None and isinstance(value, str) and len(value) > field.max_length:
        return f"the value is longer than {field.max_length} characters"
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        if field.minimum is not None and value < field.minimum:
            return f"the value is below {field.minimum}"
        if field.maximum is not None and value > field.maximum:
            return f"the value is above {field.maximum}"
    return None


def check_value(field: Field, value: Any) -> str | None:
    """Why a value may not stand in a field that a from-fhir mapping writes, or None."""
    if field.kind == "string":
        return None if isinstance(value, str) else "the value is not a text"
    if not forms.fits(field.kind, value):
        return f"the value is not a {field.kind}"
    return _outside(field, value)
