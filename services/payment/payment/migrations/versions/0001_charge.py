"""Charges, the platform's notices, and the ledger that only grows."""

from alembic import op

from shared import schema

revision = "0001"
down_revision = None

SERVICE = "payment"

DOSSIER = """
CREATE TABLE dossier (
  code text PRIMARY KEY,
  agency_code text NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp());
COMMENT ON TABLE dossier IS 'whose a dossier is, learnt from lgsp.dossier or asked for';
"""

CHARGE = """
CREATE TABLE charge (
  id text PRIMARY KEY,
  dossier_code text NOT NULL,
  agency_code text NOT NULL,
  method text NOT NULL CHECK (method IN ('online', 'counter')),
  state text NOT NULL CHECK (state IN ('created', 'initiated', 'pending', 'paid', 'failed', 'expired', 'review',
    'refund_requested', 'refunded')),
  lines jsonb NOT NULL,
  amount_vnd bigint NOT NULL CHECK (amount_vnd > 0),
  reference text NOT NULL,
  request_version int,
  payment_url text,
  transaction_number text,
  collected_by text,
  client_id text,
  at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  attempts int NOT NULL DEFAULT 0,
  is_in_flight boolean NOT NULL DEFAULT false,
  is_answer_lost boolean NOT NULL DEFAULT false,
  refusals int NOT NULL DEFAULT 0,
  queries int NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  next_query_at timestamptz,
  last_error text,
  CHECK ((method = 'online') = (request_version IS NOT NULL)));
COMMENT ON COLUMN charge.reference IS 'MaThamChieu of an online charge, the receipt number of a counter payment';
COMMENT ON COLUMN charge.next_attempt_at IS 'when INIT is due; also the lease of the worker that took it';
COMMENT ON COLUMN charge.is_answer_lost IS 'an INIT was sent whose outcome is not known: refusals then prove nothing';
CREATE UNIQUE INDEX charge_of_request ON charge (dossier_code, request_version) WHERE method = 'online';
CREATE UNIQUE INDEX charge_reference ON charge (reference) WHERE method = 'online';
CREATE UNIQUE INDEX charge_receipt ON charge (agency_code, reference) WHERE method = 'counter';
CREATE INDEX charge_to_send ON charge (next_attempt_at) WHERE state IN ('created', 'initiated');
CREATE INDEX charge_to_query ON charge (next_query_at) WHERE state IN ('initiated', 'pending');
CREATE INDEX charge_of_dossier ON charge (dossier_code);
CREATE INDEX charge_of_agency ON charge (agency_code, id);
"""

NOTICE = """
CREATE TABLE notice (
  reference text NOT NULL,
  transaction_number text NOT NULL,
  is_success boolean NOT NULL,
  agency_code text NOT NULL,
  via text NOT NULL CHECK (via IN ('confirm', 'query')),
  body jsonb NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (reference, transaction_number, is_success));
COMMENT ON TABLE notice IS 'what the platform told, once each, for ever: CONFIRM as it came, or its answer to QUERY';
"""

LEDGER = """
CREATE TABLE ledger (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  charge_id text NOT NULL REFERENCES charge (id),
  dossier_code text NOT NULL,
  agency_code text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('paid', 'other_amount')),
  method text NOT NULL,
  amount_vnd bigint NOT NULL,
  reference text NOT NULL,
  transaction_number text NOT NULL,
  at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp());
COMMENT ON COLUMN ledger.kind IS
  'paid: the payment asked for; other_amount: money to review (another amount, or paid again)';
CREATE UNIQUE INDEX ledger_paid_once ON ledger (charge_id) WHERE kind = 'paid';
CREATE UNIQUE INDEX ledger_transaction_once ON ledger (reference, transaction_number) WHERE method = 'online';
CREATE INDEX ON ledger (dossier_code);
CREATE FUNCTION ledger_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger only grows: % refused', TG_OP;
END $$;
CREATE TRIGGER ledger_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_only_grows();
"""


def upgrade() -> None:
    schema.messaging(SERVICE)
    schema.idempotency(SERVICE)
    for table in (DOSSIER, CHARGE, NOTICE, LEDGER):
        op.get_bind().exec_driver_sql(table, execution_options={"no_parameters": True})
    schema.protect(SERVICE, "dossier", api="SELECT, INSERT")
    schema.protect(SERVICE, "charge")
    schema.protect(SERVICE, "notice", api="SELECT, INSERT", system="SELECT, INSERT")
    schema.protect(SERVICE, "ledger", api="SELECT, INSERT", system="SELECT, INSERT")
