"""Agencies and procedures: reference data with validity; a counter tells other processes of changes."""

from alembic import op

from shared import schema

revision = "0002_catalogue"
down_revision = "0001_dossier"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE agency (
          code text PRIMARY KEY,
          name text NOT NULL,
          level jsonb NOT NULL,
          parent text,
          valid_from date,
          valid_to date,
          successor text,
          aliases text[] NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          CHECK (valid_from <= valid_to))
    """)
    op.execute("CREATE INDEX ON agency (parent, code)")
    op.execute("""
        CREATE TABLE procedure_version (
          code text NOT NULL,
          version int NOT NULL,
          valid_from date,
          field_code text NOT NULL,
          body jsonb NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (code, version))
    """)
    op.execute("CREATE TABLE catalogue_version (number bigint NOT NULL)")
    op.execute("CREATE UNIQUE INDEX ON catalogue_version ((true))")
    op.execute("INSERT INTO catalogue_version VALUES (0)")
    # Public data without an owner: who may write is a matter of scope (catalogue:write), not of rows.
    for table in ("agency", "procedure_version", "catalogue_version"):
        schema.grant("dossier", table, "SELECT, INSERT, UPDATE", "SELECT, INSERT, UPDATE")
