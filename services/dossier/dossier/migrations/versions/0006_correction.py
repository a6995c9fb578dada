"""Corrections of a history, asked for and decided; approved ones are transitions (`correct`) besides."""

from alembic import op

from shared import schema

revision = "0006_correction"
down_revision = "0005_clock"
branch_labels = None
depends_on = None

_CORRECTION = """
CREATE TABLE correction (
  id text PRIMARY KEY,
  code text COLLATE "C" NOT NULL,
  agency_code text COLLATE "C" NOT NULL,
  state text NOT NULL CHECK (state IN ('asked', 'approved', 'rejected')),
  reason text NOT NULL,
  wanted jsonb NOT NULL,
  asked_by jsonb NOT NULL,
  asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  decided_by jsonb,
  decided_at timestamptz,
  version int);
CREATE INDEX ON correction (code);
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(_CORRECTION)
    schema.protect("dossier", "correction")
