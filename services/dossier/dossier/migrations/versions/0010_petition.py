"""Petitions with their steps; ratings are found by agency and time."""

from alembic import op

from shared import schema

revision = "0010_petition"
down_revision = "0009_vertical"
branch_labels = None
depends_on = None

_PETITION = """
CREATE TABLE petition (
  id text COLLATE "C" PRIMARY KEY,
  agency_code text COLLATE "C" NOT NULL,
  dossier_code text COLLATE "C",
  state text NOT NULL CHECK (state IN ('received', 'supplement_requested', 'refused', 'answered', 'published')),
  version int NOT NULL,
  last_at timestamptz NOT NULL,
  received_at timestamptz NOT NULL,
  answer_by timestamptz NOT NULL,
  late_at timestamptz,
  asked_at timestamptz,
  answered_at timestamptz,
  publish_by timestamptz,
  published_at timestamptz,
  refused_at timestamptz,
  was_late boolean NOT NULL,
  score text CHECK (score IN ('very_satisfied', 'satisfied', 'dissatisfied')),
  subject text NOT NULL,
  external_reference text,
  answer text,
  client_id text NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE UNIQUE INDEX ON petition (client_id, external_reference) WHERE external_reference IS NOT NULL;
CREATE INDEX ON petition (dossier_code) WHERE dossier_code IS NOT NULL;
CREATE INDEX ON petition (received_at);
"""
_STEP = """
CREATE TABLE petition_step (
  petition_id text COLLATE "C" NOT NULL,
  version int NOT NULL,
  agency_code text COLLATE "C" NOT NULL,
  action text NOT NULL,
  at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  reason text,
  actor jsonb,
  client_id text NOT NULL,
  exchange_id text,
  PRIMARY KEY (petition_id, version));
"""


def upgrade() -> None:
    run = op.get_bind().exec_driver_sql
    run(_PETITION)
    run(_STEP)
    run("CREATE INDEX ON rating (at)")
    schema.protect("dossier", "petition")
    schema.protect("dossier", "petition_step", api="SELECT, INSERT")
