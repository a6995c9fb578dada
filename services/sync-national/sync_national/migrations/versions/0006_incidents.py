"""Incidents: failures of one cause, per agency what they did, and the dossiers they hold up."""

from alembic import op

from shared import schema

revision = "0006"
down_revision = "0005"

SERVICE = "sync_national"

INCIDENT = """
CREATE TABLE incident (
  id uuid PRIMARY KEY,
  destination text NOT NULL,
  fingerprint text NOT NULL,
  owner text NOT NULL CHECK (owner IN ('partner', 'hub', 'poison')),
  message text NOT NULL,
  -- All agencies it concerned: only who covers them all may resolve it.
  agencies text[] NOT NULL,
  first_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  resolved_at timestamptz,
  resolved_by text,
  resolution text,
  replay_id uuid);
CREATE UNIQUE INDEX incident_open ON incident (destination, fingerprint) WHERE resolved_at IS NULL;
CREATE INDEX incident_newest ON incident (destination, id);
CREATE TABLE incident_agency (
  incident_id uuid NOT NULL REFERENCES incident ON DELETE CASCADE,
  agency_code text NOT NULL,
  failures bigint NOT NULL,
  first_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  sample_code text NOT NULL,
  sample_reason text NOT NULL,
  PRIMARY KEY (incident_id, agency_code));
CREATE TABLE incident_dossier (
  destination text NOT NULL,
  dossier_code text NOT NULL,
  agency_code text NOT NULL,
  incident_id uuid NOT NULL REFERENCES incident ON DELETE CASCADE,
  PRIMARY KEY (dossier_code, destination));
CREATE INDEX incident_dossier_held_up ON incident_dossier (incident_id, agency_code);
"""
_CONCERNS = "EXISTS (SELECT FROM unnest(agencies) AS agency WHERE hub_covers(agency))"


def upgrade() -> None:
    _run(INCIDENT)
    _run("ALTER TABLE incident ENABLE ROW LEVEL SECURITY")
    _run(f"CREATE POLICY api ON incident TO {SERVICE}_api USING ({_CONCERNS})")
    _run(f"CREATE POLICY system ON incident TO {SERVICE}_system USING (true)")
    schema.grant(SERVICE, "incident", api="SELECT, UPDATE (resolved_at, resolved_by, resolution, replay_id)")
    schema.protect(SERVICE, "incident_agency", api="SELECT")
    schema.protect(SERVICE, "incident_dossier", api="SELECT")


def _run(sql: str) -> None:
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
