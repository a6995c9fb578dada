"""Messaging tables and one table of notes."""

from alembic import op

from shared import schema

revision = "0001_note"
down_revision = None


def upgrade() -> None:
    schema.messaging("noted")
    schema.idempotency("noted")
    schema.exchanges("noted")
    op.execute(
        "CREATE TABLE note (number bigserial PRIMARY KEY, agency_code text NOT NULL, key text NOT NULL, text text)"
    )
    schema.protect("noted", "note")
    op.execute("GRANT USAGE ON SEQUENCE note_number_seq TO noted_api, noted_system")
