"""The careful reader: a raw record -> a typed one, with every value that does not fit its field told by its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from peerfhir.config import Mark
from peerfhir.mapping.cells import Outside, typed
from peerfhir.mapping.fields import Field, Fields
from peerfhir.mapping.problems import Problem
from peerfhir.mapping.told import counted
from peerfhir.mapping.zones import Unfit

if TYPE_CHECKING:
    from peerfhir.mapping.source import Source


class RecordReader:
    """Turns a raw record into a typed one: every declared field present, as a value, None or a list."""

    def __init__(self, source: Source, mark: Mark) -> None:
        self._source = source
        self._mark = mark
        self._is_text = source.is_text

    def read(self, record: Any, problems: list[Problem]) -> dict[str, Any]:
        """The typed record; what does not fit its declaration is appended to `problems`, without the value."""
        return self._object(self._source.fields, record, "", problems)

    def field(self, field: Field, raw: Any, problems: list[Problem]) -> Any:
        """The typed value of one field, blank or not."""
        return self._field(field, raw, "", problems)

    def _object(self, fields: Fields, record: Any, where: str, problems: list[Problem]) -> dict[str, Any]:
        if not isinstance(record, Mapping):
            what = "an object with the declared fields is expected"
            problems.append(Problem(self._mark, "PM700", where or "/", what))
            return dict.fromkeys(fields.items)
        found = {
            name: self._field(field, record.get(field.key), where, problems) for name, field in fields.items.items()
        }
        if self._source.refuse and (more := len(set(record) - {field.key for field in fields.items.values()})):
            problems.append(Problem(self._mark, "PM704", where or "/", f"{counted(more, 'key')} not declared"))
        return found

    def _field(self, field: Field, raw: Any, where: str, problems: list[Problem]) -> Any:
        if field.repeats:
            return self._list(field, raw, where, problems)
        if self._is_text and isinstance(raw, (list, tuple)) and len(raw) == 1:
            raw = raw[0]  # a form gives a list for every name
        before = len(problems)
        if self._is_text and isinstance(raw, (list, tuple)) and raw:
            problems.append(
                Problem(field.mark, "PM711", f"{where}/{field.key}", "one value is expected, more are there")
            )
            return None
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
            if not self._is_text:
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
        try:
            return typed(field, raw, self._is_text)
        except Unfit as problem:
            code = "PM703" if isinstance(problem, Outside) else "PM702"
            problems.append(Problem(field.mark, code, where, str(problem)))
        return None
