"""Staff of the public post are clients of a role of their own."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("ALTER TABLE client DROP CONSTRAINT client_role_check")
    op.execute(
        "ALTER TABLE client ADD CONSTRAINT client_role_check "
        "CHECK (role IN ('portal', 'desk', 'ministry', 'post', 'operator'))"
    )
