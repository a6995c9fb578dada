"""Effects of all services are compared with the log, each service at its own pace; also the gateway's own."""

from alembic import op

from shared import schema

revision = "0003"
down_revision = "0002"

_EVENTS = """
SELECT exchange_id::text, client_id, dossier_code, recorded_at FROM event_received WHERE exchange_id IS NOT NULL
"""
_RECOVERY = """
CREATE TABLE recovery_of (
  service text PRIMARY KEY, compared_until timestamptz NOT NULL, leased_until timestamptz NOT NULL)
"""
_OTHERS = """
INSERT INTO recovery_of
SELECT service, now(), now() FROM unnest(ARRAY['payment', 'citizen-db-adapter', 'sync-national', 'gateway']) AS service
"""


def upgrade() -> None:
    schema.exchanges("gateway", _EVENTS)
    op.execute("CREATE INDEX ON event_received USING brin (recorded_at) WITH (pages_per_range = 16)")
    op.execute(_RECOVERY)
    op.execute("INSERT INTO recovery_of SELECT 'dossier', compared_until, leased_until FROM recovery")
    op.execute(_OTHERS)
    op.execute("DROP TABLE recovery")
    op.execute("ALTER TABLE recovery_of RENAME TO recovery")
    schema.grant("gateway", "recovery", api="", system="SELECT, UPDATE")
