"""Agencies of the ministries are marked: they are not among a province's totals."""

from alembic import op

revision = "0009_vertical"
down_revision = "0008_stuck"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE agency ADD is_vertical boolean NOT NULL DEFAULT false")
