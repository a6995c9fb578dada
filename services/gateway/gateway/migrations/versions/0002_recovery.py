"""How far the log has been compared with the effects of exchanges (recovering.py), and who does it just now."""

from alembic import op

from shared import schema

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("CREATE TABLE recovery (compared_until timestamptz NOT NULL, leased_until timestamptz NOT NULL)")
    op.execute("CREATE UNIQUE INDEX ON recovery ((true))")
    op.execute("INSERT INTO recovery VALUES (now(), now())")
    schema.grant("gateway", "recovery", api="", system="SELECT, UPDATE")
