"""Transitions by the time they were recorded: the gateway looks there for effects whose record it lost.

A block-range index: the table only grows, in this order, and an entry of it costs next to nothing to write.
"""

from alembic import op

revision = "0003_exchanges_kept"
down_revision = "0002_catalogue"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ON transition USING brin (recorded_at) WITH (pages_per_range = 16)")
