"""A parsed search -> conditions on the current rows, and which of them leads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    union_all,
)

from peerfhir.fhir import ranges
from peerfhir.fhir.index import key_mark
from peerfhir.fhir.search import Clause
from peerfhir.fhir.tables import (
    fhir_date,
    fhir_quantity,
    fhir_reference,
    fhir_resource,
    fhir_string,
    fhir_token,
)
from peerfhir.fhir.values import Number, Span, Text, Token, Value

_r = fhir_resource.c
_TABLES: dict[str, Table] = {
    "token": fhir_token,
    "uri": fhir_token,
    "reference": fhir_reference,
    "date": fhir_date,
    "string": fhir_string,
    "quantity": fhir_quantity,
}
_FEW = 5000  # ids that SQLite may gather before it looks at the rows; beyond, it walks the rows and asks of each
_LAST = "\U0010ffff"  # after every text that begins alike


class Conditions:
    """Makes conditions for one program on one database (`sqlite` or `postgresql`).

    visible  what the caller may see; applied to what a chained parameter looks into
    now      microseconds since 1970, for the prefix `ap`
    """

    def __init__(
        self, program_id: str, dialect: str, visible: Callable[[Select[Any]], Select[Any]], now: Callable[[], int]
    ) -> None:
        self.program_id = program_id
        self._is_sqlite = dialect == "sqlite"
        self._visible = visible
        self._now = now
        self.position = func.instr if self._is_sqlite else func.strpos

    def of(
        self, clauses: Sequence[Clause], connection: Connection, *, ordered: bool, by_value: bool = False
    ) -> tuple[list[ColumnElement[bool]], bool]:
        """What a current row must fulfil to match all clauses, and whether all of them are asked of each row.

        PostgreSQL knows how often each value occurs and chooses its way itself, but for an order `by_value`, which
        is another table. SQLite goes as it is told: the rarest condition leads, the others are asked of each row.

        ordered   whether the rows can be walked in the order wanted: then a frequent condition need not lead
        by_value  whether that order is the one of an index table
        """
        if not self._is_sqlite and not by_value:
            broad = all(_is_broad(one) for one in clauses)
            return [self._test(one) if _is_broad(one) else self._leading(one) for one in clauses], broad
        leader = self._leader(clauses, connection, ordered=ordered)
        if leader is not None and not self._is_sqlite:
            return [self._test(one) if _is_broad(one) else self._leading(one) for one in clauses], False
        return [self._leading(one) if one is leader else self._test(one) for one in clauses], leader is None

    def _leader(self, clauses: Sequence[Clause], connection: Connection, *, ordered: bool) -> Clause | None:
        able = [one for one in clauses if not one.is_negative]
        for one in able:
            if _is_rare(one):
                return one
        best: Clause | None = None
        fewest = _FEW + 1
        for one in able:
            ids = self._ids(one)
            if ids is None:
                continue
            counted = select(func.count()).select_from(ids.limit(fewest).subquery())
            found = int(connection.execute(counted).scalar_one())
            if found < fewest or (best is None and not ordered):
                best, fewest = one, max(found, 1)
        return best

    def _leading(self, clause: Clause) -> ColumnElement[bool]:
        """The condition as a list of ids, that an index gives."""
        ids = self._ids(clause)
        return self._test(clause) if ids is None else _r.id.in_(ids)

    def _test(self, clause: Clause) -> ColumnElement[bool]:
        """The condition as a question to one row."""
        parameter, kind = clause.parameter, clause.parameter.kind
        if kind == "id":
            return _r.id.in_(clause.values)
        if kind == "updated":
            return or_(*(ranges.instant(_r.updated_at, self._near(one)) for one in _spans(clause)))
        if clause.modifier == "missing":
            has = self.position(_r["keys"], key_mark(parameter.name)) > 0
            return has if clause.values == ("false",) else not_(has)
        if kind == "date" and not parameter.many:
            low, high = self.sort_key(parameter.name, high=False), self.sort_key(parameter.name, high=True)
            has = self.position(_r["keys"], key_mark(parameter.name)) > 0
            return and_(has, or_(*(ranges.span_text(low, high, self._near(one)) for one in _spans(clause))))
        if kind in ("token", "uri") or clause.modifier == "identifier" or (kind == "reference" and not clause.chain):
            found = self._rows(clause)
            here = exists().where(found, self._table(clause).c.id == _r.id).correlate(fhir_resource)
            return not_(here) if clause.modifier == "not" else here
        ids = self._ids(clause)
        return false() if ids is None else _r.id.in_(ids)

    def _ids(self, clause: Clause) -> Select[tuple[str]] | None:
        """The ids that match a positive clause; None where no index table tells."""
        kind = clause.parameter.kind
        if kind == "updated":
            other = fhir_resource.alias("other").c
            compared = or_(*(ranges.instant(other.updated_at, self._near(one)) for one in _spans(clause)))
            return select(other.id).where(other.program_id == self.program_id, other.type == clause.type, compared)
        if kind == "id" or clause.modifier == "missing":
            return None
        return select(self._table(clause).c.id).where(self._rows(clause))

    def _table(self, clause: Clause) -> Table:
        return fhir_token if clause.modifier == "identifier" else _TABLES[clause.parameter.kind]

    def _rows(self, clause: Clause) -> ColumnElement[bool]:
        """The index rows that match."""
        parameter, table = clause.parameter, self._table(clause)
        names: Sequence[str] = parameter.stored or (parameter.name,)
        if clause.modifier == "identifier":
            names = [f"{name}:identifier" for name in names]
        named = table.c.param == names[0] if len(names) == 1 else table.c.param.in_(names)
        here = and_(table.c.program_id == self.program_id, table.c.type == clause.type, named)
        return and_(here, self._values(clause, table))

    def _values(self, clause: Clause, table: Table) -> ColumnElement[bool]:
        if clause.chain:
            pointed = [self._pointed(inner) for inner in clause.chain]
            # one list, because SQLite enters no index by several that are joined with OR
            return table.c.target.in_(pointed[0] if len(pointed) == 1 else union_all(*pointed))
        if table is fhir_token:
            return _codes(clause.values)
        if table is fhir_reference:
            targets = [target for one in clause.values if isinstance(one, tuple) for target in one]
            return table.c.target.in_(targets) if len(targets) > 1 else table.c.target == targets[0]
        return or_(*(self._value(clause, table, one) for one in clause.values))

    def _value(self, clause: Clause, table: Table, value: Value) -> ColumnElement[bool]:
        c = table.c
        if isinstance(value, Span):
            return ranges.span(c.low, c.high, self._near(value))
        if isinstance(value, Number):
            compared = ranges.number(c.value, value)
            if value.unit is not None:
                compared = and_(compared, c.code == value.unit)
            return compared if value.system is None else and_(compared, c.system == value.system)
        if not isinstance(value, Text):
            return false()
        if clause.modifier == "contains":
            return self.position(c.value, value.plain) > 0
        if clause.modifier == "exact":
            return and_(c.value == value.plain, c.exact == value.exact)
        return and_(c.value >= value.plain, c.value < value.plain + _LAST)

    def _pointed(self, inner: Clause) -> Select[Any]:
        """ "Type/id" of what a chained parameter looks into, as far as the caller may see it."""
        found = select(literal(f"{inner.type}/").concat(_r.id)).where(
            _r.program_id == self.program_id, _r.type == inner.type, _r.deleted == false(),
            self._test(inner) if inner.is_negative else self._leading(inner),
        )  # fmt: skip
        return self._visible(found).correlate(None)

    def _near(self, asked: Span) -> Span:
        """`ap` as what overlaps the time asked and a tenth of its distance from now. Source: R4 search, 3.1.1.4.6."""
        if asked.prefix != "ap":
            return asked
        room = abs(self._now() - asked.low) // 10
        return Span("ap", asked.low - room, asked.high + room)

    def sort_key(self, name: str, *, high: bool) -> ColumnElement[str]:
        """The smallest or the largest value of a parameter in `keys`; only where there is one."""
        mark = key_mark(name)
        rest = func.substr(_r["keys"], self.position(_r["keys"], mark) + len(mark))
        low = func.substr(rest, 1, self.position(rest, "\x1d") - 1)
        if not high:
            return self._plain(low)
        tail = func.substr(rest, self.position(rest, "\x1d") + 1)
        return self._plain(func.substr(tail, 1, self.position(tail, "\x1f") - 1))

    def _plain(self, text: Any) -> ColumnElement[str]:
        """A text compared by its code points."""
        found: ColumnElement[str] = text if self._is_sqlite else text.collate("C")
        return found


def _is_rare(clause: Clause) -> bool:
    """Whether a clause names at most a few rows, whatever is stored."""
    return clause.parameter.kind == "id" or (clause.parameter.name == "identifier" and clause.modifier == "")


def _is_broad(clause: Clause) -> bool:
    """Whether nearly everything matches: then no list of ids helps."""
    return clause.is_negative or any(one.prefix == "ne" for one in _spans(clause))


def _spans(clause: Clause) -> list[Span]:
    return [one for one in clause.values if isinstance(one, Span)]


def _codes(values: Sequence[Value]) -> ColumnElement[bool]:
    c = fhir_token.c
    codes = sorted({one.code if isinstance(one, Token) else str(one) for one in values})
    among = c.code.in_(codes) if len(codes) > 1 else c.code == codes[0]
    systems = [one for one in values if isinstance(one, Token) and one.system is not None]
    if not systems:
        return among
    pairs = [
        and_(c.code == one.code, c.system == one.system)
        if isinstance(one, Token) and one.system is not None
        else c.code == (one.code if isinstance(one, Token) else str(one))
        for one in values
    ]
    return and_(among, or_(*pairs))
