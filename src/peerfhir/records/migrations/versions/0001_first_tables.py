"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "access_token",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_access_token")),
    )
    op.create_index(op.f("ix_access_token_expires_at"), "access_token", ["expires_at"], unique=False)
    op.create_table(
        "attempt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("outbox_id", sa.BigInteger(), nullable=False),
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("on_wire", sa.Boolean(), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("verdict", sa.String(length=12), nullable=True),
        sa.Column("retry_after", sa.Integer(), nullable=True),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
    )
    op.create_index(op.f("ix_attempt_outbox_id"), "attempt", ["outbox_id"], unique=False)
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=True),
        sa.Column("person_id", sa.String(length=64), nullable=True),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("execution_id", sa.String(length=64), nullable=True),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_program_id_person_id_at"), "audit", ["program_id", "person_id", "at"], unique=False)
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "client",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("endpoint", sa.String(length=64), nullable=True),
        sa.Column("secret_hash", sa.String(length=200), nullable=True),
        sa.Column("jwks", sa.Text(), nullable=True),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client")),
        sa.UniqueConstraint("program_id", "name", name=op.f("uq_client_program_id_name")),
    )
    op.create_table(
        "consent_grant",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("recipient", sa.String(length=20), nullable=False),
        sa.Column("share_class", sa.String(length=30), nullable=False),
        sa.Column("granted_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("program_id", "id", name=op.f("pk_consent_grant")),
    )
    op.create_index(
        op.f("ix_consent_grant_program_id_person_id_recipient_share_class"),
        "consent_grant",
        ["program_id", "person_id", "recipient", "share_class"],
        unique=False,
    )
    op.create_table(
        "encounter",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("peer_id", sa.String(length=64), nullable=False),
        sa.Column("referral_id", sa.String(length=64), nullable=True),
        sa.Column("group_id", sa.String(length=64), nullable=True),
        sa.Column("client_uuid", sa.String(length=64), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("program_id", "id", name=op.f("pk_encounter")),
        sa.UniqueConstraint("program_id", "client_uuid", name=op.f("uq_encounter_program_id_client_uuid")),
    )
    op.create_index(
        op.f("ix_encounter_program_id_peer_id_started_at"),
        "encounter",
        ["program_id", "peer_id", "started_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_encounter_program_id_person_id_started_at"),
        "encounter",
        ["program_id", "person_id", "started_at"],
        unique=False,
    )
    op.create_table(
        "endpoint_state",
        sa.Column("endpoint", sa.String(length=64), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("pause_reason", sa.String(length=200), nullable=True),
        sa.Column("breaker", sa.String(length=10), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("open_until", sa.BigInteger(), nullable=True),
        sa.Column("probe_lane", sa.BigInteger(), nullable=True),
        sa.Column("tokens", sa.Integer(), nullable=True),
        sa.Column("tokens_at", sa.BigInteger(), nullable=True),
        sa.Column("capability", sa.LargeBinary(), nullable=True),
        sa.Column("capability_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("endpoint", name=op.f("pk_endpoint_state")),
    )
    op.create_table(
        "engagement",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("referral_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("peer_id", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("program_id", "id", name=op.f("pk_engagement")),
        sa.UniqueConstraint("program_id", "referral_id", name=op.f("uq_engagement_program_id_referral_id")),
    )
    op.create_index(
        op.f("ix_engagement_program_id_peer_id_status"), "engagement", ["program_id", "peer_id", "status"], unique=False
    )
    op.create_table(
        "group_session",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("peer_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("program_id", "id", name=op.f("pk_group_session")),
    )
    op.create_table(
        "inbox_message",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("message_key", sa.String(length=255), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("content_type", sa.String(length=100), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("body_sha256", sa.String(length=64), nullable=False),
        sa.Column("focus", sa.Text(), nullable=False),
        sa.Column("execution_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=True),
        sa.Column("advice", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_epoch", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("record_type", sa.String(length=30), nullable=True),
        sa.Column("record_id", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox_message")),
        sa.UniqueConstraint(
            "program_id", "source", "message_key", name=op.f("uq_inbox_message_program_id_source_message_key")
        ),
    )
    op.create_index(op.f("ix_inbox_message_state_due_at"), "inbox_message", ["state", "due_at"], unique=False)
    op.create_table(
        "lane",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint", sa.String(length=64), nullable=False),
        sa.Column("order_key", sa.String(length=64), nullable=False),
        sa.Column("head_id", sa.BigInteger(), nullable=True),
        sa.Column("head_due", sa.BigInteger(), nullable=True),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_epoch", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("paused_by", sa.String(length=64), nullable=True),
        sa.Column("pause_reason", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lane")),
        sa.UniqueConstraint("endpoint", "program_id", "order_key", name=op.f("uq_lane_endpoint_program_id_order_key")),
    )
    op.create_index(op.f("ix_lane_endpoint_head_due"), "lane", ["endpoint", "head_due"], unique=False)
    op.create_table(
        "login",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_login")),
    )
    op.create_table(
        "number",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("prefix", sa.String(length=10), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("program_id", "prefix", name=op.f("pk_number")),
    )
    op.create_table(
        "outcome",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("referral_id", sa.String(length=64), nullable=True),
        sa.Column("instrument_id", sa.String(length=64), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=False),
        sa.Column("client_uuid", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("program_id", "id", name=op.f("pk_outcome")),
        sa.UniqueConstraint("program_id", "client_uuid", name=op.f("uq_outcome_program_id_client_uuid")),
    )
    op.create_index(
        op.f("ix_outcome_program_id_person_id_answered_at"),
        "outcome",
        ["program_id", "person_id", "answered_at"],
        unique=False,
    )
    op.create_index(op.f("ix_outcome_program_id_referral_id"), "outcome", ["program_id", "referral_id"], unique=False)
    op.create_table(
        "peer",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("program_id", "id", name=op.f("pk_peer")),
    )
    op.create_table(
        "person",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sharing_stopped_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("program_id", "id", name=op.f("pk_person")),
    )
    op.create_table(
        "person_identifier",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("system", sa.String(length=255), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("program_id", "system", "value", name=op.f("pk_person_identifier")),
    )
    op.create_index(
        op.f("ix_person_identifier_program_id_person_id"),
        "person_identifier",
        ["program_id", "person_id"],
        unique=False,
    )
    op.create_table(
        "person_link",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_person_link")),
    )
    op.create_index(
        op.f("ix_person_link_program_id_person_id"), "person_link", ["program_id", "person_id"], unique=False
    )
    op.create_table(
        "record_version",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kept_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("program_id", "kind", "id", "version", name=op.f("pk_record_version")),
    )
    op.create_table(
        "referral",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("peer_id", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=True),
        sa.Column("task_id", sa.String(length=64), nullable=True),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("program_id", "id", name=op.f("pk_referral")),
        sa.UniqueConstraint("program_id", "number", name=op.f("uq_referral_program_id_number")),
        sa.UniqueConstraint("program_id", "task_id", name=op.f("uq_referral_program_id_task_id")),
    )
    op.create_index(
        op.f("ix_referral_program_id_is_open_received_at"),
        "referral",
        ["program_id", "is_open", "received_at"],
        unique=False,
    )
    op.create_index(op.f("ix_referral_program_id_peer_id"), "referral", ["program_id", "peer_id"], unique=False)
    op.create_index(op.f("ix_referral_program_id_person_id"), "referral", ["program_id", "person_id"], unique=False)
    op.create_table(
        "remote",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint", sa.String(length=64), nullable=False),
        sa.Column("local", sa.String(length=200), nullable=False),
        sa.Column("reference", sa.String(length=500), nullable=False),
        sa.Column("etag", sa.String(length=200), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("program_id", "endpoint", "local", name=op.f("pk_remote")),
    )
    op.create_table(
        "safety_event",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=30), nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("program_id", "id", name=op.f("pk_safety_event")),
        sa.UniqueConstraint("program_id", "source", name=op.f("uq_safety_event_program_id_source")),
    )
    op.create_index(op.f("ix_safety_event_program_id_state"), "safety_event", ["program_id", "state"], unique=False)
    op.create_table(
        "used_jti",
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("jti", sa.String(length=255), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "jti", name=op.f("pk_used_jti")),
    )
    op.create_table(
        "user_account",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("login", sa.String(length=100), nullable=False),
        sa.Column("display", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("peer_id", sa.String(length=64), nullable=True),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
        sa.UniqueConstraint("login", name=op.f("uq_user_account_login")),
    )
    op.create_table(
        "outbox_message",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("lane_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("endpoint", sa.String(length=64), nullable=False),
        sa.Column("idem", sa.String(length=200), nullable=False),
        sa.Column("piece", sa.String(length=20), nullable=False),
        sa.Column("detail", sa.String(length=100), nullable=True),
        sa.Column("share_class", sa.String(length=30), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("referral_id", sa.String(length=64), nullable=True),
        sa.Column("record_type", sa.String(length=30), nullable=False),
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("record_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=True),
        sa.Column("advice", sa.Text(), nullable=True),
        sa.Column("outcome", sa.LargeBinary(), nullable=True),
        sa.Column("rung", sa.Integer(), nullable=True),
        sa.Column("rung_reason", sa.Text(), nullable=True),
        sa.Column("form", sa.String(length=40), nullable=True),
        sa.Column("mapping_id", sa.String(length=64), nullable=True),
        sa.Column("mapping_sha256", sa.String(length=64), nullable=True),
        sa.Column("grant_id", sa.String(length=64), nullable=True),
        sa.Column("named", sa.Boolean(), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=True),
        sa.Column("target", sa.String(length=500), nullable=True),
        sa.Column("if_none_exist", sa.String(length=500), nullable=True),
        sa.Column("if_match", sa.String(length=200), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("body_sha256", sa.String(length=64), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("horizon_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("parent_id", sa.BigInteger(), nullable=False),
        sa.Column("replay_mode", sa.String(length=10), nullable=True),
        sa.Column("execution_id", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["lane_id"], ["lane.id"], name=op.f("fk_outbox_message_lane_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_message")),
        sa.UniqueConstraint(
            "program_id",
            "endpoint",
            "idem",
            "parent_id",
            name=op.f("uq_outbox_message_program_id_endpoint_idem_parent_id"),
        ),
    )
    op.create_index(
        op.f("ix_outbox_message_lane_id_state_id"), "outbox_message", ["lane_id", "state", "id"], unique=False
    )
    op.create_index(
        op.f("ix_outbox_message_program_id_person_id_state"),
        "outbox_message",
        ["program_id", "person_id", "state"],
        unique=False,
    )
    op.create_index(
        op.f("ix_outbox_message_program_id_referral_id"), "outbox_message", ["program_id", "referral_id"], unique=False
    )
    op.create_index(op.f("ix_outbox_message_state"), "outbox_message", ["state"], unique=False)
    op.create_table(
        "fhir_conditional_key",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("system", sa.String(length=255), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint(
            "program_id", "source", "type", "system", "value", name=op.f("pk_fhir_conditional_key")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fhir_date",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("param", sa.String(length=40), nullable=False),
        sa.Column("low", sa.BigInteger(), nullable=False),
        sa.Column("high", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("program_id", "type", "param", "low", "high", "id", name=op.f("pk_fhir_date")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_fhir_date_program_id_type_param_high_low_id"),
        "fhir_date",
        ["program_id", "type", "param", "high", "low", "id"],
        unique=False,
    )
    op.create_table(
        "fhir_quantity",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("param", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("code", sa.String(length=255), nullable=False),
        sa.Column("system", sa.String(length=255), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint(
            "program_id", "type", "param", "value", "code", "system", "id", name=op.f("pk_fhir_quantity")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fhir_reference",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("param", sa.String(length=40), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("program_id", "type", "param", "target", "id", name=op.f("pk_fhir_reference")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fhir_resource",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=True),
        sa.Column("person_id", sa.String(length=64), nullable=True),
        sa.Column("share_class", sa.String(length=30), nullable=True),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("keys", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("program_id", "type", "id", name=op.f("pk_fhir_resource")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_fhir_resource_program_id_type_updated_at_id"),
        "fhir_resource",
        ["program_id", "type", "updated_at", "id"],
        unique=False,
    )
    op.create_table(
        "fhir_string",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("param", sa.String(length=40), nullable=False),
        sa.Column(
            "value",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("exact", sa.String(length=255), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("program_id", "type", "param", "value", "exact", "id", name=op.f("pk_fhir_string")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fhir_token",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("param", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=255), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("system", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("program_id", "type", "param", "code", "id", "system", name=op.f("pk_fhir_token")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fhir_version",
        sa.Column("program_id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(length=10), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("program_id", "type", "id", "version", name=op.f("pk_fhir_version")),
    )
    op.create_index(
        op.f("ix_fhir_version_program_id_type_updated_at_id_version"),
        "fhir_version",
        ["program_id", "type", "updated_at", "id", "version"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_table("fhir_version")
    op.drop_table("fhir_token")
    op.drop_table("fhir_string")
    op.drop_table("fhir_resource")
    op.drop_table("fhir_reference")
    op.drop_table("fhir_quantity")
    op.drop_table("fhir_date")
    op.drop_table("fhir_conditional_key")
    op.drop_table("outbox_message")
    op.drop_table("user_account")
    op.drop_table("used_jti")
    op.drop_table("safety_event")
    op.drop_table("remote")
    op.drop_table("referral")
    op.drop_table("record_version")
    op.drop_table("person_link")
    op.drop_table("person_identifier")
    op.drop_table("person")
    op.drop_table("peer")
    op.drop_table("outcome")
    op.drop_table("number")
    op.drop_table("login")
    op.drop_table("lane")
    op.drop_table("inbox_message")
    op.drop_table("group_session")
    op.drop_table("engagement")
    op.drop_table("endpoint_state")
    op.drop_table("encounter")
    op.drop_table("consent_grant")
    op.drop_table("client")
    op.drop_table("audit_head")
    op.drop_table("audit")
    op.drop_table("attempt")
    op.drop_table("access_token")
