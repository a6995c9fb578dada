"""What stands still is counted by the look, not by every request; the list has an index for each filter.

Of each kind and agency the times since when, in order: how many are older than some hours is one search in them.
"""

from alembic import op

from shared import schema

revision = "0017_stuck_counts"
down_revision = "0016_person_keys"
branch_labels = None
depends_on = None

_COUNTS = """
CREATE TABLE stuck_count (
  kind text COLLATE "C" NOT NULL,
  agency_code text COLLATE "C" NOT NULL,
  since timestamptz[] NOT NULL,
  PRIMARY KEY (kind, agency_code));
INSERT INTO stuck_count SELECT kind, agency_code, array_agg(since ORDER BY since) FROM stuck GROUP BY kind, agency_code;
CREATE INDEX stuck_kind ON stuck (kind, since, code);
CREATE INDEX stuck_agency ON stuck (agency_code, since, code);
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(_COUNTS)
    schema.protect("dossier", "stuck_count", api="SELECT")
