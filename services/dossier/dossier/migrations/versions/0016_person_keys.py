"""Personal IDs are sealed, and their hashes begin with the id of their key (`dossier.person`).

The keys are not known here: what is there gets the id of no key, and the service seals it while it runs (`rekeying`).
"""

from alembic import op

from shared import schema

revision = "0016_person_keys"
down_revision = "0015_lists"
branch_labels = None
depends_on = None

# When a key was first seen by any copy of the service.
_PERSON_KEY = """
CREATE TABLE person_key (id bytea PRIMARY KEY, noted_at timestamptz NOT NULL DEFAULT clock_timestamp());
ALTER TABLE dossier ADD person_sealed bytea;
"""


def upgrade() -> None:
    run = op.get_bind().exec_driver_sql
    run(_PERSON_KEY)
    run(r"UPDATE dossier SET person_hash = '\x00000000'::bytea || person_hash WHERE person_hash IS NOT NULL")
    schema.grant("dossier", "person_key", api="", system="SELECT, INSERT")
