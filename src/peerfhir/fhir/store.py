"""Versions, index rows and conditional keys in SQL tables, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, tuple_
from sqlalchemy.engine import Connection

from peerfhir.clock import Clock, new_id
from peerfhir.errors import BadRequest, Duplicate, Gone, NotFound, VersionConflict
from peerfhir.fhir import order
from peerfhir.fhir import statements as sql
from peerfhir.fhir.claims import Claims, Key
from peerfhir.fhir.criteria import Conditions
from peerfhir.fhir.cursors import Cursor, kind_of
from peerfhir.fhir.index import Rows, identifiers_of, key_of, rows_of
from peerfhir.fhir.indexing import Indexing
from peerfhir.fhir.labels import Labels
from peerfhir.fhir.parameters import PARAMETERS
from peerfhir.fhir.prepared import EVERYTHING, Sight
from peerfhir.fhir.reader import Json
from peerfhir.fhir.search import Query, parse
from peerfhir.fhir.stored import Draft, Page, Stored, from_row, with_meta
from peerfhir.fhir.tables import (
    fhir_reference,
    fhir_resource,
    fhir_token,
    fhir_version,
    metadata,
    micros,
)
from peerfhir.fhir.values import Token
from peerfhir.fhir.walks import Walk
from peerfhir.fhir.writer import write

__all__ = ["Draft", "Key", "Labels", "Page", "Store", "Stored", "fhir_resource", "metadata"]

# An order and its Task must never be doubled: their identifiers are claimed whether or not the sender asked.
CLAIMED_TYPES = frozenset({"Task", "ServiceRequest"})

_r, _v, _t = fhir_resource.c, fhir_version.c, fhir_token.c


class Store:
    """The resources of one program, inside the caller's transaction. Nothing is committed here.

    visible  is applied to every query that reads on behalf of a caller; it may filter on `fhir_resource`
    """

    def __init__(
        self,
        connection: Connection,
        program_id: str,
        clock: Clock,
        visible: Sight = EVERYTHING,
    ) -> None:
        self.connection = connection
        self.program_id = program_id
        self.claims = Claims(connection, program_id)
        self._conditions = Conditions(program_id, connection.dialect.name, visible, lambda: micros(clock.now()))
        self._indexing = Indexing(connection, program_id)
        self._clock = clock
        self._visible = visible

    # what is kept

    def read(self, resource_type: str, resource_id: str) -> Stored:
        """The current version. Raises NotFound, also for what the caller may not see; Gone."""
        values = {"p": self.program_id, "t": resource_type, "i": resource_id, **self._visible.values}
        return _there(sql.ONE.by(self._visible).first(self.connection, values, alone=True))

    def vread(self, resource_type: str, resource_id: str, version: int) -> Stored:
        """One version, with the labels of today. Raises NotFound; Gone for the one that says it was deleted."""
        values = {"p": self.program_id, "t": resource_type, "i": resource_id, "n": version, **self._visible.values}
        return _there(sql.ONE_VERSION.by(self._visible).first(self.connection, values, alone=True))

    def history(
        self, resource_type: str, resource_id: str | None = None, *, count: int, since: int | None = None,
        after: tuple[int, str, int] | None = None,
    ) -> list[Stored]:  # fmt: skip
        """Versions, newest first, of one resource or of a type; deleted ones too, told by their method.

        since  microseconds since 1970: what was written then or later
        after  (microseconds, id, version) of the last one of the page before
        """
        query = sql.VERSIONS.where(_r.program_id == self.program_id, _r.type == resource_type)
        query = query.where(_v.program_id == self.program_id, _v.type == resource_type)
        if resource_id is not None:
            query = query.where(_r.id == resource_id, _v.id == resource_id)
        if since is not None:
            query = query.where(_v.updated_at >= since)
        if after is not None:
            query = query.where(tuple_(_v.updated_at, _v.id, _v.version) < tuple_(*after))
        query = query.order_by(_v.updated_at.desc(), _v.id.desc(), _v.version.desc()).limit(count)
        return [from_row(row) for row in self.connection.execute(self._visible(query))]

    def read_many(self, references: Iterable[str]) -> dict[str, Stored]:
        """The current versions of those "Type/id" that exist and may be seen."""
        wanted = set(references)
        if not wanted:
            return {}
        found = map(from_row, sql.MANY.by(self._visible).rows(self.connection, self._among(wanted)))
        return {one.reference: one for one in found if one.reference in wanted}

    def missing(self, references: Iterable[str]) -> frozenset[str]:
        """Those "Type/id" that are not here, or not for this caller to see."""
        wanted = frozenset(references)
        if not wanted:
            return wanted
        here = sql.PRESENT.by(self._visible).rows(self.connection, self._among(wanted))
        return wanted - {f"{row.type}/{row.id}" for row in here}

    def search(self, resource_type: str, query: Query | str = "", *, bounded: bool = False) -> Page:
        """One page of what matches; a text is parsed strictly (BadRequest).

        bounded  a page may end before it is full, when it has looked at very many rows; its next link goes on there
        """
        asked = parse(resource_type, query) if isinstance(query, str) else query
        if (token := _identifier_of(asked)) is not None:
            return self._by_identifier(asked, token)
        here = [_r.program_id == self.program_id, _r.type == resource_type]
        by_date = order.date_of(asked) is not None
        ordered = by_date or order.is_walked(asked)
        tests, walked = self._conditions.of(asked.clauses, self.connection, ordered=ordered, by_value=by_date)
        where = [*here, *tests]
        rows: list[Stored] = []
        stopped: str | None = None
        if asked.count and ordered and walked:
            walk = Walk(self.connection, self._conditions, self._visible, here, where, bounded and bool(tests))
            rows, stopped = walk.page(asked, self._last(asked))
        elif asked.count:
            page = order.ordered(self._visible(sql.CURRENT.where(*where)), asked, self._conditions, self._last(asked))
            rows = [from_row(row) for row in self.connection.execute(page.limit(asked.count + 1))]
        more = len(rows) > asked.count > 0
        rows = rows[: asked.count]
        ended = not more and stopped is None
        total: int | None = len(rows) if asked.count and ended and asked.after is None else None
        if total is None and (asked.total or not asked.count):
            matching = self._visible(select(_r.id).where(*where, sql.ALIVE)).subquery()
            total = int(self.connection.execute(select(func.count()).select_from(matching)).scalar_one())
        return Page(tuple(rows), total, _cursor(asked, rows[-1]) if more else stopped)

    def _by_identifier(self, asked: Query, token: Token) -> Page:
        values = {"p": self.program_id, "t": asked.type, "c": token.code, "n": asked.count + 1, **self._visible.values}
        statement = sql.BY_VALUE
        if token.system is not None:
            statement, values["s"] = sql.BY_IDENTIFIER, token.system
        rows = [from_row(row) for row in statement.by(self._visible).rows(self.connection, values)]
        more, rows = len(rows) > asked.count, rows[: asked.count]
        return Page(tuple(rows), None if more else len(rows), _cursor(asked, rows[-1]) if more else None)

    def _last(self, asked: Query) -> Stored | None:
        """The row a cursor names, where the order needs more of it than the cursor says.

        Only what the caller may see still: the place of any other row in an order would tell what it holds.
        """
        if asked.after is None or asked.after.kind != "v":
            return None
        try:
            return self.vread(asked.type, asked.after.id, asked.after.number)
        except (NotFound, Gone):
            raise BadRequest("This page is no longer there. Begin the search again.", place="_after") from None

    def pointing_at(self, resource_type: str, resource_id: str) -> bool:
        """Whether anything the caller may see refers to this resource."""
        query = sql.POINTED_AT.where(
            fhir_reference.c.program_id == self.program_id,
            fhir_reference.c.type.in_(sorted(PARAMETERS)),
            fhir_reference.c.param.in_(sql.POINTING[resource_type]),
            fhir_reference.c.target == key_of(f"{resource_type}/{resource_id}"),
        ).limit(1)
        return self.connection.execute(self._visible(query)).first() is not None

    def identified(self, keys: Iterable[Key]) -> dict[Key, list[str]]:
        """For each identifier the ids of all visible resources that have it, whoever sent them; one query for all."""
        wanted = list(keys)
        if not wanted:
            return {}
        values = {
            "p": self.program_id,
            "types": sorted({one.type for one in wanted}),
            "codes": sorted({key_of(one.value) for one in wanted}),
            **self._visible.values,
        }
        found: dict[tuple[str, str, str], list[str]] = {}
        for row in sql.ALL_IDENTIFIED.by(self._visible).rows(self.connection, values):
            found.setdefault((row.type, row.system, row.code), []).append(row.id)
        return {one: found.get((one.type, key_of(one.system), key_of(one.value)), []) for one in wanted}

    def _among(self, references: Iterable[str]) -> dict[str, Any]:
        pairs = [one.partition("/") for one in references]
        types, ids = sorted({pair[0] for pair in pairs}), sorted({pair[2] for pair in pairs})
        return {"p": self.program_id, "types": types, "ids": ids, **self._visible.values}

    # what is written

    def hold(self, references: Iterable[str]) -> bool:
        """Keep others from changing these "Type/id" until the transaction ends; whether that had to be said.

        SQLite has one writer at a time. PostgreSQL holds them in one order, so that nobody waits in a circle; what
        is read afterwards is what the one before has left.
        """
        wanted = [one.split("/", 1) for one in references]
        if not wanted or self.connection.dialect.name == "sqlite":
            return False
        these = select(_r.id).where(_r.program_id == self.program_id, tuple_(_r.type, _r.id).in_(wanted))
        self.connection.execute(these.order_by(_r.type, _r.id).with_for_update())
        return True

    def create(self, resource: Json, labels: Labels, *, id: str | None = None) -> Stored:  # noqa: A002
        """Store a new resource under `id` or a new one; an id inside the resource is not looked at.

        Raises  Duplicate when this sender sent the identifier of a Task or ServiceRequest before
        """
        return self.write([Draft({**resource, "id": id or new_id()}, labels)])[0]

    def update(self, resource: Json, labels: Labels | None, expected_version: int | None) -> Stored:
        """Store the next version. labels None keeps them; expected_version None takes whatever is current.

        Raises  NotFound, VersionConflict, Duplicate
        """
        previous = self.read(resource["resourceType"], resource["id"])
        if expected_version is not None and previous.version != expected_version:
            raise VersionConflict
        return self.write([Draft(resource, labels, previous)])[0]

    def put(self, resource: Json, labels: Labels) -> Stored:
        """Store this resource under its own id: new, as the next version, or not at all when it says the same."""
        reference = f"{resource['resourceType']}/{resource['id']}"
        previous = self.read_many([reference]).get(reference)
        if previous is not None and previous.labels == labels:
            same = with_meta(resource, previous.id, previous.version, previous.updated_at)
            if write(same) == previous.body:
                return previous
        return self.write([Draft(resource, labels, previous)])[0]

    def write(self, drafts: Sequence[Draft]) -> list[Stored]:
        """Store many at once, in this order; one statement per table however many there are.

        Raises  VersionConflict when one moved since it was read; Duplicate for a claimed identifier
        """
        if not drafts:
            return []
        now = self._clock.now()
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)  # as precise as lastUpdated says it
        done = [_next(draft, at) for draft in drafts]
        before = [rows_of(draft.previous.resource) if draft.previous else Rows() for draft in drafts]
        after = [rows_of(one.parsed) for one in done]
        self._claim(drafts, done)
        created = []
        for draft, one, rows in zip(drafts, done, after, strict=True):
            if draft.previous:
                self._move(one, rows.keys, draft.place)
            else:
                created.append(self._row(one, rows.keys))
        if created:
            sql.NEW_RESOURCE.run_many(self.connection, created)
        sql.NEW_VERSION.run_many(self.connection, [self._version_row(one) for one in done])
        self._indexing.change((one.type, one.id, old, new) for one, old, new in zip(done, before, after, strict=True))
        return done

    def delete(self, previous: Stored, *, place: str = "") -> Stored:
        """Delete what was read: its versions stay, its index rows and claimed identifiers go.

        Returns  the version that says so, without a body
        Raises   VersionConflict when it moved since it was read
        """
        now = self._clock.now()
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)
        one = Stored(previous.type, previous.id, previous.version + 1, at, b"", previous.labels, method="delete")
        self._move(one, "", place)
        sql.NEW_VERSION.run_many(self.connection, [self._version_row(one)])
        self._indexing.change([(one.type, one.id, rows_of(previous.resource), Rows())])
        self.claims.release(_keys(previous, previous.labels), one.id)
        return one

    def _claim(self, drafts: Sequence[Draft], done: Sequence[Stored]) -> None:
        wanted: dict[Key, str] = {}
        places: dict[Key, str] = {}
        for draft, one in zip(drafts, done, strict=True):
            if one.type not in CLAIMED_TYPES:
                continue
            keys = _keys(one, one.labels)
            if draft.previous:
                old = _keys(draft.previous, one.labels)
                self.claims.release(old - keys, one.id)
                keys -= old
            if draft.claimed is not None:
                keys.discard(Key(one.type, *draft.claimed, one.labels.source or ""))
            for key in keys:
                places[key] = f"{draft.place or one.type}.identifier"
                if wanted.setdefault(key, one.id) != one.id:
                    raise Duplicate("Two resources sent together have one identifier.", place=places[key])
        for key, holder in self.claims.claim(wanted).items():
            raise Duplicate(
                f"This identifier was sent before: it is {key.type}/{holder}.",
                place=places[key],
                advice=f"Read or update {key.type}/{holder}; to send safely more than once, use If-None-Exist.",
            )

    def _move(self, one: Stored, keys: str, place: str) -> None:
        labels = one.labels
        values = {
            "p": self.program_id, "t": one.type, "i": one.id, "expected": one.version - 1, "n": one.version,
            "at": micros(one.updated_at), "s": labels.source, "who": labels.person_id, "cls": labels.share_class,
            "sorted": keys, "gone": one.method == "delete",
        }  # fmt: skip
        if sql.MOVE.run(self.connection, values) != 1:
            raise VersionConflict(place=place or None)

    def _row(self, one: Stored, keys: str) -> dict[str, Any]:
        return {
            "program_id": self.program_id, "type": one.type, "id": one.id, "version": one.version,
            "updated_at": micros(one.updated_at), "source": one.labels.source, "person_id": one.labels.person_id,
            "share_class": one.labels.share_class, "keys": keys, "deleted": False,
        }  # fmt: skip

    def _version_row(self, one: Stored) -> dict[str, Any]:
        return {
            "program_id": self.program_id, "type": one.type, "id": one.id, "version": one.version,
            "updated_at": micros(one.updated_at), "method": one.method, "body": one.body,
        }  # fmt: skip


def _there(row: Any) -> Stored:
    if row is None:
        raise NotFound
    found = from_row(row)
    if found.method == "delete":
        raise Gone
    return found


def _identifier_of(asked: Query) -> Token | None:
    """The identifier asked for, when that is all a search asks: the first page of one value, in the usual order."""
    if len(asked.clauses) != 1 or asked.sort or asked.after or asked.total or not asked.count:
        return None
    clause = asked.clauses[0]
    value = clause.values[0] if len(clause.values) == 1 and not clause.modifier else None
    return value if clause.parameter.name == "identifier" and isinstance(value, Token) else None


def _cursor(asked: Query, last: Stored) -> str:
    kind = kind_of(asked.sort)
    number = micros(last.updated_at) if kind == "t" else last.version if kind == "v" else 0
    return str(Cursor(kind, number, last.id))


def _next(draft: Draft, at: datetime) -> Stored:
    previous = draft.previous
    labels = draft.labels if draft.labels is not None else previous.labels if previous else Labels()
    version = previous.version + 1 if previous else 1
    resource = with_meta(draft.resource, draft.resource["id"], version, at)
    method = "update" if previous else "create"
    return Stored(resource["resourceType"], resource["id"], version, at, write(resource), labels, resource, method)


def _keys(one: Stored, labels: Labels) -> set[Key]:
    return {Key(one.type, system, value, labels.source or "") for system, value in identifiers_of(one.resource)}
