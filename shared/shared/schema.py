"""The tables every service has, written by its first migration. Frozen: a later change is a new function.

```
outbox            events not yet on Kafka, in id order           written with the effect, emptied by the relay
outbox_published  those that are, by day, kept 35 days           read by the receipt check
receipt           how far each reader has confirmed (publisher)
inbox             (source, id) of every event taken in           kept for ever: an effect happens once
parked            events that wait or failed, per reader and key in order; parked_head is what both sides lock
idempotency       first answers of POSTs, per client and key     swept after 3 days (`retention`)
exchange_kept     exchanges that had an effect here              compared with the gateway's log, swept after 35 days
exchange_effect   a view: those and the tables that keep the exchange themselves
```
The API works as `<service>_api`, which sees only rows of the agencies in `hub.agencies`; relay, readers and
workers as `<service>_system`. Neither has DDL: day partitions are made by a function of the owner.
"""

from alembic import op

# One expression without a subquery, so that PostgreSQL puts it in place instead of calling a function per row
# (1.3 instead of 5.6 µs). `H08,H09.15` becomes the patterns `H08.%` and `H09.15.%`, `*` becomes `%`.
_COVERS = r"""
CREATE FUNCTION hub_covers(agency text) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT (agency || '.') LIKE ANY (string_to_array(replace(replace(
    translate(current_setting('hub.agencies', true), '%_\', ''), ',', '.%,') || '.%', '*.%', '%'), ','))
$$
"""

# The same for the planner's eyes: of `LIKE` with patterns that it does not know it expects one row in twenty, and sorts
# all of an agency's rows rather than walk an index for the first hundred; of `coalesce` it expects every other one.
_COVERS_AS_A_RULE = (
    _COVERS.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    .replace("SELECT (agency", "SELECT coalesce((agency")
    .replace("','))\n$$", "',')), false)\n$$")
)

_OUTBOX = """
CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id text NOT NULL,
  source text NOT NULL,
  topic text NOT NULL,
  key text NOT NULL,
  value text NOT NULL,
  headers jsonb,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE outbox_published (
  number bigint GENERATED ALWAYS AS IDENTITY,
  event_id text NOT NULL,
  source text NOT NULL,
  topic text NOT NULL,
  key text NOT NULL,
  value text NOT NULL,
  headers jsonb,
  recorded_at timestamptz NOT NULL,
  published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (published_at, number)) PARTITION BY RANGE (published_at);
CREATE INDEX ON outbox_published (number);
CREATE TABLE receipt (
  reader text PRIMARY KEY, number bigint NOT NULL, checked_at timestamptz NOT NULL DEFAULT now());
CREATE FUNCTION outbox_prepare_days(keep_days int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE day date; old text;
BEGIN
  FOR day IN SELECT current_date + n FROM generate_series(-1, 3) AS n LOOP
    EXECUTE format('CREATE TABLE IF NOT EXISTS outbox_published_%s PARTITION OF outbox_published '
      'FOR VALUES FROM (%L) TO (%L)', to_char(day, 'YYYYMMDD'), day, day + 1);
  END LOOP;
  FOR old IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = 'outbox_published'::regclass
               AND c.relname < 'outbox_published_' || to_char(current_date - keep_days, 'YYYYMMDD') LOOP
    EXECUTE format('DROP TABLE %I', old);
  END LOOP;
END $$;
SELECT outbox_prepare_days(35);
"""

_INBOX = """
CREATE TABLE inbox (
  source text NOT NULL,
  event_id text NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (source, event_id));
CREATE TABLE parked_head (reader text NOT NULL, key text NOT NULL, PRIMARY KEY (reader, key));
CREATE TABLE parked (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  reader text NOT NULL,
  key text NOT NULL,
  source text NOT NULL,
  event_id text NOT NULL,
  value text NOT NULL,
  headers jsonb NOT NULL,
  reason text NOT NULL,
  owner text NOT NULL CHECK (owner IN ('partner', 'hub', 'poison')),
  waiting boolean NOT NULL,
  parked_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON parked (reader, key, id);
"""

_IDEMPOTENCY = """
CREATE TABLE idempotency (
  client_id text NOT NULL,
  key text NOT NULL,
  body_sha256 text NOT NULL,
  status int NOT NULL,
  answer text NOT NULL,
  headers jsonb NOT NULL DEFAULT '{}',
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (client_id, key));
CREATE INDEX ON idempotency (recorded_at);
"""

# A block-range index: the table grows in this order, and an entry of it costs next to nothing to write.
_EXCHANGES = """
CREATE TABLE exchange_kept (
  exchange_id text NOT NULL,
  client_id text,
  dossier_code text,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON exchange_kept USING brin (recorded_at) WITH (pages_per_range = 16);
CREATE VIEW exchange_effect AS SELECT exchange_id, client_id, dossier_code, recorded_at FROM exchange_kept
"""


def messaging(service: str) -> None:
    """Outbox, inbox, parking and `hub_covers`, with their grants."""
    _run(_COVERS)
    _run(_OUTBOX)
    _run(_INBOX)
    _run(f"GRANT USAGE ON SCHEMA public TO {service}_api, {service}_system")
    _run(f"GRANT INSERT ON outbox TO {service}_api")
    for table in ("outbox", "outbox_published", "receipt", "inbox", "parked_head", "parked"):
        _run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {service}_system")
    # The API takes up waiting events when a fact arrives over REST, and shows what is parked.
    for table in ("parked_head", "parked"):
        _run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {service}_api")
    _run("REVOKE ALL ON FUNCTION outbox_prepare_days FROM PUBLIC")
    _run(f"GRANT EXECUTE ON FUNCTION outbox_prepare_days TO {service}_system")


def covers_as_a_rule() -> None:
    """Tell the planner that most rows asked for are the caller's own; which ones are does not change."""
    _run(_COVERS_AS_A_RULE)


def idempotency(service: str) -> None:
    """First answers of POSTs, scoped to the client."""
    _run(_IDEMPOTENCY)
    _run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency TO {service}_api, {service}_system")


def exchanges(service: str, *also: str) -> None:
    """Exchanges with an effect here (`shared.exchanges`); `also`: queries of tables that keep theirs themselves."""
    _run(_EXCHANGES + "".join(f"UNION ALL {query}\n" for query in also))
    _run(f"GRANT INSERT ON exchange_kept TO {service}_api, {service}_system")
    _run(f"GRANT SELECT, DELETE ON exchange_kept TO {service}_system")
    _run(f"GRANT SELECT ON exchange_effect TO {service}_system")


def protect(
    service: str,
    table: str,
    api: str = "SELECT, INSERT, UPDATE",
    agency_column: str = "agency_code",
    system: str = "SELECT, INSERT, UPDATE, DELETE",
) -> None:
    """Row-level security: the API's role sees and writes its caller's agencies only."""
    _run(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    _run(f"CREATE POLICY api ON {table} TO {service}_api USING (hub_covers({agency_column}))")
    _run(f"CREATE POLICY system ON {table} TO {service}_system USING (true)")
    grant(service, table, api, system)


def grant(
    service: str,
    table: str,
    api: str = "SELECT, INSERT, UPDATE",
    system: str = "SELECT, INSERT, UPDATE, DELETE",
) -> None:
    """Plain grants for a table without an agency."""
    if api:
        _run(f"GRANT {api} ON {table} TO {service}_api")
    _run(f"GRANT {system} ON {table} TO {service}_system")


def _run(sql: str) -> None:
    # Several commands in one text, with colons and percent signs of their own: no parameters, simple protocol.
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
