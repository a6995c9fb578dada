"""Clients, operators, codes, the exchange log and the events of ministries."""

from alembic import op

from shared import schema

revision = "0001"
down_revision = None

_CLIENTS = """
CREATE TABLE client (
  client_id text PRIMARY KEY,
  name text NOT NULL,
  role text NOT NULL CHECK (role IN ('portal', 'desk', 'ministry', 'operator')),
  scope text[] NOT NULL,
  agencies text[] NOT NULL,
  state text NOT NULL CHECK (state IN ('pending', 'active', 'suspended')),
  public boolean NOT NULL DEFAULT false,
  redirect_uris text[] NOT NULL DEFAULT '{}',
  jwks jsonb,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  created_by text NOT NULL,
  approved_at timestamptz,
  approved_by text,
  tokens_not_before timestamptz);
CREATE INDEX ON client (tokens_not_before) WHERE tokens_not_before IS NOT NULL;
CREATE TABLE client_secret (
  id uuid PRIMARY KEY,
  client_id text NOT NULL REFERENCES client,
  salt bytea NOT NULL,
  digest bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz);
CREATE INDEX ON client_secret (client_id);
"""

_SIGN_IN = """
CREATE TABLE operator (
  username text PRIMARY KEY,
  subject uuid NOT NULL UNIQUE,
  full_name text NOT NULL,
  password_hash text NOT NULL,
  scope text[] NOT NULL,
  agencies text[] NOT NULL,
  active boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE authorization_code (
  digest bytea PRIMARY KEY,
  client_id text NOT NULL REFERENCES client,
  username text NOT NULL REFERENCES operator,
  redirect_uri text NOT NULL,
  scope text NOT NULL,
  nonce text,
  code_challenge text NOT NULL,
  expires_at timestamptz NOT NULL,
  used_jti text);
CREATE INDEX ON authorization_code (expires_at);
CREATE TABLE assertion_used (
  client_id text NOT NULL, jti text NOT NULL, expires_at timestamptz NOT NULL, PRIMARY KEY (client_id, jti));
CREATE INDEX ON assertion_used (expires_at);
CREATE TABLE token_revoked (
  jti text PRIMARY KEY, expires_at timestamptz NOT NULL, revoked_at timestamptz NOT NULL DEFAULT clock_timestamp());
"""

# One chain per process. `seq` and `digest` are the chain's head: they say how long it must be (a cut tail shows).
# No foreign keys between the three: the check would cost more than the insert, and the verifier does it better.
_EXCHANGES = """
CREATE TABLE chain (
  id uuid PRIMARY KEY,
  number int NOT NULL UNIQUE,
  started_at timestamptz NOT NULL,
  opening bytea NOT NULL,
  seq bigint NOT NULL,
  digest bytea NOT NULL);
CREATE TABLE exchange (
  chain uuid NOT NULL,
  seq bigint NOT NULL,
  previous bytea NOT NULL,
  digest bytea NOT NULL,
  id uuid NOT NULL,
  kind text NOT NULL,
  client_id text,
  subject text,
  role text,
  method text NOT NULL,
  route text NOT NULL,
  path text NOT NULL,
  status smallint NOT NULL,
  upstream_status smallint,
  purpose text,
  received_at timestamptz NOT NULL,
  answered_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  request_sha256 bytea,
  response_sha256 bytea,
  dossier_code text,
  dossier_count int NOT NULL,
  dossiers_sha256 bytea,
  PRIMARY KEY (chain, seq));
CREATE INDEX ON exchange (id);
CREATE INDEX ON exchange (dossier_code, id) WHERE dossier_code IS NOT NULL;
CREATE TABLE exchange_dossier (
  dossier_code text NOT NULL, id uuid NOT NULL, chain uuid NOT NULL, seq bigint NOT NULL,
  PRIMARY KEY (chain, seq, dossier_code));
CREATE INDEX ON exchange_dossier (dossier_code, id);
"""

_EVENTS = """
CREATE TABLE event_received (
  client_id text NOT NULL,
  source text NOT NULL,
  event_id text NOT NULL,
  type text NOT NULL,
  dossier_code text,
  exchange_id uuid,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (client_id, source, event_id));
"""


def upgrade() -> None:
    schema.messaging("gateway")
    schema.idempotency("gateway")
    for sql in (_CLIENTS, _SIGN_IN, _EXCHANGES, _EVENTS):
        for statement in sql.split(";\n"):
            if statement.strip():
                op.execute(statement)
    for table in (
        "client",
        "client_secret",
        "operator",
        "authorization_code",
        "assertion_used",
        "token_revoked",
    ):
        schema.grant("gateway", table, api="SELECT, INSERT, UPDATE, DELETE")
    schema.grant("gateway", "event_received", api="SELECT, INSERT")
    # Evidence is appended, never changed: nobody but the owner of the tables could.
    schema.grant("gateway", "chain", api="SELECT", system="SELECT, INSERT, UPDATE")
    schema.grant("gateway", "exchange", api="SELECT", system="SELECT, INSERT")
    schema.grant("gateway", "exchange_dossier", api="SELECT", system="SELECT, INSERT")
