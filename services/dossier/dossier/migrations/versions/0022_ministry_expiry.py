"""Ministries' events that stand open for too long end `expired`; the open ones have indexes of their own."""

from alembic import op

revision = "0022_ministry_expiry"
down_revision = "0020_ministry"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run = op.get_bind().exec_driver_sql
    run("ALTER TABLE ministry_event DROP CONSTRAINT ministry_event_state_check")
    run(
        "ALTER TABLE ministry_event ADD CONSTRAINT ministry_event_state_check CHECK (state IN "
        "('applied', 'past', 'waiting', 'unmatched', 'unmapped', 'refused', 'expired'))"
    )
    run("DROP INDEX ministry_event_state_id_idx")
    where = "WHERE state IN ('waiting', 'unmatched', 'unmapped', 'refused')"
    run(f"CREATE INDEX ministry_event_open ON ministry_event (id) {where}")
    run(f"CREATE INDEX ministry_event_open_state ON ministry_event (state, taken_at) {where}")
