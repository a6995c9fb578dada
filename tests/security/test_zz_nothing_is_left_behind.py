"""After all attacks: whatever was let in has come to its end, or waits for a partner. Last in its folder."""

import pytest

from tests.security.hub import Hub
from tests.support.stack import eventually

pytestmark = pytest.mark.timeout(600)

READING = ("dossier", "payment", "citizen_db_adapter", "sync_national", "console")
_MOVING = "SELECT dossier_code, state, reason, tries FROM standing WHERE state NOT IN ('synced', 'parked') LIMIT 5"
_STATES = "SELECT state, owner, min(reason) AS reason, count(*) AS dossiers FROM standing GROUP BY 1, 2"
_PARKED = "SELECT dossier_code, owner, reason FROM standing WHERE state = 'parked' AND owner IS DISTINCT FROM 'partner'"
_EVENTS = "SELECT event_id, reader, owner, reason FROM parked WHERE owner = 'hub' AND NOT waiting"


def test_every_dossier_is_synced_or_refused_by_the_portal(hub: Hub) -> None:
    eventually(lambda: not hub.rows("sync_national", _MOVING), seconds=300, why="all dossiers synced or parked")
    print(hub.rows("sync_national", _STATES))
    assert hub.rows("sync_national", _PARKED) == []


@pytest.mark.parametrize("package", READING)
def test_no_event_waits_for_us(hub: Hub, package: str) -> None:
    """What is parked is a partner's business, or poison that was put there on purpose."""
    assert hub.rows(package, _EVENTS) == []
