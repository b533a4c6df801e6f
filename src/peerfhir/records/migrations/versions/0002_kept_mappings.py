"""The mappings that were used are kept, and a message says more of what made it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_MADE_BY = (
    ("mapping_version", sa.String(length=20)),
    ("overlay", sa.String(length=64)),
    ("engine", sa.String(length=60)),
    ("packages", sa.Text()),
)


def upgrade() -> None:
    op.create_table(
        "mapping_file",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("kept_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_mapping_file")),
    )
    op.create_table(
        "mapping_reload",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mapping_reload")),
    )
    op.create_table(
        "mapping_version",
        sa.Column("mapping_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("overlay", sa.String(length=64), nullable=False),
        sa.Column("overlay_version", sa.String(length=20), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("kept_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mapping_id", "version", "overlay", "overlay_version", name=op.f("pk_mapping_version")),
    )
    for name, kind in _MADE_BY:
        op.add_column("outbox_message", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("outbox_message") as batch:
        for name, _ in reversed(_MADE_BY):
            batch.drop_column(name)
    op.drop_table("mapping_version")
    op.drop_table("mapping_reload")
    op.drop_table("mapping_file")
