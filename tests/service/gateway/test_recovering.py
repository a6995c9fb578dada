"""Effects without a record: a gateway was killed after the service acted and before the log was written."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from gateway import proving
from shared import clock, exchanges
from shared.db import Database
from shared.events import new_id

from .conftest import CODE, Hub
from .test_exchange_log import PATH, Start


async def recovered(hub: Hub, exchange_id: str) -> list[dict[str, object]]:
    """Its records, once there are any."""
    async with asyncio.timeout(40):
        while True:
            found = [record for record in await hub.exchanges() if str(record["id"]) == exchange_id]
            if found:
                return found
            await asyncio.sleep(0.05)


async def test_an_effect_without_a_record_gets_one_marked_recovered(start_hub: Start, tmp_path: Path) -> None:
    hub = await start_hub(
        service_key_file=tmp_path / "payment.json", recover_after_seconds=0.2, recover_every_seconds=0.05
    )
    answer = await hub.client.get(PATH, headers=await hub.headers())
    written, lost = answer.headers["hub-exchange-id"], new_id()
    codes = [CODE, "H08.15-230301-0002"]
    effect = {"client_id": "portal", "recorded_at": clock.now().isoformat(), "dossier_codes": codes}
    items = [effect | {"exchange_id": written}, effect | {"exchange_id": lost}]
    hub.behind.answer = json.dumps({"items": items}).encode()
    hub.behind.headers = {"content-type": "application/json"}
    [record] = await recovered(hub, lost)
    assert (record["kind"], record["client_id"], record["status"]) == ("recovered", "portal", 0)
    assert record["dossier_count"] == len(codes)
    await asyncio.sleep(0.5)
    assert len(await recovered(hub, lost)) == len(await recovered(hub, written)) == 1, "told again, recorded once"
    assert (await proving.verify(hub.urls.system)).flaw is None
    windows = [
        parse_qs(urlsplit(seen["target"]).query) for seen in hub.behind.seen if "internal/exchanges" in seen["target"]
    ]
    # It is asked for by its id until now: a batch may have gone on into the next window.
    assert [lost] in [window.get("exchange_id") for window in windows]


async def test_each_service_is_compared_from_where_it_was_left(start_hub: Start, tmp_path: Path) -> None:
    """No gap: a window begins where the last one ended, or, when its answer could not be read, where it began."""
    hub = await start_hub(
        service_key_file=tmp_path / "payment.json", recover_after_seconds=0.2, recover_every_seconds=0.05
    )
    hub.behind.answer = b'{"items": []}'
    hub.behind.headers = {"content-type": "application/json"}
    database = Database(hub.urls.system, pool_size=1)
    async with asyncio.timeout(60):
        while len(hub.behind.seen) < 30:
            # Few enough failures in a row that no breaker opens: what is tried here is the window after one.
            hub.behind.status = 500 if len(hub.behind.seen) in (8, 17) else 200
            await asyncio.sleep(0.005)
    async with asyncio.timeout(60):  # one whose answer failed is asked again when its lease has run out
        while True:
            async with database.reading() as rx:
                rows = await rx.rows("SELECT service, compared_until FROM recovery")
            ends = {row["compared_until"] for row in rows}
            if max(ends) - min(ends) < timedelta(seconds=10):
                break
            await asyncio.sleep(0.1)
    await database.close()
    assert {row["service"] for row in rows} == {"dossier", "payment", "citizen-db-adapter", "sync-national", "gateway"}
    windows = [
        parse_qs(urlsplit(seen["target"]).query) for seen in hub.behind.seen if "internal/exchanges" in seen["target"]
    ]
    # All four services are one here, asked in turn: every window joins one of the same service before it.
    known = {window["until"][0] for window in windows} | {window["after"][0] for window in windows[:4]}
    assert all(window["after"][0] in known for window in windows)


async def test_the_gateways_own_effects_are_compared_too(start_hub: Start) -> None:
    """An event taken in, a client changed: log and effect are two transactions here as well."""
    hub = await start_hub(recover_after_seconds=0.2, recover_every_seconds=0.05)
    lost = new_id()
    database = Database(hub.urls.system, pool_size=1)
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO event_received (client_id, source, event_id, type, dossier_code, exchange_id) "
            "VALUES ('ministry', '/bo/x', '1', 't', :code, CAST(:id AS uuid))",
            code=CODE,
            id=lost,
        )
    await database.close()
    [record] = await recovered(hub, lost)
    assert (record["kind"], record["client_id"], record["dossier_code"]) == ("recovered", "ministry", CODE)


async def test_changes_of_clients_name_their_exchange(hub: Hub) -> None:
    admin = await hub.headers("bootstrap")
    body = {"name": "Thử", "role": "portal", "scope": "dossier:read", "agencies": ["H08"]}
    made = await hub.client.post("/v1/clients", json=body, headers=admin)
    path = f"/v1/clients/{made.json()['client_id']}"
    asked = [
        made,
        await hub.client.post(f"{path}/approve", headers=admin),
        await hub.client.patch(path, json={"name": "Đổi"}, headers=admin),
        await hub.client.post(f"{path}/secrets", headers=admin),
    ]
    database = Database(hub.urls.system, pool_size=1)
    async with database.reading() as rx:
        kept = await exchanges.kept(rx, clock.now() - timedelta(minutes=5), clock.now() + timedelta(minutes=1))
    await database.close()
    assert {answer.headers["hub-exchange-id"] for answer in asked} <= {item["exchange_id"] for item in kept}
