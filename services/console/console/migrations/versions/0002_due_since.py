"""Since when a dossier has the due time it has: reports of past periods look into its hops only if it was moved."""

from alembic import op

revision = "0002_due_since"
down_revision = "0001_console"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE dossier ADD COLUMN due_since timestamptz")
