"""What the portal calls the dossiers that were filed there: an export file of it has no other name for them."""

from alembic import op

from shared import schema

revision = "0010"
down_revision = "0009"

SERVICE = "sync_national"

NAMES = """
CREATE TABLE portal_name (
  destination text NOT NULL,
  portal_code text COLLATE "C" NOT NULL,
  dossier_code text NOT NULL,
  PRIMARY KEY (destination, portal_code));
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(NAMES, execution_options={"no_parameters": True})
    schema.grant(SERVICE, "portal_name", api="")
