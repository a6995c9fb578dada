"""Verifications, look-ups, their sealed evidence, and the register's quota."""

from alembic import op

from shared import schema

revision = "0001"
down_revision = None

SERVICE = "citizen_db_adapter"

VERIFICATION = """
CREATE TABLE verification (
  id text PRIMARY KEY,
  dossier_code text NOT NULL,
  agency_code text NOT NULL,
  procedure_code text NOT NULL,
  origin text NOT NULL CHECK (origin IN ('dossier', 'request')),
  is_applicant boolean NOT NULL,
  outcome text NOT NULL DEFAULT 'pending'
    CHECK (outcome IN ('pending', 'match', 'mismatch', 'no_information', 'insufficient_basis')),
  mismatched_fields text[] NOT NULL DEFAULT '{}',
  source text CHECK (source IN ('register', 'cache')),
  checked_at timestamptz,
  purpose text,
  legal_basis text,
  officer text,
  client_id text,
  subject bytea,
  key_id text,
  subject_digest bytea,
  attempts int NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_error text,
  announced_at timestamptz,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK ((outcome = 'pending') = (checked_at IS NULL)));
COMMENT ON COLUMN verification.subject IS
  'sealed person of a request until it is answered; applicants are read from the dossier';
COMMENT ON COLUMN verification.next_attempt_at IS 'also the lease: set ahead by the worker that took the row';
CREATE UNIQUE INDEX verification_of_dossier ON verification (dossier_code) WHERE origin = 'dossier';
CREATE INDEX verification_waiting ON verification (next_attempt_at) WHERE outcome = 'pending';
CREATE INDEX verification_cache ON verification (subject_digest, checked_at) WHERE source = 'register';
"""

LOOKUP = """
CREATE TABLE lookup (
  id text PRIMARY KEY,
  dossier_code text NOT NULL,
  agency_code text NOT NULL,
  purpose text NOT NULL,
  legal_basis text NOT NULL,
  officer text NOT NULL,
  client_id text NOT NULL,
  requested_fields text[] NOT NULL,
  supplied_fields text[] NOT NULL DEFAULT '{}',
  outcome text,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  answered_at timestamptz);
"""

EVIDENCE = """
CREATE TABLE evidence (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  belongs_to text NOT NULL,
  agency_code text NOT NULL,
  key_id text NOT NULL,
  sealed bytea NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON evidence (belongs_to);
CREATE TABLE quota (minute timestamptz PRIMARY KEY, calls int NOT NULL);
"""


def upgrade() -> None:
    schema.messaging(SERVICE)
    schema.idempotency(SERVICE)
    for tables in (VERIFICATION, LOOKUP, EVIDENCE):
        op.get_bind().exec_driver_sql(tables, execution_options={"no_parameters": True})
    schema.protect(SERVICE, "verification")
    schema.protect(SERVICE, "lookup")
    # Evidence is written and never changed, by either role; the API cannot even read it.
    schema.protect(SERVICE, "evidence", api="INSERT", system="SELECT, INSERT")
    schema.grant(SERVICE, "quota", api="SELECT, INSERT, UPDATE")
