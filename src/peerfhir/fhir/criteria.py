"""A parsed search -> conditions on the current rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, func, or_, select

from peerfhir.fhir.index import facet_of
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


class Conditions:
    """Makes conditions for one program on one database (`sqlite` or `postgresql`)."""

    def __init__(self, program_id: str, dialect: str) -> None:
        self._program_id = program_id
        # LIKE would not do: it takes no notice of case on SQLite.
        self._position = func.instr if dialect == "sqlite" else func.strpos

    def of(self, clause: Clause) -> ColumnElement[bool]:
        """What a current row must fulfil to match this clause."""
        kind = clause.parameter.kind
        if kind == "id":
            return _r.id.in_(clause.values)
        if kind == "updated":
            return or_(*(_updated(value) for value in clause.values if isinstance(value, Span)))
        positive = clause.modifier != "not" and clause.values[:1] != ("true",)
        if clause.parameter.packed:
            packed = self._packed(clause)
            return packed if positive or clause.modifier == "" else ~packed
        ids = self._ids(clause)
        return _r.id.in_(ids) if positive or clause.modifier == "" else _r.id.not_in(ids)

    def _packed(self, clause: Clause) -> ColumnElement[bool]:
        name = clause.parameter.name
        if clause.modifier == "missing":
            return self._position(_r.facets, f"\x1f{name}\x1d") > 0
        wanted = [
            facet_of(name, value.code or None, value.system)
            if isinstance(value, Token)
            else facet_of(name, value, None)
            for value in clause.values
            if isinstance(value, (Token, str))
        ]
        return or_(*(self._position(_r.facets, one) > 0 for one in wanted))

    def _ids(self, clause: Clause) -> Select[tuple[str]]:
        """The ids that have a value of this parameter: one that matches, or any when `missing` is asked."""
        parameter = clause.parameter
        table = _TABLES[parameter.kind]
        names = parameter.stored or (parameter.name,)
        ids = select(table.c.id).where(
            table.c.program_id == self._program_id, table.c.type == clause.type, table.c.param.in_(names)
        )
        if clause.modifier != "missing":
            return ids.where(or_(*(_matches(table, value, clause.modifier) for value in clause.values)))
        if parameter.kind == "reference" and parameter.stored:  # `patient`: `subject` may point at others
            ids = ids.where(or_(*(table.c.target.startswith(f"{one}/") for one in parameter.targets)))
        return ids


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


def counted(query: Select[Any]) -> Select[Any]:
    """How many rows a query has."""
    return select(func.count()).select_from(query.subquery())


def _beyond(column: Any, value: Any, descending: bool) -> ColumnElement[bool]:
    beyond: ColumnElement[bool] = column < value if descending else column > value
    return beyond


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
    compared: dict[str, ColumnElement[bool]] = {
        "eq": within,
        "ne": ~within,
        "gt": high > asked.high,
        "lt": low < asked.low,
        "ge": or_(high > asked.high, low >= asked.low),
        "le": or_(low < asked.low, high <= asked.high),
        "sa": low >= asked.high,
        "eb": high <= asked.low,
    }
    return compared[asked.prefix]


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
