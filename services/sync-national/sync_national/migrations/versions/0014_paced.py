"""A replay keeps to its rate from second to second, also after it stood behind another or the service was away."""

from alembic import op

revision = "0014"
down_revision = "0012"


def upgrade() -> None:
    op.execute("ALTER TABLE replay ADD COLUMN paced_until timestamptz")
