"""The measures of `make bench`. Each returns one round's numbers; nothing else of the bench runs beside it."""

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.bench.hub import Hub

SINGLE_CLIENTS = 64
SINGLE_SECONDS = 4.0
BATCH_CLIENTS = 4
BATCH_DOSSIERS = 4000
READ_SECONDS = 4.0
READ_CLIENTS = 16
PACES = (100, 1000)
PACE_SECONDS = 3.0
CHANGE_SECONDS = 10.0
PORTAL_SECONDS = 0.02
BACKLOG = int(os.environ.get("BACKLOG", "100000"))
READERS = ("console", "payment", "citizen_db_adapter", "sync_national")


async def intake_single(hub: Hub) -> dict[str, Any]:
    """(a) Dossiers a second through the gateway: token, exchange log, validation, one durable transaction each."""
    return await hub.load("portal", "single", clients=SINGLE_CLIENTS, seconds=SINGLE_SECONDS)


async def intake_batch(hub: Hub) -> dict[str, Any]:
    """(b) The same in batches of 500 lines."""
    return await hub.load("portal", "batch", clients=BATCH_CLIENTS, count=BATCH_DOSSIERS)


async def transition_single(hub: Hub) -> dict[str, Any]:
    """(i) Actions a second through the gateway, one a request: receive, then start."""
    return await _acting(hub, "act", SINGLE_CLIENTS, seconds=SINGLE_SECONDS)


async def transition_batch(hub: Hub) -> dict[str, Any]:
    """(j) The same in batches of 500 lines."""
    return await _acting(hub, "acts", BATCH_CLIENTS)


async def _acting(hub: Hub, mode: str, clients: int, **order: Any) -> dict[str, Any]:
    """On dossiers filed for it, without a personal ID, when all that followed from their filing is done."""
    began = await hub.database_time()
    await hub.load("portal", "batch", clients=BATCH_CLIENTS, count=BATCH_DOSSIERS, with_identity=False)
    await _read_all(hub)
    await hub.rest()
    rows = await hub.rows("dossier", "SELECT code FROM dossier WHERE recorded_at >= $1 AND status = 1", began)
    before = hub.cpu_seconds("dossier")
    found = await hub.load("desk", mode, clients=clients, codes=[row["code"] for row in rows], **order)
    used = hub.cpu_seconds("dossier") - before
    return {**found, "dossier_cpu_ms_each": round(1000 * used / max(1, found["done"]), 3)}


async def gateway_overhead(hub: Hub) -> dict[str, Any]:
    """(d) The same read direct and through the gateway, alone and with 16 clients at once."""
    code = await hub.value("dossier", "SELECT code FROM dossier WHERE agency_code LIKE 'H08.%' LIMIT 1")
    read: dict[str, Any] = {"path": f"/v1/dossiers/{code}", "seconds": READ_SECONDS}
    found: dict[str, Any] = {}
    for clients in (1, READ_CLIENTS):
        direct = await hub.load("portal", "read", service="dossier", clients=clients, **read)
        before = hub.cpu_seconds("gateway")
        through = await hub.load("portal", "read", clients=clients, **read)
        used = hub.cpu_seconds("gateway") - before
        name = "one_client" if clients == 1 else f"{clients}_clients"
        found[f"{name}_direct_p50_ms"] = direct["p50_ms"]
        found[f"{name}_through_p50_ms"] = through["p50_ms"]
        found[f"{name}_overhead_p50_ms"] = round(through["p50_ms"] - direct["p50_ms"], 3)
        found[f"{name}_direct_per_second"] = direct["per_second"]
        found[f"{name}_through_per_second"] = through["per_second"]
        found[f"{name}_gateway_cpu_ms_per_request"] = round(1000 * used / max(1, through["done"]), 3)
    return found


async def event_latency_and_sync_rate(hub: Hub) -> tuple[dict[str, Any], dict[str, Any]]:
    """(e) From the commit to the readers' effect at 100 and 1,000 events a second; (f) what then waits is pushed.

    The dossiers have no personal ID (nobody asks the register), and synchronisation is on hold while latency is
    measured: what is measured is the way outbox → relay → Kafka → reader → database. The held dossiers are then
    released together, in batches of 100, to a portal that answers each call after 20 ms.
    """
    latency = {}
    async with _held(hub) as drained:
        for pace in PACES:
            latency[f"at_{pace}_per_second"] = await _latency(hub, pace)
    return latency, await drained


async def change_at_portal(hub: Hub) -> dict[str, Any]:
    """(h) From a change's commit to its acknowledgement by the portal, at 100 changes a second."""
    await hub.portal({"mode": "slow", "seconds": PORTAL_SECONDS})
    began = await hub.database_time()
    sent = await hub.load("portal", "paced", rate=PACES[0], seconds=CHANGE_SECONDS, with_identity=False)
    while await _unsynced(hub):
        await asyncio.sleep(0.2)
    await hub.portal({"mode": "normal"})
    committed = await hub.rows(
        "dossier",
        "SELECT key, recorded_at FROM outbox_published WHERE topic = 'lgsp.dossier' AND recorded_at >= $1",
        began,
    )
    acknowledged = await hub.rows(
        "sync_national", "SELECT dossier_code, acknowledged_at FROM standing WHERE acknowledged_at >= $1", began
    )
    moments = {row["dossier_code"]: row["acknowledged_at"] for row in acknowledged}
    taken = [(moments[row["key"]] - row["recorded_at"]).total_seconds() * 1000 for row in committed]
    return {"sent_per_second": sent["per_second"], "changes": len(taken), **_cuts(taken)}


async def backlog(hub: Hub) -> dict[str, Any]:
    """(g) What gathered during an outage of the portal: `BACKLOG` dossiers, from its end until all are acknowledged."""
    async with _held(hub) as drained:
        await hub.load("portal", "batch", clients=BATCH_CLIENTS, count=BACKLOG, with_identity=False)
    return await drained


@asynccontextmanager
async def _held(hub: Hub) -> AsyncIterator[asyncio.Future[dict[str, Any]]]:
    """Synchronisation on hold; afterwards released, and what is yielded tells how long the waiting dossiers took.

    `per_second` counts from the first acknowledgement to the last, `seconds` from the release.
    """
    drained: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    await hub.call("operator", "POST", "/v1/sync/hold", {"destination": "dvcqg", "reason": "bench"})
    try:
        yield drained
        await _read_all(hub)
        waiting = await _unsynced(hub)
        await hub.portal({"mode": "slow", "seconds": PORTAL_SECONDS})
        released = await hub.database_time()
    finally:
        await hub.call("operator", "POST", "/v1/sync/release", {"destination": "dvcqg"})
    while await _unsynced(hub):
        await asyncio.sleep(0.2)
    await hub.portal({"mode": "normal"})
    query = (
        "SELECT min(acknowledged_at) AS began, max(acknowledged_at) AS ended FROM standing WHERE acknowledged_at > $1"
    )
    [moments] = await hub.rows("sync_national", query, released)
    seconds = (moments["ended"] - released).total_seconds()
    between = (moments["ended"] - moments["began"]).total_seconds()
    drained.set_result({"per_second": round(waiting / between, 1), "dossiers": waiting, "seconds": round(seconds, 2)})


async def _latency(hub: Hub, pace: int) -> dict[str, Any]:
    """Both moments are the same server's clock: the outbox row's and the inbox row's own `recorded_at`."""
    began = await hub.database_time()
    sent = await hub.load("portal", "paced", rate=pace, seconds=PACE_SECONDS, with_identity=False)
    await _read_all(hub)
    rows = await hub.rows(
        "dossier",
        "SELECT event_id, recorded_at FROM outbox_published WHERE topic = 'lgsp.dossier' AND recorded_at >= $1",
        began,
    )
    written = {row["event_id"]: row["recorded_at"] for row in rows}
    found: dict[str, Any] = {"sent_per_second": sent["per_second"], "events": len(written)}
    everywhere: list[float] = []
    for reader in READERS:
        rows = await hub.rows(
            reader,
            "SELECT event_id, recorded_at FROM inbox WHERE source = '/lgsp/dossier' AND recorded_at >= $1",
            began,
        )
        taken = [
            (row["recorded_at"] - written[row["event_id"]]).total_seconds() * 1000
            for row in rows
            if row["event_id"] in written
        ]
        if len(taken) != len(written):
            raise RuntimeError(f"{reader} took in {len(taken)} of {len(written)} events.")
        everywhere += taken
        found[reader] = _cuts(taken)
    return {**_cuts(everywhere), **found}


def _cuts(milliseconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(milliseconds, n=100)
    return {"p50_ms": round(cuts[49], 2), "p99_ms": round(cuts[98], 2)}


async def _read_all(hub: Hub) -> None:
    """Until every reader has every event of `lgsp.dossier`."""
    ends = time.monotonic() + 300
    while True:
        written = await hub.value(
            "dossier",
            "SELECT (SELECT count(*) FROM outbox WHERE topic = 'lgsp.dossier') + "
            "(SELECT count(*) FROM outbox_published WHERE topic = 'lgsp.dossier')",
        )
        counts = [
            await hub.value(reader, "SELECT count(*) FROM inbox WHERE source = '/lgsp/dossier'") for reader in READERS
        ]
        if all(count == written for count in counts):
            return
        if time.monotonic() > ends:
            raise RuntimeError(f"Of {written} events the readers have {counts}.")
        await asyncio.sleep(0.2)


async def _unsynced(hub: Hub) -> int:
    status = await hub.call("operator", "GET", "/v1/sync/status")
    counts: dict[str, int] = status["destinations"][0]["counts"]
    return sum(number for state, number in counts.items() if state != "synced")
