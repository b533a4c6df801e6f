"""A parsed search -> conditions on the current rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, func, or_, select

from peerfhir.fhir.search import Clause, Query, Span, Token
from peerfhir.fhir.tables import fhir_date, fhir_reference, fhir_resource, fhir_string, fhir_token

_r = fhir_resource.c
_TABLES: dict[str, Table] = {
    "token": fhir_token,
    "uri": fhir_token,
    "reference": fhir_reference,
    "date": fhir_date,
    "string": fhir_string,
}


def condition(clause: Clause, program_id: str) -> ColumnElement[bool]:
    """What a current row must fulfil to match this clause."""
    kind = clause.parameter.kind
    if kind == "id":
        return _r.id.in_(clause.values)
    if kind == "updated":
        return or_(*(_updated(value) for value in clause.values if isinstance(value, Span)))
    table = _TABLES[kind]
    parameter = clause.parameter
    ids = select(table.c.id).where(
        table.c.program_id == program_id,
        table.c.type == clause.type,
        table.c.param == (parameter.stored or parameter.name),
    )
    if clause.modifier == "missing":
        if parameter.stored:  # `patient` shares its rows with `subject`, which may point at others
            ids = ids.where(or_(*(table.c.target.startswith(f"{one}/") for one in parameter.targets)))
        return _r.id.not_in(ids) if clause.values[0] == "true" else _r.id.in_(ids)
    matching = ids.where(or_(*(_matches(table, value, clause.modifier) for value in clause.values)))
    return _r.id.not_in(matching) if clause.modifier == "not" else _r.id.in_(matching)


def ordered(query: Select[Any], asked: Query) -> Select[Any]:
    """The rows after the page before, in an order that does not move while rows are written."""
    by_time = asked.sort.endswith("_lastUpdated")
    descending = asked.sort.startswith("-")
    columns = [_r.updated_at, _r.id] if by_time else [_r.id]
    if asked.after is not None:
        updated_at, resource_id = asked.after
        same = and_(_r.updated_at == updated_at, _beyond(_r.id, resource_id, descending)) if by_time else None
        beyond = _beyond(_r.updated_at, updated_at, descending) if by_time else _beyond(_r.id, resource_id, descending)
        query = query.where(beyond if same is None else or_(beyond, same))
    return query.order_by(*(column.desc() if descending else column.asc() for column in columns))


def counted(query: Select[Any]) -> Select[tuple[int]]:
    """How many rows a query has."""
    return select(func.count()).select_from(query.subquery())


def _beyond(column: Any, value: Any, descending: bool) -> ColumnElement[bool]:
    return column < value if descending else column > value  # type: ignore[no-any-return]


def _matches(table: Table, value: Token | Span | tuple[str, ...] | str, modifier: str) -> ColumnElement[bool]:
    c = table.c
    if isinstance(value, Token):
        if value.code == "":
            return c.system == value.system
        return c.code == value.code if value.system is None else and_(c.code == value.code, c.system == value.system)
    if isinstance(value, Span):
        return _spans(value, c.low, c.high)
    if isinstance(value, tuple):
        return c.target.in_(value)
    if table is fhir_token:
        return c.code == value
    return (
        c.value.contains(value, autoescape=True)
        if modifier == "contains"
        else c.value.startswith(value, autoescape=True)
    )


def _spans(asked: Span, low: Any, high: Any) -> ColumnElement[bool]:
    """How a kept span compares with the one asked. Source: R4 search, 3.1.1.4.6 (prefixes on ranges)."""
    within = and_(low >= asked.low, high <= asked.high)
    return {
        "eq": within,
        "ne": ~within,
        "gt": high > asked.high,
        "lt": low < asked.low,
        "ge": or_(high > asked.high, low >= asked.low),
        "le": or_(low < asked.low, high <= asked.high),
        "sa": low >= asked.high,
        "eb": high <= asked.low,
    }[asked.prefix]


def _updated(asked: Span) -> ColumnElement[bool]:
    at = _r.updated_at
    within = and_(at >= asked.low, at < asked.high)
    return {
        "eq": within,
        "ne": ~within,
        "gt": at >= asked.high,
        "lt": at < asked.low,
        "ge": at >= asked.low,
        "le": at < asked.high,
        "sa": at >= asked.high,
        "eb": at < asked.low,
    }[asked.prefix]
