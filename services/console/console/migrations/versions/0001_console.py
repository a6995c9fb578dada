"""The read model: one row per dossier, per payment, per destination of the sync; every hop of a dossier."""

from alembic import op

from shared import schema

revision = "0001_console"
down_revision = None
branch_labels = None
depends_on = None

_DOSSIER = """
CREATE TABLE dossier (
  code text COLLATE "C" PRIMARY KEY,
  agency_code text COLLATE "C" NOT NULL,
  procedure_code text NOT NULL,
  channel text NOT NULL,
  status_code smallint NOT NULL,
  version int NOT NULL,
  submitted_at timestamptz NOT NULL,
  received_at timestamptz,
  due_at timestamptz,
  finished_at timestamptz,
  returned_at timestamptz,
  resolved_at timestamptz,
  identity_outcome text NOT NULL,
  due_vnd bigint NOT NULL,
  paid_vnd bigint NOT NULL,
  is_digitised boolean NOT NULL,
  has_electronic_result boolean NOT NULL) WITH (fillfactor = 70);
"""

# What a payment was when it completed; it belongs to the agency of its dossier.
_PAYMENT = """
CREATE TABLE payment (
  id text PRIMARY KEY,
  dossier_code text COLLATE "C" NOT NULL,
  agency_code text COLLATE "C" NOT NULL,
  method text NOT NULL,
  amount_vnd bigint NOT NULL,
  at timestamptz NOT NULL);
CREATE INDEX ON payment (at);
"""

_SYNC = """
CREATE TABLE sync (
  dossier_code text COLLATE "C" NOT NULL,
  destination text NOT NULL,
  agency_code text COLLATE "C" NOT NULL,
  version int NOT NULL,
  progress_number int NOT NULL,
  acknowledged_at timestamptz,
  parked_reason text,
  parked_owner text,
  PRIMARY KEY (dossier_code, destination)) WITH (fillfactor = 70);
"""

# One row per event, without personal data. `due_at` is the due time the dossier had after it; facts (identity,
# payment) carry `is_fact`, because their time is not the dossier's.
_HOP = """
CREATE TABLE hop (
  dossier_code text COLLATE "C" NOT NULL,
  agency_code text COLLATE "C" NOT NULL,
  topic text NOT NULL,
  type text NOT NULL,
  version int,
  is_fact boolean NOT NULL,
  at timestamptz NOT NULL,
  published_at timestamptz,
  due_at timestamptz,
  detail jsonb NOT NULL);
CREATE INDEX ON hop (dossier_code);
CREATE INDEX ON hop (published_at);
"""


def upgrade() -> None:
    schema.messaging("console")
    for table, definition in (("dossier", _DOSSIER), ("payment", _PAYMENT), ("sync", _SYNC), ("hop", _HOP)):
        op.get_bind().exec_driver_sql(definition)
        schema.protect("console", table, api="SELECT")
