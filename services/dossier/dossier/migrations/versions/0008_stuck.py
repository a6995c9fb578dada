"""What stands still, as the last look over all dossiers found it (`dossier.stuck`)."""

from alembic import op

from shared import schema

revision = "0008_stuck"
down_revision = "0007_combined"
branch_labels = None
depends_on = None

_STUCK = """
CREATE TABLE stuck (
  code text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  agency_code text COLLATE "C" NOT NULL,
  version int NOT NULL,
  since timestamptz NOT NULL,
  PRIMARY KEY (code, kind));
CREATE INDEX ON stuck (since, code, kind);
"""
# One row: copies of the service take turns by locking it.
_LOOK = """
CREATE TABLE stuck_look (looked_at timestamptz NOT NULL, took interval NOT NULL);
CREATE UNIQUE INDEX ON stuck_look ((true));
INSERT INTO stuck_look VALUES ('2000-01-01', '0');
"""


def upgrade() -> None:
    run = op.get_bind().exec_driver_sql
    run(_STUCK)
    run(_LOOK)
    schema.protect("dossier", "stuck", api="SELECT")
    schema.grant("dossier", "stuck_look", api="SELECT", system="SELECT, UPDATE")
