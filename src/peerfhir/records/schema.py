"""The tables. Those of FHIR resources are in fhir.store and share this metadata at migration time.

Every row of a person, referral, note, consent and message carries `program_id`.
Instants are whole microseconds since 1970-01-01T00:00:00Z, so that both databases compare them alike.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime, kept as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect | None = None) -> int | None:
        """Aware datetime -> microseconds; a naive one is refused."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Microseconds -> aware datetime in UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_ID = String(64)


def _record(name: str, *columns: Column[Any] | UniqueConstraint | Index) -> Table:
    """A table of one noun: keys to find it by, and the whole record as JSON in `body`."""
    return Table(
        name,
        metadata,
        Column("program_id", _ID, primary_key=True),
        Column("id", _ID, primary_key=True),
        Column("version", Integer, nullable=False),
        Column("updated_at", Instant, nullable=False),
        Column("body", LargeBinary, nullable=False),
        *columns,
    )


person = _record("person", Column("sharing_stopped_at", Instant))  # asked inside the queries of access.policy
person_identifier = Table(
    "person_identifier",
    metadata,
    Column("program_id", _ID, primary_key=True),
    Column("system", String(255), primary_key=True),
    Column("value", String(255), primary_key=True),
    Column("person_id", _ID, nullable=False),
    Index(None, "program_id", "person_id"),
)
peer = _record("peer", Column("user_id", _ID))
referral = _record(
    "referral",
    Column("person_id", _ID, nullable=False),
    Column("peer_id", _ID),
    Column("status", String(40), nullable=False),
    Column("number", String(40), nullable=False),
    Column("source", _ID),
    Column("task_id", _ID),
    Column("is_open", Boolean, nullable=False),
    Column("received_at", Instant),
    UniqueConstraint("program_id", "number"),
    UniqueConstraint("program_id", "task_id"),
    Index(None, "program_id", "person_id"),
    Index(None, "program_id", "is_open", "received_at"),
    Index(None, "program_id", "peer_id"),
)
engagement = _record(
    "engagement",
    Column("referral_id", _ID, nullable=False),
    Column("person_id", _ID, nullable=False),
    Column("peer_id", _ID, nullable=False),
    Column("status", String(20), nullable=False),
    UniqueConstraint("program_id", "referral_id"),
    Index(None, "program_id", "peer_id", "status"),
)
encounter = _record(
    "encounter",
    Column("person_id", _ID, nullable=False),
    Column("peer_id", _ID, nullable=False),
    Column("referral_id", _ID),
    Column("group_id", _ID),
    Column("client_uuid", _ID),
    Column("started_at", Instant, nullable=False),
    UniqueConstraint("program_id", "client_uuid"),
    Index(None, "program_id", "person_id", "started_at"),
    Index(None, "program_id", "peer_id", "started_at"),
)
group_session = _record("group_session", Column("peer_id", _ID, nullable=False))
outcome = _record(
    "outcome",
    Column("person_id", _ID, nullable=False),
    Column("referral_id", _ID),
    Column("instrument_id", _ID, nullable=False),
    Column("answered_at", Instant, nullable=False),
    Column("client_uuid", _ID),
    Index(None, "program_id", "person_id", "answered_at"),
    Index(None, "program_id", "referral_id"),
    UniqueConstraint("program_id", "client_uuid"),
)
consent_grant = _record(
    "consent_grant",
    Column("person_id", _ID, nullable=False),
    Column("recipient", String(20), nullable=False),
    Column("share_class", String(30), nullable=False),
    Column("granted_at", Instant, nullable=False),
    Column("until", Instant),
    Column("ended_at", Instant),
    Index(None, "program_id", "person_id", "recipient", "share_class"),
)
safety_event = _record(
    "safety_event",
    Column("person_id", _ID, nullable=False),
    Column("source", String(100), nullable=False),
    Column("state", String(30), nullable=False),
    Column("raised_at", Instant, nullable=False),
    UniqueConstraint("program_id", "source"),
    Index(None, "program_id", "state"),
)

record_version = Table(  # every version of every record, so that what is owed names an exact one
    "record_version",
    metadata,
    Column("program_id", _ID, primary_key=True),
    Column("kind", String(30), primary_key=True),
    Column("id", _ID, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("kept_at", Instant, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
number = Table(  # the last number given out for each prefix
    "number",
    metadata,
    Column("program_id", _ID, primary_key=True),
    Column("prefix", String(10), primary_key=True),
    Column("last", Integer, nullable=False),
)

inbox_message = Table(
    "inbox_message",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("program_id", _ID, nullable=False),
    Column("source", _ID, nullable=False),  # endpoint id, or client id
    Column("message_key", String(255), nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("content_type", String(100), nullable=False),
    Column("body", LargeBinary, nullable=False),  # the bytes as they arrived
    Column("body_sha256", String(64), nullable=False),
    Column("focus", Text, nullable=False),  # JSON list of "Type/id/_history/v" written with it
    Column("execution_id", _ID, nullable=False),  # X-Request-Id
    Column("state", String(20), nullable=False),  # ready | leased | done | parked
    Column("reason", String(60)),
    Column("advice", Text),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", Instant, nullable=False),
    Column("lease_owner", _ID),
    Column("lease_epoch", Integer, nullable=False, default=0),
    Column("lease_until", Instant),
    Column("settled_at", Instant),
    Column("record_type", String(30)),  # what it became
    Column("record_id", _ID),
    UniqueConstraint("program_id", "source", "message_key"),
    Index(None, "state", "due_at"),
)

lane = Table(
    "lane",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("program_id", _ID, nullable=False),
    Column("endpoint", _ID, nullable=False),
    Column("order_key", _ID, nullable=False),  # the person; the referral where there is none
    Column("head_id", BigInteger),
    Column("head_due", Instant),
    Column("lease_owner", _ID),
    Column("lease_epoch", Integer, nullable=False, default=0),
    Column("lease_until", Instant),
    Column("attempts", Integer, nullable=False, default=0),
    Column("paused", Boolean, nullable=False, default=False),
    Column("paused_by", _ID),
    Column("pause_reason", String(200)),
    UniqueConstraint("endpoint", "program_id", "order_key"),
    Index(None, "endpoint", "head_due"),
)
outbox_message = Table(
    "outbox_message",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("program_id", _ID, nullable=False),
    Column("lane_id", BigInteger().with_variant(Integer, "sqlite")),  # None: our own projection
    Column("endpoint", _ID, nullable=False, default=""),  # "": our own API
    Column("idem", String(200), nullable=False),  # the effect: number:piece[:detail]; for status also :version
    Column("piece", String(20), nullable=False),
    Column("detail", String(100)),
    Column("share_class", String(30), nullable=False),
    Column("person_id", _ID, nullable=False),
    Column("referral_id", _ID),
    Column("record_type", String(30), nullable=False),
    Column("record_id", _ID, nullable=False),
    Column("record_version", Integer, nullable=False),
    Column("state", String(20), nullable=False),  # ready | leased | held | done | parked | cancelled | superseded
    Column("reason", String(60)),
    Column("advice", Text),
    Column("outcome", LargeBinary),  # OperationOutcome of the last refusal, without values
    Column("rung", Integer),  # 1-4 of the write-back ladder
    Column("rung_reason", Text),
    Column("form", String(40)),  # resource type it was sent as, or "kept"
    Column("mapping_id", String(64)),
    Column("mapping_sha256", String(64)),
    Column("mapping_version", String(20)),
    Column("overlay", String(64)),  # of the mapping; None: none
    Column("engine", String(60)),  # what ran the mapping
    Column("packages", Text),  # of FHIR, that were installed then
    Column("grant_id", _ID),  # the consent it was sent under
    Column("named", Boolean, nullable=False, default=False),  # the peer's name stands in the bytes
    Column("method", String(8)),
    Column("target", String(500)),  # path below the endpoint's base, without personal data
    Column("if_none_exist", String(500)),
    Column("if_match", String(200)),
    Column("body", LargeBinary),  # exact bytes, kept before the wire
    Column("body_sha256", String(64)),
    Column("attempts", Integer, nullable=False, default=0),
    Column("created_at", Instant, nullable=False),
    Column("horizon_at", Instant, nullable=False),
    Column("settled_at", Instant),
    Column("parent_id", BigInteger, nullable=False, default=0),  # 0: not a replay
    Column("replay_mode", String(10)),  # pinned | current
    Column("execution_id", _ID),
    UniqueConstraint("program_id", "endpoint", "idem", "parent_id"),
    ForeignKeyConstraint(["lane_id"], ["lane.id"]),
    Index(None, "lane_id", "state", "id"),
    Index(None, "program_id", "person_id", "state"),
    Index(None, "program_id", "referral_id"),
    Index(None, "state"),
)
attempt = Table(  # append only
    "attempt",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("outbox_id", BigInteger, nullable=False),
    Column("program_id", _ID, nullable=False),
    Column("n", Integer, nullable=False),
    Column("worker", _ID, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("on_wire", Boolean, nullable=False, default=False),  # bytes may have left
    Column("milliseconds", Integer),
    Column("status", Integer),
    Column("verdict", String(12)),
    Column("retry_after", Integer),
    Column("late", Boolean, nullable=False, default=False),
    Column("error", String(200)),  # without values
    Index(None, "outbox_id"),
)
endpoint_state = Table(
    "endpoint_state",
    metadata,
    Column("endpoint", _ID, primary_key=True),
    Column("paused", Boolean, nullable=False, default=False),
    Column("pause_reason", String(200)),
    Column("breaker", String(10), nullable=False, default="closed"),  # closed | open | half-open
    Column("failures", Integer, nullable=False, default=0),
    Column("open_until", Instant),
    Column("probe_lane", BigInteger),
    Column("tokens", Integer),
    Column("tokens_at", Instant),
    Column("capability", LargeBinary),  # the CapabilityStatement that was read
    Column("capability_at", Instant),
)
remote = Table(  # where our resource is at an endpoint: the address to write back to
    "remote",
    metadata,
    Column("program_id", _ID, primary_key=True),
    Column("endpoint", _ID, primary_key=True),
    Column("local", String(200), primary_key=True),  # "Type/id" of ours, or "number:piece[:detail]" of what was sent
    Column("reference", String(500), nullable=False),  # "Type/id" below the endpoint's base
    Column("etag", String(200)),
    Column("at", Instant, nullable=False),
)

mapping_version = Table(  # append only: what a version of a mapping was when it was first used
    "mapping_version",
    metadata,
    Column("mapping_id", String(64), primary_key=True),
    Column("version", String(20), primary_key=True),
    Column("overlay", String(64), primary_key=True, default=""),  # "": the mapping by itself
    Column("overlay_version", String(20), primary_key=True, default=""),
    Column("sha256", String(64), nullable=False),  # its content hash
    Column("kept_at", Instant, nullable=False),
)
mapping_file = Table(  # append only: manifests and the files they list
    "mapping_file",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Column("kept_at", Instant, nullable=False),
)
mapping_reload = Table(  # append only: what every process has to read again, and what it must find then
    "mapping_reload",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("sha256", String(64), nullable=False),  # over all mappings
    Column("asked_by", _ID, nullable=False),
    Column("at", Instant, nullable=False),
)

audit = Table(  # hash-chained, written only by records.work
    "audit",
    metadata,
    # 1, 2, 3 ... without a gap: the chain's own count
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("program_id", _ID, nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", _ID, nullable=False),
    Column("role", String(20), nullable=False),
    Column("action", String(40), nullable=False),  # read | search | create | update | disclose | deny | sign-in ...
    Column("subject", String(200)),  # "referral/<id>", "Task/<id>" ...; never a name
    Column("person_id", _ID),
    Column("outcome", String(10), nullable=False),  # ok | denied | failed
    Column("detail", Text),  # JSON without personal data
    Column("execution_id", _ID),
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Index(None, "program_id", "person_id", "at"),
)
audit_head = Table(  # one row: where the chain ends, so that a missing end is seen; locked while the chain grows
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last_id", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
)

client = Table(
    "client",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("program_id", _ID, nullable=False),
    Column("name", String(100), nullable=False),
    Column("endpoint", _ID),  # the hospital it speaks for
    Column("secret_hash", String(200)),
    Column("jwks", Text),
    Column("scopes", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    UniqueConstraint("program_id", "name"),
)
access_token = Table(
    "access_token",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("client_id", _ID, nullable=False),
    Column("program_id", _ID, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Index(None, "expires_at"),
)
used_jti = Table(
    "used_jti",
    metadata,
    Column("issuer", _ID, primary_key=True),
    Column("jti", String(255), primary_key=True),
    Column("expires_at", Instant, nullable=False),
)
user_account = Table(
    "user_account",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("program_id", _ID, nullable=False),
    Column("login", String(100), nullable=False, unique=True),
    Column("display", String(100), nullable=False),
    Column("role", String(20), nullable=False),
    Column("peer_id", _ID),
    Column("password_hash", String(200), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Column("failures", Integer, nullable=False, default=0),
    Column("locked_until", Instant),
)
login = Table(
    "login",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("user_id", _ID, nullable=False),
    Column("program_id", _ID, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("ended_at", Instant),
)
person_link = Table(
    "person_link",
    metadata,
    Column("sha256", String(64), primary_key=True),  # of the key in the person's link
    Column("program_id", _ID, nullable=False),
    Column("person_id", _ID, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("made_by", _ID, nullable=False),
    Column("ended_at", Instant),
    Index(None, "program_id", "person_id"),
)
