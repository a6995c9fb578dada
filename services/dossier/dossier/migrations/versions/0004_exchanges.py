"""Exchanges with an effect here: transitions keep theirs; ratings and the catalogue's changes are noted beside."""

from shared import schema

revision = "0004_exchanges"
down_revision = "0003_exchanges_kept"

_TRANSITIONS = "SELECT exchange_id, client_id, code, recorded_at FROM transition WHERE exchange_id <> ''"


def upgrade() -> None:
    schema.exchanges("dossier", _TRANSITIONS)
