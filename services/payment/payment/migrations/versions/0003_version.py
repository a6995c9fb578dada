"""A charge's version: how often its state or its money has moved, the `sequence` of its events."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("ALTER TABLE charge ADD COLUMN version int NOT NULL DEFAULT 0")
    # Charges of before: as many moves as they have told of at most (link, then money or its failure).
    op.execute(
        "UPDATE charge SET version = CASE state WHEN 'created' THEN 0 WHEN 'initiated' THEN 0 "
        "WHEN 'pending' THEN 1 ELSE 2 END"
    )
