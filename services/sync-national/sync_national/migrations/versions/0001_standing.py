"""Desired and acknowledged state per dossier and destination, evidence of every visit, counts, holds."""

from alembic import op

from shared import schema

revision = "0001"
down_revision = None

SERVICE = "sync_national"

STANDING = """
CREATE SEQUENCE lease_token;
CREATE TABLE standing (
  destination text NOT NULL,
  dossier_code text NOT NULL,
  agency_code text NOT NULL,
  status_code int NOT NULL,
  state text NOT NULL CHECK (state IN ('pending', 'in_flight', 'synced', 'unknown', 'failed', 'parked')),
  desired_version int NOT NULL,
  desired_progress int NOT NULL,
  acknowledged_version int NOT NULL DEFAULT 0,
  acknowledged_progress int NOT NULL DEFAULT 0,
  presence text NOT NULL DEFAULT 'untold' CHECK (presence IN ('untold', 'there', 'absent')),
  digest bytea,
  tries int NOT NULL DEFAULT 0,
  refusals int NOT NULL DEFAULT 0,
  reason text,
  owner text CHECK (owner IN ('partner', 'hub', 'poison')),
  -- When a worker next looks at it: after the first change, after a wait, or when a lease has run out.
  due_at timestamptz,
  lease_token bigint,
  -- When the oldest change was recorded that the portal does not show yet.
  unsynced_since timestamptz,
  acknowledged_at timestamptz,
  visits int NOT NULL DEFAULT 0,
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (destination, dossier_code)) WITH (fillfactor = 80);
CREATE INDEX standing_due ON standing (destination, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX standing_open ON standing (destination, agency_code, state, dossier_code) WHERE state <> 'synced';
CREATE INDEX standing_agency ON standing (destination, agency_code, dossier_code);
CREATE INDEX standing_oldest ON standing (destination, agency_code, unsynced_since)
  WHERE unsynced_since IS NOT NULL;
"""

# Counting a million rows for a status page is too slow, one counter row per state is a lock that all workers
# queue for. So each statement notes by how much it changed the counts, and a worker sums the notes up.
TALLY = """
CREATE TABLE tally (
  destination text NOT NULL, agency_code text NOT NULL, state text NOT NULL, dossiers bigint NOT NULL,
  PRIMARY KEY (destination, agency_code, state));
CREATE TABLE tally_note (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  destination text NOT NULL, agency_code text NOT NULL, state text NOT NULL, dossiers bigint NOT NULL);
CREATE FUNCTION tally_inserted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO tally_note (destination, agency_code, state, dossiers)
  SELECT destination, agency_code, state, count(*) FROM arrived GROUP BY destination, agency_code, state;
  RETURN NULL;
END $$;
CREATE FUNCTION tally_updated() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO tally_note (destination, agency_code, state, dossiers)
  SELECT destination, agency_code, state, sum(n) FROM (
    SELECT destination, agency_code, state, -1 AS n FROM before
    UNION ALL SELECT destination, agency_code, state, 1 FROM after) AS moved
  GROUP BY destination, agency_code, state HAVING sum(n) <> 0;
  RETURN NULL;
END $$;
CREATE TRIGGER tally_inserted AFTER INSERT ON standing
  REFERENCING NEW TABLE AS arrived FOR EACH STATEMENT EXECUTE FUNCTION tally_inserted();
CREATE TRIGGER tally_updated AFTER UPDATE ON standing
  REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION tally_updated();
"""

# One row per visit and dossier; what was sent lies compressed beside it, once per batch and agency (a record
# of its own for each dossier and visit would be gigabytes a year).
ATTEMPT = """
CREATE TABLE attempt_content (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agency_code text NOT NULL,
  at timestamptz NOT NULL,
  content bytea NOT NULL);
ALTER TABLE attempt_content ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE INDEX ON attempt_content (at);
CREATE TABLE attempt (
  destination text NOT NULL,
  dossier_code text NOT NULL,
  number int NOT NULL,
  agency_code text NOT NULL,
  at timestamptz NOT NULL,
  version int NOT NULL,
  progress_number int NOT NULL,
  outcome text NOT NULL,
  reason text,
  exchanges jsonb NOT NULL,
  content_id bigint NOT NULL,
  position int NOT NULL,
  PRIMARY KEY (destination, dossier_code, number));
CREATE INDEX ON attempt USING brin (at);
"""

DELIVERY = """
CREATE TABLE delivery (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  destination text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  acknowledged int NOT NULL);
CREATE INDEX ON delivery (destination, at);
CREATE TABLE hold (
  destination text PRIMARY KEY,
  reason text NOT NULL,
  held_by text NOT NULL,
  held_since timestamptz NOT NULL DEFAULT clock_timestamp());
"""


def upgrade() -> None:
    """Create everything."""
    schema.messaging(SERVICE)
    schema.idempotency(SERVICE)
    for sql in (STANDING, TALLY, ATTEMPT, DELIVERY):
        op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
    # The API marks a dossier for another try; desired and acknowledged versions are the workers' alone.
    schema.protect(
        SERVICE, "standing", api="SELECT, UPDATE (state, due_at, tries, refusals, reason, owner, changed_at)"
    )
    schema.protect(SERVICE, "tally", api="SELECT")
    schema.protect(SERVICE, "tally_note", api="SELECT")
    schema.protect(SERVICE, "attempt", api="SELECT")
    schema.protect(SERVICE, "attempt_content", api="SELECT")
    schema.grant(SERVICE, "delivery", api="SELECT")
    schema.grant(SERVICE, "hold", api="SELECT, INSERT, UPDATE, DELETE")
    op.get_bind().exec_driver_sql(f"GRANT USAGE ON SEQUENCE lease_token TO {SERVICE}_system")


def downgrade() -> None:
    """Never: the hub goes forward only."""
    raise NotImplementedError
