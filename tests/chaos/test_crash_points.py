"""kill -9 at each point between an effect and its record (rows 1, 2, 3 of the matrix; K1 to K9, and the log's own)."""

import pytest

from tests.chaos.faults import armed
from tests.chaos.hub import Hub
from tests.chaos.province import Province

pytestmark = pytest.mark.timeout(240)

# Point → the services that pass it in turn, and how often at least while a province is played.
POINTS = {
    "intake.before": (("dossier",), 12),
    "intake.in_transaction": (("dossier",), 12),
    "intake.after_commit": (("dossier",), 12),
    "relay.after_produce": (("dossier", "payment", "sync-national", "citizen-db-adapter"), 3),
    "reader.after_effect": (("dossier", "payment", "sync-national", "citizen-db-adapter", "console"), 3),
    "portal.before_answer": (("sync-national",), 3),
    "portal.after_answer": (("sync-national",), 3),
    "callback.verified": (("payment",), 3),
    "callback.committed": (("payment",), 6),
    "exchange.before_record": (("gateway",), 60),
}


@pytest.mark.parametrize("point", POINTS)
async def test_no_promise_breaks_when_a_service_dies_at(hub: Hub, province: Province, point: str, seed: int) -> None:
    """Rows 1-3: what was acknowledged exists once and completes by itself, wherever the process died."""
    services, passages = POINTS[point]
    async with armed(hub, services[seed % len(services)], point, 1 + seed * 5 % passages):
        await province.play()
    await province.keeps_every_promise()
