"""Dossiers, their transitions, the numbers of their codes, ratings."""

from alembic import op

from shared import schema

revision = "0001_dossier"
down_revision = None
branch_labels = None
depends_on = None

# Most changes of a dossier touch no indexed column, and a page keeps room for them (fillfactor): PostgreSQL then
# writes the new row beside the old one and leaves the indexes alone (HOT). Hence no index on status or version.
_DOSSIER = """
CREATE TABLE dossier (
  code text COLLATE "C" PRIMARY KEY,
  agency_code text COLLATE "C" NOT NULL,
  procedure_code text NOT NULL,
  procedure_version int NOT NULL,
  channel text NOT NULL CHECK (channel IN ('counter', 'online', 'post')),
  client_id text NOT NULL,
  external_reference text,
  status smallint NOT NULL CHECK (status BETWEEN 1 AND 10),
  back_to smallint,
  version int NOT NULL,
  transition_version int NOT NULL,
  last_at timestamptz NOT NULL,
  submitted_at timestamptz NOT NULL,
  received_at timestamptz,
  due_at timestamptz,
  finished_at timestamptz,
  returned_at timestamptz,
  refused_at timestamptz,
  recorded_at timestamptz NOT NULL,
  identity_outcome text NOT NULL,
  is_extended boolean NOT NULL DEFAULT false,
  has_digitised boolean NOT NULL,
  has_electronic_result boolean NOT NULL DEFAULT false,
  person_hash bytea,
  applicant jsonb NOT NULL,
  abstract text NOT NULL,
  form jsonb NOT NULL,
  attachments jsonb NOT NULL,
  return_method text NOT NULL,
  -- Only read whole: charges, supplements, results, identity, identity_reason, last_reason.
  detail jsonb NOT NULL DEFAULT '{}') WITH (fillfactor = 70);
CREATE UNIQUE INDEX ON dossier (client_id, external_reference) WHERE external_reference IS NOT NULL;
CREATE INDEX ON dossier (person_hash) WHERE person_hash IS NOT NULL;
CREATE INDEX ON dossier (received_at) WHERE received_at IS NOT NULL;
"""

# One row per action, never changed. No foreign key: both rows are written in one statement, and none is deleted.
_TRANSITION = """
CREATE TABLE transition (
  code text COLLATE "C" NOT NULL,
  version int NOT NULL,
  agency_code text COLLATE "C" NOT NULL,
  action text NOT NULL,
  from_status smallint,
  to_status smallint NOT NULL,
  at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  reason text,
  actor jsonb,
  client_id text NOT NULL,
  exchange_id text,
  due_before timestamptz,
  due_after timestamptz,
  detail jsonb,
  PRIMARY KEY (code, version));
"""

# Numbers are reserved here before they are used, in a transaction of their own: a crash leaves a gap, never a double.
_CODE_BLOCK = """
CREATE TABLE code_block (
  agency_code text COLLATE "C" NOT NULL,
  day date NOT NULL,
  next_number int NOT NULL,
  PRIMARY KEY (agency_code, day)) WITH (fillfactor = 50);
"""

_RATING = """
CREATE TABLE rating (
  dossier_code text COLLATE "C" PRIMARY KEY,
  agency_code text COLLATE "C" NOT NULL,
  score text NOT NULL CHECK (score IN ('very_satisfied', 'satisfied', 'dissatisfied')),
  at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  client_id text NOT NULL);
"""


def upgrade() -> None:
    schema.messaging("dossier")
    schema.idempotency("dossier")
    for table in (_DOSSIER, _TRANSITION, _CODE_BLOCK, _RATING):
        op.get_bind().exec_driver_sql(table)
    schema.protect("dossier", "dossier")
    schema.protect("dossier", "transition", api="SELECT, INSERT")
    schema.protect("dossier", "rating", api="SELECT, INSERT")
    schema.grant("dossier", "code_block")
