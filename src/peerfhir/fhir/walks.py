"""A page of a search that no condition narrows: its rows in the order of an index, and no further than a bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, not_, select, tuple_

from peerfhir.fhir import order
from peerfhir.fhir import statements as sql
from peerfhir.fhir.criteria import Conditions
from peerfhir.fhir.cursors import Cursor, kind_of
from peerfhir.fhir.index import key_mark, rows_of
from peerfhir.fhir.prepared import Sight
from peerfhir.fhir.search import Query
from peerfhir.fhir.stored import Stored, from_row
from peerfhir.fhir.tables import fhir_date, fhir_resource

MOST_WALKED = 50_000  # rows that one page may look at; about a tenth of a second
_AT_FIRST = 1000  # enough for most: a condition that many rows fulfil fills its page soon
_r, _d = fhir_resource.c, fhir_date.c
_PLACES = select(_r.id, _r.version, _r.updated_at)
_SAME = and_(_d.program_id == _r.program_id, _d.type == _r.type, _d.id == _r.id)


@dataclass(frozen=True)
class Walk:
    """Walks the rows of one type for one caller.

    where    what a row has to fulfil; `here` the part of it that says program and type
    bounded  whether a page may end before it is full: only when there is a condition, and the asker follows links
    """

    connection: Connection
    conditions: Conditions
    visible: Sight
    here: Sequence[ColumnElement[bool]]
    where: Sequence[ColumnElement[bool]]
    bounded: bool

    def page(self, asked: Query, last: Stored | None) -> tuple[list[Stored], str | None]:
        """At most one row more than a page; and where to go on when the bound was reached before."""
        name = order.date_of(asked)
        if name is not None:
            return self._by_date(asked, name, last)
        columns = (_r.updated_at, _r.id) if kind_of(asked.sort) == "t" else (_r.id,)
        plain, near, rows = (
            order.ordered(query, asked, self.conditions, last)
            for query in (select(*columns).where(*self.here), _PLACES.where(*self.here), sql.CURRENT.where(*self.where))
        )
        return self._within(asked, rows, _Reach(plain, near, columns, down=bool(asked.sort) and asked.sort[0][1]))

    def _by_date(self, asked: Query, name: str, last: Stored | None) -> tuple[list[Stored], str | None]:
        """Those with a date in the order of its index, then those without one in the order of the ids."""
        down = asked.sort[0][1]
        there = next((found for found in rows_of(last.resource).dates if found[0] == name), None) if last else None
        rows: list[Stored] = []
        stopped = None
        if last is None or there is not None:
            ends = (_d.high, _d.low, _d.id) if down else (_d.low, _d.high, _d.id)
            named = [_d.program_id == self.conditions.program_id, _d.type == asked.type, _d.param == name]
            if there is not None and last is not None:
                named.append(_beyond(ends, _mark(there, last, down=down), down=down))
            plain, near, whole = (
                query.where(*conditions).order_by(*(one.desc() if down else one.asc() for one in ends))
                for query, conditions in (
                    (select(*ends), named),
                    (_PLACES.add_columns(_d.low, _d.high).join(fhir_date, _SAME), [*self.here, *named]),
                    (sql.CURRENT.join(fhir_date, _SAME), [*self.where, *named]),
                )
            )
            rows, stopped = self._within(asked, whole, _Reach(plain, near, ends, down=down))
        if stopped is None and len(rows) <= asked.count:
            rows += self._without(asked, name, last if there is None else None, asked.count + 1 - len(rows))
        return rows, stopped

    def _without(self, asked: Query, name: str, last: Stored | None, count: int) -> list[Stored]:
        """Rows without a date, behind all others."""
        down = asked.sort[0][1]
        rest = sql.CURRENT.where(*self.where, not_(self.conditions.position(_r["keys"], key_mark(name)) > 0))
        if last is not None:
            rest = rest.where(_r.id < last.id if down else _r.id > last.id)
        rest = rest.order_by(_r.id.desc() if down else _r.id.asc()).limit(count)
        return [from_row(row) for row in self.connection.execute(self.visible(rest))]

    def _within(self, asked: Query, rows: Select[Any], reach: _Reach) -> tuple[list[Stored], str | None]:
        """The rows as far as the bound reaches."""
        found: list[Stored] = []
        edge: Any = None
        for most in (_AT_FIRST, MOST_WALKED) if self.bounded else (0,):
            edge = self._edge(reach, most) if most else None
            near = rows if edge is None else rows.where(reach.up_to(edge))
            page = self.visible(near).limit(asked.count + 1)
            found = [from_row(one) for one in self.connection.execute(page)]
            if edge is None or len(found) > asked.count:
                return found, None
        kind = kind_of(asked.sort)
        return found, str(Cursor(kind, {"t": edge.updated_at, "v": edge.version}.get(kind, 0), edge.id))

    def _edge(self, reach: _Reach, most: int) -> Any:
        """The last row within reach that the caller may see, because a link will name it; None when all are."""
        far = self.connection.execute(reach.plain.limit(1).offset(most - 1)).first()
        if far is None:
            return None
        back = [one.asc() if reach.down else one.desc() for one in reach.columns]
        near = reach.near.where(sql.ALIVE, reach.up_to(far)).order_by(None).order_by(*back)
        return self.connection.execute(self.visible(near).limit(1)).first()


@dataclass(frozen=True)
class _Reach:
    """How far a page may look: the columns of an order, queries for the places in it, bare and with their rows."""

    plain: Select[Any]
    near: Select[Any]
    columns: Sequence[Any]
    down: bool

    def up_to(self, edge: Any) -> ColumnElement[bool]:
        """That a row stands no further than another, that one included."""
        row, bound = tuple_(*self.columns), tuple_(*(getattr(edge, column.name) for column in self.columns))
        return row >= bound if self.down else row <= bound


def _mark(there: tuple[str, int, int], last: Stored, *, down: bool) -> tuple[int, int, str]:
    _, low, high = there
    return (high, low, last.id) if down else (low, high, last.id)


def _beyond(columns: Sequence[Any], values: tuple[int, int, str], *, down: bool) -> ColumnElement[bool]:
    row, mark = tuple_(*columns), tuple_(*values)
    return row < mark if down else row > mark
