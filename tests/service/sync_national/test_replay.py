"""Safe replay: what is executed is exactly what was shown, at a rate, and can be stopped."""

import asyncio
from datetime import datetime
from typing import Any

import httpx2

from tests.service.sync_national.conftest import READ, Hub
from tests.service.sync_national.province import a_dossier
from tests.service.sync_national.waiting import until, until_level, until_state


async def refused(hub: Hub, client: httpx2.AsyncClient, *dossiers: dict[str, Any]) -> list[str]:
    """Dossiers that the portal has refused until they were parked."""
    await hub.portal.fault(mode="reject_record", rate=1.0)
    codes = await hub.province.file(*dossiers)
    for code in codes:
        await until_state(client, code, "parked")
    return codes


async def planned(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    """A plan, as answered."""
    answer = await client.post("/v1/sync/retries", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/sync/retries/{answer.json()['id']}"
    found: dict[str, Any] = answer.json()
    return found


async def until_ended(client: httpx2.AsyncClient, id_: str) -> dict[str, Any]:
    """The replay once nothing of it is left."""

    async def look() -> dict[str, Any] | None:
        found: dict[str, Any] = (await client.get(f"/v1/sync/retries/{id_}")).json()
        return found if found["state"] == "done" else None

    return await until(look, what="the replay's end")


async def test_a_plan_changes_nothing_until_it_is_confirmed_and_then_executes_its_list(hub: Hub) -> None:
    client = await hub.start(sync_refusals=1, sync_batch_size=1)
    codes = await refused(hub, client, *(a_dossier(n) for n in range(1, 6)), a_dossier(6, "H08.01"))
    plan = await planned(client, filter={"agency": "H08.15"}, reason="Cổng đã sửa")
    assert (plan["state"], plan["count"], plan["executed"]) == ("planned", 5, 0)
    assert [it["code"] for it in plan["sample"]] == codes[:5]
    assert {it["owner"] for it in plan["sample"]} == {"partner"}
    late = await refused(hub, client, a_dossier(7))  # fits the filter, but came after the list was frozen
    await hub.portal.fault(mode="normal")
    assert (await client.get(f"/v1/sync/dossiers/{codes[0]}")).json()["state"] == "parked"
    answer = await client.post(f"/v1/sync/retries/{plan['id']}/confirm", json={"count": 5})
    assert (answer.status_code, answer.json()["state"]) == (200, "running")
    done = await until_ended(client, plan["id"])
    assert (done["executed"], done["outcomes"]) == (5, {"retried": 5})
    await until_level(client, codes[:5])
    assert (await client.get(f"/v1/sync/dossiers/{codes[5]}")).json()["state"] == "parked"
    assert (await client.get(f"/v1/sync/dossiers/{late[0]}")).json()["state"] == "parked"
    again = await client.post(f"/v1/sync/retries/{plan['id']}/confirm")
    assert (again.status_code, again.json()["code"]) == (409, "plan_not_open")
    assert (await client.get(f"/v1/sync/retries/{plan['id']}")).json()["states"] == {"synced": 5}
    newer = await planned(client, filter={"agency": "H08.99"}, reason="Không có gì")
    listed = (await client.get("/v1/sync/retries", params={"limit": 1})).json()
    assert ([it["id"] for it in listed["items"]], "sample" in listed["items"][0]) == ([newer["id"]], False)
    older = await client.get("/v1/sync/retries", params={"cursor": listed["next_cursor"]})
    assert [(it["id"], it["state"], it["executed"]) for it in older.json()["items"]] == [(plan["id"], "done", 5)]
    assert (await client.get("/v1/sync/retries", params={"cursor": "x"})).status_code == 422


async def test_what_became_level_meanwhile_is_not_pushed_again(hub: Hub) -> None:
    client = await hub.start(sync_refusals=1, sync_batch_size=1)
    codes = await refused(hub, client, a_dossier(1), a_dossier(2))
    plan = await planned(client, filter={"state": ["parked"], "owner": "partner"})
    await hub.portal.fault(mode="normal")
    assert (await client.post(f"/v1/sync/dossiers/{codes[0]}/retry")).status_code == 200
    await until_level(client, codes[:1])
    attempts = len((await client.get(f"/v1/sync/dossiers/{codes[0]}")).json()["attempts"])
    await client.post(f"/v1/sync/retries/{plan['id']}/confirm")
    done = await until_ended(client, plan["id"])
    assert done["outcomes"] == {"already_level": 1, "retried": 1}
    await until_level(client, codes)
    assert len((await client.get(f"/v1/sync/dossiers/{codes[0]}")).json()["attempts"]) == attempts


async def test_two_operators_and_a_double_click_execute_a_list_once(hub: Hub) -> None:
    client = await hub.start(sync_refusals=1, sync_batch_size=1)
    await refused(hub, client, *(a_dossier(n) for n in range(1, 4)))
    plan = await planned(client)
    await hub.portal.fault(mode="normal")
    wrong = await client.post(f"/v1/sync/retries/{plan['id']}/confirm", json={"count": 4})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "count_differs")
    path = f"/v1/sync/retries/{plan['id']}/confirm"
    answers = await asyncio.gather(*(client.post(path) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    assert (await until_ended(client, plan["id"]))["executed"] == 3


async def test_a_running_replay_keeps_its_rate_and_stops_when_cancelled(hub: Hub) -> None:
    client = await hub.start(sync_refusals=1, sync_batch_size=1)
    await refused(hub, client, *(a_dossier(n) for n in range(1, 31)))
    plan = await planned(client, per_second=1)
    await client.post(f"/v1/sync/retries/{plan['id']}/confirm")

    async def look() -> int:
        executed: int = (await client.get(f"/v1/sync/retries/{plan['id']}")).json()["executed"]
        return executed

    await until(look, what="the first dossiers")
    answer = await client.post(f"/v1/sync/retries/{plan['id']}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    executed = answer.json()["executed"]
    assert 0 < executed < 30
    await asyncio.sleep(1.5)
    after = (await client.get(f"/v1/sync/retries/{plan['id']}")).json()
    assert (after["executed"], after["outcomes"]["left"]) == (executed, 30 - executed)
    closed = await client.post(f"/v1/sync/retries/{plan['id']}/cancel")
    assert closed.json()["code"] == "plan_not_open"


async def test_a_replay_that_stood_behind_another_keeps_its_rate_too(hub: Hub) -> None:
    client = await hub.start(sync_refusals=1, sync_batch_size=1)
    codes = await refused(hub, client, *(a_dossier(n) for n in range(1, 7)))
    first = await planned(client, filter={"codes": codes[:3]}, per_second=1)
    second = await planned(client, filter={"codes": codes[3:]}, per_second=1)
    for plan in (first, second):
        await client.post(f"/v1/sync/retries/{plan['id']}/confirm")
    ended = [datetime.fromisoformat((await until_ended(client, plan["id"]))["finished_at"]) for plan in (first, second)]
    assert (ended[1] - ended[0]).total_seconds() > 1.9, "three at one a second, the first at once"


async def test_an_old_plan_cannot_be_confirmed(hub: Hub) -> None:
    client = await hub.start()
    plan = await planned(client)
    assert plan["count"] == 0
    async with hub.system.transaction() as tx:
        await tx.execute("UPDATE replay SET planned_at = planned_at - interval '61 minutes'")
    assert (await client.get(f"/v1/sync/retries/{plan['id']}")).json()["state"] == "expired"
    assert (await client.post(f"/v1/sync/retries/{plan['id']}/confirm")).json()["code"] == "plan_not_open"
    assert (await client.post(f"/v1/sync/retries/{plan['id']}/cancel")).status_code == 200


async def test_a_plan_holds_only_the_askers_agencies_and_others_do_not_see_it(hub: Hub) -> None:
    client = await hub.start(sync_refusals=1, sync_batch_size=1)
    codes = await refused(hub, client, a_dossier(1, "H08.15"), a_dossier(2, "H08.01"))
    scopes = ["sync:read", "sync:operate"]
    ours = hub.tokens.headers(role="operator", scopes=scopes, agencies=["H08.15"])
    theirs = hub.tokens.headers(role="operator", scopes=scopes, agencies=["H08.01"])
    answer = await client.post("/v1/sync/retries", json={"filter": {"codes": codes}}, headers=ours)
    plan = answer.json()
    assert [it["code"] for it in plan["sample"]] == codes[:1]
    for method, path in (("GET", ""), ("POST", "/confirm"), ("POST", "/cancel")):
        found = await client.request(method, f"/v1/sync/retries/{plan['id']}{path}", headers=theirs)
        assert found.status_code == 404
    assert (await client.get(f"/v1/sync/retries/{plan['id']}", headers=ours)).status_code == 200
    reader = hub.tokens.headers(**READ)
    assert (await client.post("/v1/sync/retries", json={}, headers=reader)).status_code == 403


async def test_a_repeated_request_gets_the_first_plan(hub: Hub) -> None:
    client = await hub.start()
    headers = {"Idempotency-Key": "plan-1"}
    first = await client.post("/v1/sync/retries", json={"reason": "x"}, headers=headers)
    second = await client.post("/v1/sync/retries", json={"reason": "x"}, headers=headers)
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["location"] == first.headers["location"]
    other = await client.post("/v1/sync/retries", json={"reason": "y"}, headers=headers)
    assert other.json()["code"] == "idempotency_key_reused"
