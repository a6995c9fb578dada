"""Dossiers filed together: linked procedures of one intake. Written besides the intake itself, which stays lean."""

from alembic import op

from shared import schema

revision = "0007_combined"
down_revision = "0006_correction"
branch_labels = None
depends_on = None

_COMBINED = """
CREATE TABLE combined (
  code text COLLATE "C" PRIMARY KEY,
  agency_code text COLLATE "C" NOT NULL,
  combined_id text NOT NULL,
  codes text[] NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp());
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(_COMBINED)
    schema.protect("dossier", "combined", api="SELECT, INSERT")
