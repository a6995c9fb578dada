"""What the national portal has sent, once for ever: its code of each dossier, and which parts of it came."""

from alembic import op

from shared import schema

revision = "0011_portal"
down_revision = "0010_petition"
branch_labels = None
depends_on = None

# `part`: 'filing', 'withdrawal', or 'supplement:<its number>'. The key is what keeps a repeat from a second effect.
_PORTAL_RECEIVED = """
CREATE TABLE portal_received (
  portal_code text COLLATE "C" NOT NULL,
  part text NOT NULL,
  code text COLLATE "C" NOT NULL,
  agency_code text COLLATE "C" NOT NULL,
  exchange_id text,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (portal_code, part));
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(_PORTAL_RECEIVED)
    schema.protect("dossier", "portal_received", api="SELECT, INSERT")
