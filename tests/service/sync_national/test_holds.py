"""Hold and release: of the destination, of an agency, by calendar; what waited, and when it will be through."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from tests.service.sync_national.conftest import Hub
from tests.service.sync_national.province import a_dossier
from tests.service.sync_national.waiting import until, until_level, until_state


async def status(client: httpx2.AsyncClient) -> dict[str, Any]:
    """Of the one destination."""
    answer = await client.get("/v1/sync/status")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["destinations"][0]
    return found


def window(begins: timedelta, lasts: timedelta) -> dict[str, str]:
    """From now."""
    start = datetime.now(UTC) + begins
    return {"starts_at": start.isoformat(), "ends_at": (start + lasts).isoformat()}


async def test_an_agencys_hold_keeps_its_dossiers_and_lets_the_others_go(hub: Hub) -> None:
    client = await hub.start()
    held = await client.post("/v1/sync/hold", json={"agency": "H08.15", "reason": "Sở đang sửa dữ liệu"})
    assert (held.status_code, held.json()["agency_code"], held.json()["maintenance"]) == (200, "H08.15", None)
    kept = await hub.province.file(a_dossier(1), a_dossier(2, "H08.15.07"))
    free = await hub.province.file(a_dossier(3, "H08.01"), a_dossier(4, "H08.150"))
    await until_level(client, free)
    for code in kept:
        await until_state(client, code, "held")
    found = await status(client)
    assert (found["hold"], [it["agency_code"] for it in found["holds"]]) == (None, ["H08.15"])
    assert (found["counts"]["held"], found["counts"]["pending"], found["counts"]["synced"]) == (2, 0, 2)
    listed = await client.get("/v1/sync/dossiers", params={"state": "held"})
    assert [it["code"] for it in listed.json()["items"]] == kept
    assert (await client.get("/v1/sync/dossiers", params={"state": "pending"})).json()["items"] == []
    assert set(await hub.portal.holds()) == set(free)
    assert (await client.post("/v1/sync/release", json={"agency": "H08.15"})).status_code == 200
    await until_level(client, kept)
    assert (await status(client))["holds"] == []


async def test_who_holds_an_agency_covers_it(hub: Hub) -> None:
    client = await hub.start()
    own = hub.tokens.headers(role="operator", scopes=["sync:read", "sync:operate"], agencies=["H08.15"])
    period = window(timedelta(hours=1), timedelta(hours=1))
    for path, body in (("hold", {}), ("release", {}), ("maintenance", period)):
        for agency in (None, "H08.01", "H08"):
            asked = {**body, "agency": agency}
            refused = await client.post(f"/v1/sync/{path}", json=asked, headers=own)
            assert (refused.status_code, refused.json()["code"]) == (403, "agency_not_permitted")
        allowed = await client.post(f"/v1/sync/{path}", json={**body, "agency": "H08.15.02"}, headers=own)
        assert allowed.status_code in {200, 201}, allowed.text
    theirs = await client.post("/v1/sync/maintenance", json={**period, "agency": "H08.01"})
    refused = await client.post(f"/v1/sync/maintenance/{theirs.json()['id']}/cancel", headers=own)
    assert refused.status_code == 403


async def test_planned_maintenance_holds_by_itself_and_ends_by_itself(hub: Hub) -> None:
    client = await hub.start()
    answer = await client.post(
        "/v1/sync/maintenance", json={**window(timedelta(0), timedelta(seconds=4)), "reason": "Cổng bảo trì"}
    )
    assert answer.status_code == 201, answer.text
    id_ = answer.json()["id"]
    assert answer.headers["location"] == f"/v1/sync/maintenance/{id_}"
    (code,) = await hub.province.file(a_dossier())
    await until_state(client, code, "held")
    found = await status(client)
    assert (found["hold"]["reason"], found["hold"]["maintenance"]) == ("Cổng bảo trì", id_)
    await until_level(client, [code])

    async def over() -> bool:
        return bool((await client.get(f"/v1/sync/maintenance/{id_}")).json()["state"] == "over")

    await until(over, what="the end of the maintenance")
    late = await client.post(f"/v1/sync/maintenance/{id_}/cancel")
    assert (late.status_code, late.json()["code"]) == (409, "maintenance_over")


async def test_maintenance_is_cancelled_or_ended_by_a_release(hub: Hub) -> None:
    client = await hub.start()
    ids = []
    for begins in (timedelta(hours=1), timedelta(seconds=-1), timedelta(seconds=-1)):
        answer = await client.post("/v1/sync/maintenance", json=window(begins, timedelta(hours=1)))
        ids.append(answer.json()["id"])
    (code,) = await hub.province.file(a_dossier())
    await until_state(client, code, "held")
    planned = await client.post(f"/v1/sync/maintenance/{ids[0]}/cancel")
    assert (planned.status_code, planned.json()["state"]) == (200, "cancelled")
    assert (await client.post("/v1/sync/release", json={})).status_code == 200
    await until_level(client, [code])
    entries = (await client.get("/v1/sync/maintenance")).json()["items"]
    assert [(it["id"], it["state"]) for it in entries] == [(id_, "cancelled") for id_ in reversed(ids)]
    for wrong in (window(timedelta(hours=1), timedelta(0)), window(timedelta(0), timedelta(days=32))):
        assert (await client.post("/v1/sync/maintenance", json=wrong)).status_code == 422
    past = window(timedelta(hours=-2), timedelta(hours=1))
    assert (await client.post("/v1/sync/maintenance", json=past)).status_code == 422


async def test_after_a_release_the_drain_tells_its_progress_and_its_end(hub: Hub) -> None:
    client = await hub.start(sync_batch_size=5, sync_workers=1)
    await client.post("/v1/sync/hold", json={})
    codes = await hub.province.file(*(a_dossier(n) for n in range(1, 61)))
    for code in codes[-1:]:
        await until_state(client, code, "held")

    async def all_wait() -> bool:
        return bool((await status(client))["drain"]["waiting"] == 60)

    await until(all_wait, what="all dossiers")
    before = (await status(client))["drain"]
    assert (before["released_at"], before["expected_at"]) == (None, None)  # nobody knows when the hold ends

    async def watched() -> bool:
        async with hub.system.reading() as rx:
            return bool(await rx.value("SELECT is_held FROM hold_watch"))

    await until(watched, what="the hold being noticed")
    await hub.portal.fault(mode="slow", rate=1.0, seconds=0.1)
    await client.post("/v1/sync/release", json={})

    async def moving() -> dict[str, Any] | None:
        found: dict[str, Any] = (await status(client))["drain"]
        return found if 0 < found["waiting"] < 60 and found["expected_at"] else None

    found = await until(moving, what="the drain")
    assert (found["waiting_at_release"], found["done_pct"] > 0, found["per_second"] > 0) == (60, True, True)
    assert datetime.fromisoformat(found["expected_at"]) > datetime.now(UTC) - timedelta(seconds=60)
    await until_level(client, codes)
    after = (await status(client))["drain"]
    assert (after["waiting"], after["done_pct"], after["expected_at"]) == (0, 100.0, None)
