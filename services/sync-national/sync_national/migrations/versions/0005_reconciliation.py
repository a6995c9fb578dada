"""What a reconciliation compares, its record, and safe replay: a frozen list of dossiers that are tried again."""

from alembic import op

from shared import schema

revision = "0005"
down_revision = "0004"

SERVICE = "sync_national"

# The wire's own facts of the version the portal should show, from the event that asked for it: so both sides can
# be compared without asking the dossier service for a million records.
FACTS = """
ALTER TABLE standing
  ADD COLUMN filed_at timestamptz,
  ADD COLUMN promised_at timestamptz,
  ADD COLUMN ended_at timestamptz,
  -- Business time of the last change.
  ADD COLUMN last_at timestamptz,
  -- DuocThanhToanTrucTuyen: 0 not paid, 1 on the platform, 3 at the counter; null when the event did not tell.
  ADD COLUMN payment_flag text;
"""

REPLAY = """
CREATE TABLE replay (
  id uuid PRIMARY KEY,
  destination text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('retry', 'repair')),
  state text NOT NULL CHECK (state IN ('planned', 'running', 'done', 'cancelled')),
  -- Whose dossiers the asker could see: who does not cover all of them does not see the plan.
  agencies text[] NOT NULL,
  filter jsonb NOT NULL,
  reason text NOT NULL,
  per_second int NOT NULL CHECK (per_second > 0),
  planned_count int NOT NULL,
  executed_count int NOT NULL DEFAULT 0,
  planned_by text NOT NULL,
  planned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  confirmed_by text,
  confirmed_at timestamptz,
  cancelled_by text,
  finished_at timestamptz,
  reconciliation_id uuid,
  -- The exchange that confirmed it: events of its dossiers tell it on.
  traceparent text,
  verification_id uuid);
CREATE INDEX replay_running ON replay (confirmed_at) WHERE state = 'running';
CREATE TABLE replay_item (
  replay_id uuid NOT NULL REFERENCES replay ON DELETE CASCADE,
  dossier_code text NOT NULL,
  agency_code text NOT NULL,
  outcome text CHECK (outcome IN ('retried', 'already_level', 'in_hand', 'answer_awaited', 'gone')),
  PRIMARY KEY (replay_id, dossier_code));
CREATE INDEX replay_item_left ON replay_item (replay_id, dossier_code) WHERE outcome IS NULL;
"""

RECONCILIATION = """
CREATE TABLE reconciliation (
  id uuid PRIMARY KEY,
  destination text NOT NULL,
  source text NOT NULL CHECK (source IN ('portal', 'file')),
  agencies text[] NOT NULL,
  period_from date,
  period_to date,
  -- What the other side shows it showed at this moment; what the portal acknowledged later is not compared.
  as_of timestamptz NOT NULL,
  layout text,
  layout_version int,
  file_name text,
  file_format text,
  file_bytes bigint,
  file_sha256 text,
  state text NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed')),
  fault text,
  asked_by text NOT NULL,
  reason text NOT NULL,
  asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  started_at timestamptz,
  finished_at timestamptz,
  -- A worker's hold on it, on the database's clock, and how far it has come.
  due_at timestamptz DEFAULT clock_timestamp(),
  lease_token bigint,
  position text NOT NULL DEFAULT '',
  figures jsonb NOT NULL DEFAULT '{}',
  scheduled_for date,
  verifies uuid,
  verified_replay uuid,
  UNIQUE (destination, scheduled_for));
CREATE INDEX reconciliation_due ON reconciliation (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX reconciliation_newest ON reconciliation (destination, asked_at);
CREATE TABLE reconciliation_file (
  reconciliation_id uuid NOT NULL REFERENCES reconciliation ON DELETE CASCADE,
  number int NOT NULL,
  content bytea NOT NULL,
  PRIMARY KEY (reconciliation_id, number));
ALTER TABLE reconciliation_file ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE TABLE difference (
  reconciliation_id uuid NOT NULL REFERENCES reconciliation ON DELETE CASCADE,
  dossier_code text NOT NULL,
  agency_code text NOT NULL,
  kinds text[] NOT NULL,
  ours jsonb,
  theirs jsonb,
  state text,
  reason text,
  owner text,
  PRIMARY KEY (reconciliation_id, dossier_code));
"""

LAYOUT = """
CREATE TABLE export_layout (
  name text NOT NULL,
  version int NOT NULL,
  headings jsonb NOT NULL,
  words jsonb NOT NULL,
  delimiter text NOT NULL,
  declared_by text NOT NULL,
  declared_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (name, version));
"""

_WHOLE = "NOT EXISTS (SELECT FROM unnest(agencies) AS agency WHERE NOT hub_covers(agency))"


def upgrade() -> None:
    """Columns and tables, with their policies."""
    for sql in (FACTS, REPLAY, RECONCILIATION, LAYOUT):
        _run(sql)
    for table in ("replay", "reconciliation"):
        _run(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        _run(f"CREATE POLICY api ON {table} TO {SERVICE}_api USING ({_WHOLE})")
        _run(f"CREATE POLICY system ON {table} TO {SERVICE}_system USING (true)")
        schema.grant(SERVICE, table)
    schema.grant(SERVICE, "export_layout", api="SELECT, INSERT")
    schema.protect(SERVICE, "replay_item", api="SELECT, INSERT")
    schema.protect(SERVICE, "difference", api="SELECT")
    _run("ALTER TABLE reconciliation_file ENABLE ROW LEVEL SECURITY")
    # A policy's subquery obeys the policies of what it reads: the file is seen by whoever sees its reconciliation.
    _run(
        f"CREATE POLICY api ON reconciliation_file TO {SERVICE}_api USING (EXISTS "
        "(SELECT FROM reconciliation r WHERE r.id = reconciliation_id))"
    )
    _run(f"CREATE POLICY system ON reconciliation_file TO {SERVICE}_system USING (true)")
    schema.grant(SERVICE, "reconciliation_file", api="INSERT")


def downgrade() -> None:
    """Never: the hub goes forward only."""
    raise NotImplementedError


def _run(sql: str) -> None:
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
