"""What alembic runs for each migration: on the caller's connection, inside the caller's transaction."""

from __future__ import annotations

from alembic import context

from peerfhir.fhir.tables import metadata as resources
from peerfhir.records.schema import metadata as records

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[records, resources],
    render_as_batch=True,  # SQLite cannot alter a table in place
    compare_type=True,
)
context.run_migrations()
