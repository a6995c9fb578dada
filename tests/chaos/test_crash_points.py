"""kill -9 at each point between an effect and its record (rows 1, 2, 3 of the matrix; K1 to K9, and the log's own)."""

import pytest

from tests.chaos.faults import armed
from tests.chaos.hub import Hub
from tests.chaos.province import Province

pytestmark = pytest.mark.timeout(240)

# Every crash point of every service that passes it, several services in one play.
# Service → point, and how often at least it is passed while a province is played.
PLAYS = {
    "before": {
        "dossier": ("intake.before", 12),
        "payment": ("callback.verified", 2),
        "sync-national": ("portal.before_answer", 2),
        "citizen-db-adapter": ("relay.after_produce", 2),
        "console": ("reader.after_effect", 2),
        "gateway": ("exchange.before_record", 60),
    },
    "half-way": {
        "dossier": ("intake.in_transaction", 12),
        "payment": ("callback.committed", 6),
        "sync-national": ("portal.after_answer", 2),
        "citizen-db-adapter": ("reader.after_effect", 2),
        "gateway": ("relay.after_produce", 1),
    },
    "after": {
        "dossier": ("intake.after_commit", 12),
        "payment": ("relay.after_produce", 2),
        "sync-national": ("relay.after_produce", 2),
    },
    "on the way out": {"dossier": ("relay.after_produce", 2), "payment": ("reader.after_effect", 2)},
    "on the way in": {"dossier": ("reader.after_effect", 2), "sync-national": ("reader.after_effect", 2)},
}


@pytest.mark.parametrize("play", PLAYS)
async def test_no_promise_breaks_when_services_die(hub: Hub, province: Province, play: str, seed: int) -> None:
    """Rows 1-3: what was acknowledged exists once and completes by itself, wherever the processes died."""
    points = {service: (point, 1 + seed * 5 % passages) for service, (point, passages) in PLAYS[play].items()}
    async with armed(hub, points):
        await province.play()
    await province.keeps_every_promise()
