"""Agencies take turns at the portal: what is due is found agency by agency. Calls of a minute are counted."""

from alembic import op

from shared import schema

revision = "0008"
down_revision = "0007"

SERVICE = "sync_national"

TURNS = """
DROP INDEX standing_due;
CREATE INDEX standing_due ON standing (agency_code, due_at) WHERE due_at IS NOT NULL;
CREATE TABLE call_quota (
  destination text NOT NULL,
  minute timestamptz NOT NULL,
  calls integer NOT NULL,
  PRIMARY KEY (destination, minute));
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(TURNS, execution_options={"no_parameters": True})
    schema.grant(SERVICE, "call_quota")
