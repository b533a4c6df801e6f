"""What a record is made of, and the reader that proves a record has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from peerfhir.config import Mark, Node
from peerfhir.fhir.fhirpath.problems import nearest
from peerfhir.mapping import forms
from peerfhir.mapping.document import keys
from peerfhir.mapping.fields import TRUE, Declarations, Field, Fields
from peerfhir.mapping.problems import Problem, Problems

_SOURCE = ["format", "key", "empty", "trim", "unknown", "fields", "type"]
_SOURCE_LATER = frozenset(["record", "encoding", "delimiter", "quote", "header", "profile", "questionnaire"])
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?")


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
    if field.kind == "boolean" and isinstance(raw, str) and (not typed or field.true != TRUE):
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
