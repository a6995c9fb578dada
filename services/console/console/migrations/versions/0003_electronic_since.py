"""Since when a dossier has an electronic result: one that comes after a period does not count in it."""

from alembic import op

revision = "0003_electronic_since"
down_revision = "0002_due_since"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE dossier ADD COLUMN electronic_since timestamptz")
    op.execute("UPDATE dossier SET electronic_since = coalesce(finished_at, resolved_at) WHERE has_electronic_result")
