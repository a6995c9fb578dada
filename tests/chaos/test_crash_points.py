"""kill -9 at each point between an effect and its record (rows 1, 2, 3 of the matrix; K1 to K9, and the log's own)."""

import asyncio

import pytest

from sandbox import play_bodies, promises_events
from tests.chaos.faults import armed
from tests.chaos.hub import Hub
from tests.chaos.province import Province

pytestmark = pytest.mark.timeout(240)

# Every crash point of every service that passes it, several services in one play, some of them several times.
# Service → points, and how often at least each is passed while a province is played and what came before is over:
# of what died just now one passage is certain, for it is done again. Payment's callbacks come last: the one it dies at
# may be a repeat that comes when all is over, and nothing need follow it.
PLAYS = {
    "one half": {
        "dossier": [("intake.before", 6), ("intake.after_commit", 6), ("reader.after_effect", 2)],
        "payment": [("relay.after_produce", 1), ("callback.verified", 2)],
        "sync-national": [("portal.before_answer", 2), ("relay.after_produce", 1)],
        "citizen-db-adapter": [("relay.after_produce", 2)],
        "console": [("reader.after_effect", 2)],
        "gateway": [("exchange.before_record", 60)],
    },
    "the other half": {
        "dossier": [("intake.in_transaction", 12), ("relay.after_produce", 2)],
        "payment": [("reader.after_effect", 1), ("callback.committed", 6)],
        "sync-national": [("reader.after_effect", 1), ("portal.after_answer", 1)],
        "citizen-db-adapter": [("reader.after_effect", 2)],
        "gateway": [("relay.after_produce", 1)],
    },
}


@pytest.mark.parametrize("play", PLAYS)
async def test_no_promise_breaks_when_services_die(hub: Hub, province: Province, play: str, seed: int) -> None:
    """Rows 1-3: what was acknowledged exists once and completes by itself, wherever the processes died."""
    deaths = {
        service: [(point, 1 + seed * 5 % passages) for point, passages in points]
        for service, points in PLAYS[play].items()
    }
    async with armed(hub, deaths):
        await province.play()
    await province.keeps_every_promise()


async def test_an_effect_whose_gateway_died_before_the_record_is_recovered(hub: Hub, province: Province) -> None:
    """Row 1, I7: the intake's exchange is appended as `recovered`, once, with its dossier; the chain verifies."""
    desk, plan = province.player.clients.desk, province.player.plan
    await desk.authorization()  # an exchange of its own: the next one is the intake
    async with armed(hub, {"gateway": [("exchange.before_record", 1)]}):
        answer = await desk.post("/v1/dossiers", play_bodies.filing(plan, plan.dossiers[0]), "unrecorded")
    code = answer.json()["code"]
    effects = "SELECT DISTINCT exchange_id FROM exchange_effect WHERE dossier_code = $1"
    first = await hub.rows("dossier", effects, code)
    assert len(first) == 1, "the repeat under the same key had no effect"
    query = "SELECT kind, status, client_id IS NOT NULL AS named, dossier_code FROM exchange WHERE id = $1::text::uuid"
    async with asyncio.timeout(60):
        while not (records := await hub.rows("gateway", query, first[0]["exchange_id"])):
            await asyncio.sleep(0.1)
    assert [dict(record) for record in records] == [
        {"kind": "recovered", "status": 0, "named": True, "dossier_code": code}
    ]
    complete = await promises_events.log_is_complete(hub.described)
    assert complete.holds, complete.found
    verified = await promises_events.log_verifies(hub.described)
    assert verified.holds, verified.found
