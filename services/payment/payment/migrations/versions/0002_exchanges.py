"""Exchanges with an effect here, for the gateway to compare its log with (`shared.exchanges`)."""

from shared import schema

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    schema.exchanges("payment")
