"""The order of a search's rows, and the rows after one of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, or_, tuple_

from peerfhir.fhir.criteria import Conditions
from peerfhir.fhir.index import key_mark, rows_of
from peerfhir.fhir.parameters import PARAMETERS
from peerfhir.fhir.search import Query
from peerfhir.fhir.stored import Stored
from peerfhir.fhir.tables import fhir_resource, micros

_r = fhir_resource.c
_AFTER_ALL = "\U0010ffff"  # sorts after every value; what has none comes last in either direction


def is_walked(query: Query) -> bool:
    """Whether the table itself has the rows in this order."""
    return [name for name, _ in query.sort] in ([], ["_id"], ["_lastUpdated"])


def date_of(query: Query) -> str | None:
    """The date that is all a search is sorted by, where a resource has one at most: its index has this order."""
    if len(query.sort) != 1:
        return None
    found = PARAMETERS[query.type].get(query.sort[0][0])
    return found.name if found is not None and found.kind == "date" and not found.many and not found.stored else None


def ordered(select: Select[Any], query: Query, conditions: Conditions, last: Stored | None) -> Select[Any]:
    """The rows after the page before, in an order that does not move while rows are written.

    last  the last row of the page before, where the cursor names it by its version
    """
    if query.sort and query.sort[0][0] == "_lastUpdated" and len(query.sort) == 1:
        return _by_time(select, query)
    keys = [_key(one, conditions) for one in _columns(query)]
    down = is_down(query)
    if query.after is not None:
        if keys and last is not None:
            select = select.where(_beyond(keys, _values(query, last), last.id, down=down))
        else:
            select = select.where(_r.id < query.after.id if down else _r.id > query.after.id)
    order = [key.desc() if descending else key.asc() for key, descending in keys]
    return select.order_by(*order, _r.id.desc() if down else _r.id.asc())


def _by_time(select: Select[Any], query: Query) -> Select[Any]:
    down = query.sort[0][1]
    if query.after is not None:
        row, bound = tuple_(_r.updated_at, _r.id), tuple_(query.after.number, query.after.id)
        select = select.where(row < bound if down else row > bound)
    columns = (_r.updated_at, _r.id)
    return select.order_by(*(column.desc() if down else column.asc() for column in columns))


def is_down(query: Query) -> bool:
    """Whether the ids fall where all else is equal."""
    return ("_id", True) in query.sort or (date_of(query) is not None and query.sort[0][1])


@dataclass(frozen=True)
class _Column:
    """One value that rows are sorted by: the smallest or the largest of a parameter."""

    name: str
    descending: bool
    high: bool


def _columns(query: Query) -> list[_Column]:
    """A date alone is sorted by both of its ends, and by the id in the same direction: so its index has it."""
    found = [_Column(name, descending, descending) for name, descending in query.sort if name != "_id"]
    return [*found, replace(found[0], high=not found[0].high)] if date_of(query) else found


def _key(one: _Column, conditions: Conditions) -> tuple[ColumnElement[Any], bool]:
    if one.name == "_lastUpdated":
        return _r.updated_at, one.descending
    has = conditions.position(_r["keys"], key_mark(one.name)) > 0
    value = conditions.sort_key(one.name, high=one.high)
    return case((has, value), else_="" if one.descending else _AFTER_ALL), one.descending


def _values(query: Query, last: Stored) -> list[Any]:
    """What the row was sorted by, as `_key` says it in SQL."""
    keys = rows_of(last.resource).keys
    found: list[Any] = []
    for one in _columns(query):
        if one.name == "_lastUpdated":
            found.append(micros(last.updated_at))
        else:
            _, has, rest = keys.partition(key_mark(one.name))
            low, _, tail = rest.partition("\x1d")
            value = tail.partition("\x1f")[0] if one.high else low
            found.append(value if has else "" if one.descending else _AFTER_ALL)
    return found


def _beyond(
    keys: list[tuple[ColumnElement[Any], bool]], values: list[Any], resource_id: str, *, down: bool
) -> ColumnElement[bool]:
    same: list[ColumnElement[bool]] = []
    beyond = []
    for (key, descending), value in zip(keys, values, strict=True):
        beyond.append(and_(*same, key < value if descending else key > value))
        same.append(key == value)
    beyond.append(and_(*same, _r.id < resource_id if down else _r.id > resource_id))
    return or_(*beyond)
