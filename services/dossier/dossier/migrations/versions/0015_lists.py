"""Every filter of the lists has an index that gives its rows in the order they are listed in (`dossier.list_store`).

`status` is now in an index, so an action that moves it writes the indexes too, which 0001 and 0005 avoided. Measured
(DECISIONS.md 50): a few hundredths of what a transition costs, while a list of a rare status read a million rows.
"""

from alembic import op

revision = "0015_lists"
down_revision = "0013_reuse"
branch_labels = None
depends_on = None

_INDEXES = """
CREATE INDEX dossier_status ON dossier (status, code);
CREATE INDEX dossier_procedure ON dossier (procedure_code, code);
CREATE INDEX dossier_channel ON dossier (channel, code);
CREATE INDEX dossier_received ON dossier (received_at, code) WHERE received_at IS NOT NULL;
-- Those that can become late. The condition stands in `list_store` word for word.
CREATE INDEX dossier_due ON dossier (due_at, code) WHERE due_at IS NOT NULL AND status IN (1, 2, 4, 5, 6, 8);
-- A reference is looked for by its client and without.
CREATE UNIQUE INDEX dossier_reference ON dossier (external_reference, client_id) WHERE external_reference IS NOT NULL;
DROP INDEX dossier_received_at_idx, dossier_due_at_idx, dossier_client_id_external_reference_idx;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(_INDEXES)
