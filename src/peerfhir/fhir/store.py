"""Versions, index rows and conditional keys in SQL tables, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, and_, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from peerfhir.clock import Clock, new_id
from peerfhir.errors import Duplicate, NotFound, VersionConflict
from peerfhir.fhir import criteria
from peerfhir.fhir.claims import Claims, Key
from peerfhir.fhir.index import Rows, identifiers_of, key_of, rows_of
from peerfhir.fhir.labels import Labels
from peerfhir.fhir.prepared import EVERYTHING, Prepared, Seen, Sight, among
from peerfhir.fhir.reader import Json
from peerfhir.fhir.search import Query, cursor_of, parse
from peerfhir.fhir.stored import Draft, Page, Stored, from_row, with_meta
from peerfhir.fhir.tables import (
    fhir_date,
    fhir_reference,
    fhir_resource,
    fhir_string,
    fhir_token,
    fhir_version,
    metadata,
    micros,
)
from peerfhir.fhir.writer import write

__all__ = ["Draft", "Key", "Labels", "Page", "Store", "Stored", "fhir_resource", "metadata"]

# An order and its Task must never be doubled: their identifiers are claimed whether or not the sender asked.
CLAIMED_TYPES = frozenset({"Task", "ServiceRequest"})

_r, _v, _t = fhir_resource.c, fhir_version.c, fhir_token.c
_SAME = and_(_v.program_id == _r.program_id, _v.type == _r.type, _v.id == _r.id)
_HERE = and_(_r.program_id == bindparam("p"), _r.type == bindparam("t"), _r.id == bindparam("i"))
_LABELS = (_r.source, _r.person_id, _r.share_class)
_CURRENT = select(_r.type, _r.id, _r.version, _r.updated_at, *_LABELS, _v.body).select_from(
    fhir_resource.join(fhir_version, and_(_SAME, _v.version == _r.version))
)
_ONE = Seen(_CURRENT.where(_HERE))
_ONE_VERSION = Seen(
    select(_r.type, _r.id, _v.version, _v.updated_at, *_LABELS, _v.body)
    .select_from(fhir_resource.join(fhir_version, _SAME))
    .where(_HERE, _v.version == bindparam("n"))
)
_MOVE = Prepared(
    update(fhir_resource)
    .where(_HERE, _r.version == bindparam("expected"))
    .values(version=bindparam("n"), updated_at=bindparam("at"), source=bindparam("s"))
    .values(person_id=bindparam("who"), share_class=bindparam("cls"), facets=bindparam("facets"))
)
_IDENTIFIED = select(_r.type, _r.id, _t.system, _t.code).select_from(
    fhir_token.join(fhir_resource, and_(_r.program_id == _t.program_id, _r.type == _t.type, _r.id == _t.id))
)
# Two plain lists, because both databases index those; whoever asks drops the surplus.
_AMONG = [
    and_(_r.program_id == bindparam("p"), types, ids)
    for types, ids in zip(among(_r.type, "types"), among(_r.id, "ids"), strict=True)
]
_MANY = Seen(*(_CURRENT.where(these) for these in _AMONG))
_PRESENT = Seen(*(select(_r.type, _r.id).where(these) for these in _AMONG))
_ALL_IDENTIFIED = Seen(
    *(
        _IDENTIFIED.where(_t.program_id == bindparam("p"), types, _t.param == "identifier", codes)
        for types, codes in zip(among(_t.type, "types"), among(_t.code, "codes"), strict=True)
    )
)
_NEW_RESOURCE = Prepared(insert(fhir_resource))
_NEW_VERSION = Prepared(insert(fhir_version))


def _index_of(table: Table, kind: str, names: tuple[str, ...]) -> tuple[str, tuple[str, ...], Prepared, Prepared]:
    """The rows' kind and their own columns, how they are removed, how they are added."""
    gone = delete(table).where(*(column == bindparam(column.name) for column in table.primary_key))
    added = Prepared(sqlite.insert(table).on_conflict_do_nothing(), postgresql.insert(table).on_conflict_do_nothing())
    return kind, names, Prepared(gone), added


_INDEXES = (
    _index_of(fhir_token, "tokens", ("param", "code", "system")),
    _index_of(fhir_reference, "references", ("param", "target")),
    _index_of(fhir_date, "dates", ("param", "low", "high")),
    _index_of(fhir_string, "strings", ("param", "value")),
)


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
        self._conditions = criteria.Conditions(program_id, connection.dialect.name)
        self._clock = clock
        self._visible = visible

    # what is kept

    def read(self, resource_type: str, resource_id: str) -> Stored:
        """The current version. Raises NotFound, also for what the caller may not see."""
        values = {"p": self.program_id, "t": resource_type, "i": resource_id}
        row = _ONE.by(self._visible).first(self.connection, {**values, **self._visible.values}, alone=True)
        if row is None:
            raise NotFound
        return from_row(row)

    def vread(self, resource_type: str, resource_id: str, version: int) -> Stored:
        """One version, with the labels of today. Raises NotFound."""
        values = {"p": self.program_id, "t": resource_type, "i": resource_id, "n": version}
        row = _ONE_VERSION.by(self._visible).first(self.connection, {**values, **self._visible.values}, alone=True)
        if row is None:
            raise NotFound
        return from_row(row)

    def read_many(self, references: Iterable[str]) -> dict[str, Stored]:
        """The current versions of those "Type/id" that exist and may be seen."""
        wanted = set(references)
        if not wanted:
            return {}
        found = map(from_row, _MANY.by(self._visible).rows(self.connection, self._among(wanted)))
        return {one.reference: one for one in found if one.reference in wanted}

    def missing(self, references: Iterable[str]) -> frozenset[str]:
        """Those "Type/id" that are not here, or not for this caller to see."""
        wanted = frozenset(references)
        if not wanted:
            return wanted
        here = _PRESENT.by(self._visible).rows(self.connection, self._among(wanted))
        return wanted - {f"{row.type}/{row.id}" for row in here}

    def search(self, resource_type: str, query: Query | str = "") -> Page:
        """One page of what matches; a text is parsed strictly (BadRequest)."""
        asked = parse(resource_type, query) if isinstance(query, str) else query
        where = [_r.program_id == self.program_id, _r.type == resource_type]
        where += [self._conditions.of(clause) for clause in asked.clauses]
        rows: list[Stored] = []
        if asked.count:
            page = criteria.ordered(self._visible(_CURRENT.where(*where)), asked).limit(asked.count + 1)
            rows = [from_row(row) for row in self.connection.execute(page)]
        after = cursor_of(micros(rows[-2].updated_at), rows[-2].id) if len(rows) > asked.count > 0 else None
        rows = rows[: asked.count]
        total: int | None = len(rows) if asked.count and after is None and asked.after is None else None
        if total is None and asked.total:
            matching = criteria.counted(self._visible(select(_r.id).where(*where)))
            total = int(self.connection.execute(matching).scalar_one())
        return Page(tuple(rows), total, after)

    def find_by_identifier(self, resource_type: str, system: str, value: str, source: str | None = None) -> str | None:
        """The id of a visible resource with this identifier (from this sender, when one is named), or None."""
        query = _IDENTIFIED.where(
            _t.program_id == self.program_id, _t.type == resource_type, _t.param == "identifier",
            _t.code == key_of(value), _t.system == key_of(system),
        )  # fmt: skip
        if source is not None:
            query = query.where(_r.source == source)
        row = self.connection.execute(self._visible(query).order_by(_r.id).limit(1)).first()
        return None if row is None else str(row.id)

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
        for row in _ALL_IDENTIFIED.by(self._visible).rows(self.connection, values):
            found.setdefault((row.type, row.system, row.code), []).append(row.id)
        return {one: found.get((one.type, key_of(one.system), key_of(one.value)), []) for one in wanted}

    def _among(self, references: Iterable[str]) -> dict[str, Any]:
        pairs = [one.partition("/") for one in references]
        types, ids = sorted({pair[0] for pair in pairs}), sorted({pair[2] for pair in pairs})
        return {"p": self.program_id, "types": types, "ids": ids, **self._visible.values}

    # what is written

    def claim_key(
        self, resource_type: str, system: str, value: str, resource_id: str, source: str | None
    ) -> str | None:
        """Claim one identifier for one resource; the id of the one that has it already, or None."""
        key = Key(resource_type, system, value, source or "")
        return self.claims.claim({key: resource_id}).get(key)

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
                self._move(one, rows.facets, draft.place)
            else:
                created.append(self._row(one, rows.facets))
        if created:
            _NEW_RESOURCE.run_many(self.connection, created)
        _NEW_VERSION.run_many(self.connection, [self._version_row(one) for one in done])
        self._index(done, before, after)
        return done

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

    def _move(self, one: Stored, facets: str, place: str) -> None:
        labels = one.labels
        values = {
            "p": self.program_id, "t": one.type, "i": one.id, "expected": one.version - 1, "n": one.version,
            "at": micros(one.updated_at), "s": labels.source, "who": labels.person_id, "cls": labels.share_class,
            "facets": facets,
        }  # fmt: skip
        if _MOVE.run(self.connection, values) != 1:
            raise VersionConflict(place=place or None)

    def _row(self, one: Stored, facets: str) -> dict[str, Any]:
        return {
            "program_id": self.program_id, "type": one.type, "id": one.id, "version": one.version,
            "updated_at": micros(one.updated_at), "source": one.labels.source, "person_id": one.labels.person_id,
            "share_class": one.labels.share_class, "facets": facets,
        }  # fmt: skip

    def _version_row(self, one: Stored) -> dict[str, Any]:
        method = "create" if one.version == 1 else "update"
        return {
            "program_id": self.program_id, "type": one.type, "id": one.id, "version": one.version,
            "updated_at": micros(one.updated_at), "method": method, "body": one.body,
        }  # fmt: skip

    def _index(self, done: Sequence[Stored], before: Sequence[Rows], after: Sequence[Rows]) -> None:
        """Write what changed: a step of a Task moves two or three rows, not all of them."""
        for kind, names, gone_from, new_in in _INDEXES:
            gone: list[dict[str, Any]] = []
            new: list[dict[str, Any]] = []
            for one, old_rows, new_rows in zip(done, before, after, strict=True):
                old, now = getattr(old_rows, kind), getattr(new_rows, kind)
                where = {"program_id": self.program_id, "type": one.type, "id": one.id}
                gone += [{**where, **dict(zip(names, row, strict=True))} for row in old - now]
                new += [{**where, **dict(zip(names, row, strict=True))} for row in now - old]
            if gone:
                gone_from.run_many(self.connection, gone)
            if new:
                new_in.run_many(self.connection, new)


def _next(draft: Draft, at: datetime) -> Stored:
    previous = draft.previous
    labels = draft.labels if draft.labels is not None else previous.labels if previous else Labels()
    version = previous.version + 1 if previous else 1
    resource = with_meta(draft.resource, draft.resource["id"], version, at)
    return Stored(resource["resourceType"], resource["id"], version, at, write(resource), labels, resource)


def _keys(one: Stored, labels: Labels) -> set[Key]:
    return {Key(one.type, system, value, labels.source or "") for system, value in identifiers_of(one.resource)}
