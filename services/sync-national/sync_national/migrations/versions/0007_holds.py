"""Holds of agencies, maintenance by calendar, and what waited when a hold ended."""

from alembic import op

from shared import schema

revision = "0007"
down_revision = "0006"

SERVICE = "sync_national"

# `scope`: `*`, or an agency with its sub-agencies. Who holds what and why is for every operator; no dossier is named.
HOLDS = """
ALTER TABLE hold ADD COLUMN scope text NOT NULL DEFAULT '*', DROP CONSTRAINT hold_pkey;
ALTER TABLE hold ALTER COLUMN scope DROP DEFAULT, ADD PRIMARY KEY (destination, scope);
CREATE TABLE maintenance (
  id uuid PRIMARY KEY,
  destination text NOT NULL,
  scope text NOT NULL,
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL CHECK (ends_at > starts_at),
  reason text NOT NULL,
  planned_by text NOT NULL,
  planned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  cancelled_by text,
  cancelled_at timestamptz);
CREATE INDEX maintenance_open ON maintenance (destination, ends_at) WHERE cancelled_at IS NULL;
CREATE VIEW held_now AS
SELECT destination, scope, reason, held_by, held_since, NULL::timestamptz AS ends_at, NULL::uuid AS maintenance_id
FROM hold
UNION ALL
SELECT destination, scope, reason, planned_by, starts_at, ends_at, id FROM maintenance
WHERE cancelled_at IS NULL AND starts_at <= statement_timestamp() AND ends_at > statement_timestamp();
CREATE TABLE hold_watch (destination text PRIMARY KEY, is_held boolean NOT NULL);
CREATE TABLE drain (
  destination text NOT NULL,
  agency_code text NOT NULL,
  waiting bigint NOT NULL,
  released_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (destination, agency_code));
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(HOLDS, execution_options={"no_parameters": True})
    schema.grant(SERVICE, "maintenance")
    schema.grant(SERVICE, "held_now", api="SELECT", system="SELECT")
    schema.grant(SERVICE, "hold_watch")
    schema.protect(SERVICE, "drain")
