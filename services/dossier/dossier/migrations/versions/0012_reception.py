"""Dossiers whose papers another agency's desk took in: that agency reads them, too."""

from alembic import op

revision = "0012_reception"
down_revision = "0011_portal"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run = op.get_bind().exec_driver_sql
    for table in ("dossier", "transition"):
        run(f'ALTER TABLE {table} ADD COLUMN receiver_code text COLLATE "C"')
        # Beside the policy of the agency's own: either lets a row through. What the receiver may do, the life says.
        run(
            f"CREATE POLICY receiver ON {table} TO dossier_api "
            "USING (receiver_code IS NOT NULL AND hub_covers(receiver_code))"
        )
    run("CREATE INDEX dossier_receiver ON dossier (code) WHERE receiver_code IS NOT NULL")
