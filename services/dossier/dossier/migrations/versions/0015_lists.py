"""Every filter of the lists has an index that gives its rows in the order they are listed in (`dossier.list_store`).

`status` is now in an index, so an action that moves it writes the indexes too, which 0001 and 0005 avoided: a list of a
rare status read a million rows (DECISIONS.md 50).
"""

from alembic import op

from shared import schema

revision = "0015_lists"
down_revision = "0013_reuse"
branch_labels = None
depends_on = None

_INDEXES = """
CREATE INDEX dossier_status ON dossier (status, code);
CREATE INDEX dossier_procedure ON dossier (procedure_code, code);
CREATE INDEX dossier_channel ON dossier (channel, code);
CREATE INDEX dossier_received ON dossier (status, received_at, code) WHERE received_at IS NOT NULL;
CREATE INDEX dossier_due ON dossier (status, due_at, code) WHERE due_at IS NOT NULL;
-- A reference is looked for by its client and without.
CREATE UNIQUE INDEX dossier_reference ON dossier (external_reference, client_id) WHERE external_reference IS NOT NULL;
-- An agency is a range of codes: with the usual hundred steps the planner takes one of 14,000 dossiers for one of 400.
ALTER TABLE dossier ALTER code SET STATISTICS 500;
DROP INDEX dossier_received_at_idx, dossier_due_at_idx, dossier_client_id_external_reference_idx;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(_INDEXES)
    schema.covers_as_a_rule()
