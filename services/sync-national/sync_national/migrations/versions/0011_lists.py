"""Lists go by ranges of codes, which begin with their agency's: what is not level is found by its state in that order.

The index of agencies and codes serves nobody any more; each row that is claimed and settled had to renew it.
"""

from alembic import op

revision = "0011"
down_revision = "0010"

LISTS = """
DROP INDEX standing_open, standing_agency;
CREATE INDEX standing_open ON standing (state, dossier_code) WHERE state <> 'synced';
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(LISTS, execution_options={"no_parameters": True})
