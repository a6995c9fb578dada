"""Ministries' events with what became of each, their vocabularies in versions, and replays (`dossier.settling`)."""

from alembic import op

from shared import schema

revision = "0020_ministry"
down_revision = "0017_stuck_counts"
branch_labels = None
depends_on = None

_EVENTS = """
CREATE TABLE ministry_event (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  client_id text COLLATE "C" NOT NULL,
  source text COLLATE "C" NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  dossier_code text COLLATE "C",
  state text COLLATE "C" NOT NULL DEFAULT 'unmatched'
    CHECK (state IN ('applied', 'past', 'waiting', 'unmatched', 'unmapped', 'refused')),
  reason text,
  action text,
  happened_at timestamptz,
  version int,
  vocabulary_version int,
  tried_version int,
  value text,
  headers jsonb NOT NULL,
  published_at timestamptz,
  taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  settled_at timestamptz,
  UNIQUE (client_id, source, event_id));
CREATE INDEX ON ministry_event (dossier_code, id) WHERE dossier_code IS NOT NULL;
CREATE INDEX ON ministry_event (state, id) WHERE state NOT IN ('applied', 'past');
CREATE INDEX ON ministry_event (client_id, taken_at);
CREATE INDEX ON ministry_event (settled_at) WHERE value IS NOT NULL;
"""
_VOCABULARIES = """
CREATE TABLE vocabulary (
  source text COLLATE "C" NOT NULL,
  version int NOT NULL,
  name text NOT NULL,
  valid_from timestamptz NOT NULL,
  valid_to timestamptz,
  types jsonb NOT NULL,
  declared_by text NOT NULL,
  declared_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (source, version));
"""
_REPLAYS = """
CREATE TABLE ministry_replay (
  id uuid PRIMARY KEY,
  client_id text NOT NULL,
  source text,
  since timestamptz NOT NULL,
  until timestamptz,
  reason text NOT NULL,
  per_second int NOT NULL,
  state text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'running', 'done', 'cancelled')),
  planned_count int NOT NULL DEFAULT 0,
  executed_count int NOT NULL DEFAULT 0,
  planned_by text NOT NULL,
  planned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  confirmed_by text,
  confirmed_at timestamptz,
  cancelled_by text,
  finished_at timestamptz);
CREATE TABLE ministry_replay_event (
  replay_id uuid NOT NULL REFERENCES ministry_replay,
  number int NOT NULL,
  ministry_event_id bigint NOT NULL,
  outcome text,
  PRIMARY KEY (replay_id, number));
"""
# What is parked of the topic came before there was a better place; what is poison or a bug's stays parked.
_MOVE = """
INSERT INTO ministry_event (client_id, source, event_id, type, dossier_code, value, headers, taken_at, state)
SELECT coalesce(headers->>'hub-client', ''), value::jsonb->>'source', event_id, value::jsonb->>'type', key, value,
  headers, parked_at, CASE WHEN waiting THEN 'waiting' WHEN reason = 'unknown_dossier' THEN 'unmatched'
    WHEN reason = 'unknown_type' OR starts_with(reason, 'invalid_request') THEN 'unmapped' ELSE 'refused' END
FROM parked WHERE reader = 'lgsp.ministry' AND owner = 'partner' ON CONFLICT DO NOTHING;
DELETE FROM parked WHERE reader = 'lgsp.ministry' AND owner = 'partner';
DELETE FROM parked_head h WHERE reader = 'lgsp.ministry'
  AND NOT EXISTS (SELECT FROM parked p WHERE p.reader = h.reader AND p.key = h.key);
"""
_SHOWN = """id, client_id, source, event_id, type, dossier_code, state, reason, action, happened_at, version,
  vocabulary_version, tried_version, published_at, taken_at, settled_at"""


def upgrade() -> None:
    run = op.get_bind().exec_driver_sql
    for sql in (_EVENTS, _VOCABULARIES, _REPLAYS, _MOVE):
        run(sql)
    # What a ministry wrote may name persons: operators see what became of an event, not its content.
    schema.grant("dossier", "ministry_event", api="")
    run(f"GRANT SELECT ({_SHOWN}) ON ministry_event TO dossier_api")
    schema.grant("dossier", "vocabulary", api="SELECT, INSERT", system="SELECT, INSERT")
    schema.grant("dossier", "ministry_replay")
    schema.grant("dossier", "ministry_replay_event", api="SELECT, INSERT")
