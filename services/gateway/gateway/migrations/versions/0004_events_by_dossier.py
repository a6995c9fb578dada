"""Events are found by their dossier and by their names, and when each was published (`following`)."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run = op.get_bind().exec_driver_sql
    run("CREATE INDEX ON event_received (dossier_code, recorded_at) WHERE dossier_code IS NOT NULL")
    run("CREATE INDEX ON event_received (source, event_id)")
    # The gateway publishes nothing but ministries' events.
    run("CREATE INDEX ON outbox_published (event_id)")
    run("GRANT SELECT (event_id, source, published_at) ON outbox_published TO gateway_api")
