"""Until when the portal may still execute a push that was given up; when it is over the portal is asked once more.

No default and no rewrite of the table: a large one is changed in an instant.
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.get_bind().exec_driver_sql("ALTER TABLE standing ADD COLUMN doubt_until timestamptz")
