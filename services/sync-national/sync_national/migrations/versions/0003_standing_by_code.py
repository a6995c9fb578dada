"""Keys of `standing` begin with what tells dossiers apart, no longer with the destination, of which there is one.

While the table was young PostgreSQL took "of this destination" for a handful of rows, and compared each dossier of a
batch with every dossier of the table.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

_KEYS = """
ALTER TABLE standing DROP CONSTRAINT standing_pkey, ADD PRIMARY KEY (dossier_code, destination);
DROP INDEX standing_due, standing_open, standing_agency, standing_oldest;
CREATE INDEX standing_due ON standing (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX standing_open ON standing (agency_code, state, dossier_code) WHERE state <> 'synced';
CREATE INDEX standing_agency ON standing (agency_code, dossier_code);
CREATE INDEX standing_oldest ON standing (agency_code, unsynced_since) WHERE unsynced_since IS NOT NULL;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(_KEYS, execution_options={"no_parameters": True})
