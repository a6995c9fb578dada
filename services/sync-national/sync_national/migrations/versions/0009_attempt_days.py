"""Evidence in day partitions: every attempt of 35 days, and a day that is over goes with its table."""

from alembic import op

from shared import schema

revision = "0009"
down_revision = "0008"
SERVICE = "sync_national"

_TABLES = """
ALTER TABLE attempt RENAME TO attempt_before;
ALTER TABLE attempt_content RENAME TO attempt_content_before;
CREATE TABLE attempt_content (
  id bigint GENERATED ALWAYS AS IDENTITY,
  agency_code text NOT NULL,
  at timestamptz NOT NULL,
  content bytea NOT NULL,
  PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
ALTER TABLE attempt_content ALTER COLUMN content SET STORAGE EXTERNAL;
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
  PRIMARY KEY (destination, dossier_code, number, at)) PARTITION BY RANGE (at);
"""
# A week ahead: the service may stand still so long and still have a place for what it does first. One parent a call,
# and one caller at a time: who adds or drops a day holds the parent alone, and must not wait for the other one then.
_DAYS = """
CREATE FUNCTION attempt_prepare_days(kept text, keep_days int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE day date; old text;
BEGIN
  IF kept NOT IN ('attempt', 'attempt_content') THEN
    RAISE EXCEPTION 'no days are made for %', kept;
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('attempt_prepare_days'));
  FOR day IN SELECT current_date + n FROM generate_series(-1, 7) AS n LOOP
    IF to_regclass(format('%s_%s', kept, to_char(day, 'YYYYMMDD'))) IS NULL THEN
      EXECUTE format('CREATE TABLE IF NOT EXISTS %s_%s PARTITION OF %s FOR VALUES FROM (%L) TO (%L)',
        kept, to_char(day, 'YYYYMMDD'), kept, day, day + 1);
    END IF;
  END LOOP;
  FOR old IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = kept::regclass
               AND c.relname < kept || '_' || to_char(current_date - keep_days, 'YYYYMMDD') LOOP
    EXECUTE format('DROP TABLE %I', old);
  END LOOP;
END $$;
DO $$
DECLARE day date; kept text;
BEGIN
  FOREACH kept IN ARRAY ARRAY['attempt', 'attempt_content'] LOOP
    FOR day IN SELECT current_date + n FROM generate_series(-36, -2) AS n LOOP
      EXECUTE format('CREATE TABLE %s_%s PARTITION OF %s FOR VALUES FROM (%L) TO (%L)',
        kept, to_char(day, 'YYYYMMDD'), kept, day, day + 1);
    END LOOP;
  END LOOP;
END $$;
SELECT attempt_prepare_days('attempt', 36), attempt_prepare_days('attempt_content', 36);
"""
_MOVE = """
INSERT INTO attempt_content (id, agency_code, at, content) OVERRIDING SYSTEM VALUE
SELECT id, agency_code, at, content FROM attempt_content_before WHERE at >= current_date - 36;
SELECT setval(pg_get_serial_sequence('attempt_content', 'id'), 1 + coalesce((SELECT max(id) FROM attempt_content), 0));
INSERT INTO attempt
SELECT destination, dossier_code, number, agency_code, at, version, progress_number, outcome, reason,
  exchanges, content_id, position FROM attempt_before WHERE at >= current_date - 36;
DROP TABLE attempt_before, attempt_content_before;
"""


def upgrade() -> None:
    for sql in (_TABLES, _DAYS, _MOVE):
        op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
    schema.protect(SERVICE, "attempt", api="SELECT")
    schema.protect(SERVICE, "attempt_content", api="SELECT")
    op.execute("REVOKE ALL ON FUNCTION attempt_prepare_days FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION attempt_prepare_days TO {SERVICE}_system")
