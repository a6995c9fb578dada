"""Whose fault a failure is, and failures of one cause as one incident with its replay."""

from typing import Any

import httpx2

from shared.events import new_event
from tests.service.sync_national.conftest import Hub
from tests.service.sync_national.province import STARTED, a_dossier
from tests.service.sync_national.waiting import until, until_level, until_state

PATH = "/v1/sync/incidents"


async def incidents(client: httpx2.AsyncClient, **query: str) -> list[dict[str, Any]]:
    """All of them, the newest first."""
    answer = await client.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def failures(client: httpx2.AsyncClient) -> dict[str, int]:
    """Of the status: by whose fault it is."""
    found: dict[str, int] = (await client.get("/v1/sync/status")).json()["destinations"][0]["failures"]
    return found


async def test_refusals_of_one_cause_are_one_incident_whose_replay_brings_them_through(hub: Hub) -> None:
    client = await hub.start(sync_refusals=1, sync_batch_size=1)
    await hub.portal.fault(mode="reject_record", rate=1.0)
    codes = await hub.province.file(*(a_dossier(n) for n in range(1, 4)), a_dossier(4, "H08.01"))
    for code in codes:
        await until_state(client, code, "parked")
    (found,) = await incidents(client, state="open")
    assert (found["owner"], found["count"], found["dossiers"], found["agencies"]) == ("partner", 4, 4, 2)
    assert found["sample"]["code"] in codes
    assert codes[0] not in found["message"]
    assert found["first_at"] <= found["last_at"]
    assert await failures(client) == {"partner": 4, "hub": 0, "poison": 0}

    await hub.portal.fault(mode="normal")
    answer = await client.post(f"{PATH}/{found['id']}/resolve", json={"reason": "Cổng đã sửa danh mục"})
    assert answer.status_code == 200, answer.text
    over = answer.json()
    assert (over["state"], over["resolution"], over["offered"]["count"]) == ("resolved", "Cổng đã sửa danh mục", 4)
    assert over["offered"]["state"] == "planned"
    assert answer.headers["hub-purpose"]
    twice = await client.post(f"{PATH}/{found['id']}/resolve")
    assert (twice.status_code, twice.json()["code"]) == (409, "incident_resolved")
    confirmed = await client.post(f"/v1/sync/retries/{over['replay']}/confirm", json={"count": 4})
    assert confirmed.status_code == 200
    await until_level(client, codes)
    (after,) = await incidents(client)
    assert (after["dossiers"], after["count"]) == (0, 4)
    assert await failures(client) == {"partner": 0, "hub": 0, "poison": 0}


async def test_a_failure_after_the_resolution_opens_another_incident(hub: Hub) -> None:
    client = await hub.start(sync_refusals=1, sync_batch_size=1)
    await hub.portal.fault(mode="reject_record", rate=1.0)
    codes = await hub.province.file(a_dossier(1))
    await until_state(client, codes[0], "parked")
    (first,) = await incidents(client)
    assert (await client.post(f"{PATH}/{first['id']}/resolve")).status_code == 200
    await client.post(f"/v1/sync/dossiers/{codes[0]}/retry")

    async def reopened() -> list[dict[str, Any]]:
        return await incidents(client, state="open")

    (second,) = await until(reopened, what="the second incident")
    assert (second["id"] != first["id"], second["message"]) == (True, first["message"])


async def test_what_we_cannot_map_is_our_fault_and_what_can_never_pass_is_poison(hub: Hub) -> None:
    client = await hub.start()
    codes = await hub.province.file(a_dossier(1, channel="pigeon"), a_dossier(2))
    await until_state(client, codes[0], "parked")
    await hub.province.publish(new_event("/lgsp/dossier", "vn.lgsp.dossier.moved.v1", "x-1", STARTED, {"code": "x-1"}))

    async def both() -> list[dict[str, Any]] | None:
        found = await incidents(client)
        return found if len(found) == 2 else None

    by_owner = {it["owner"]: it for it in await until(both, what="both incidents")}
    assert by_owner["hub"]["sample"]["code"] == codes[0]
    assert (by_owner["poison"]["sample"]["code"], by_owner["poison"]["dossiers"]) == ("x-1", 0)
    assert await failures(client) == {"partner": 0, "hub": 1, "poison": 1}
    assert [it["owner"] for it in await incidents(client, owner="hub")] == ["hub"]
    resolved = (await client.post(f"{PATH}/{by_owner['poison']['id']}/resolve")).json()
    assert (resolved["state"], resolved["offered"]) == ("resolved", None)


async def test_an_incident_ends_by_itself_when_its_dossiers_have_passed(hub: Hub) -> None:
    client = await hub.start()
    await hub.portal.fault(mode="down", rate=1.0)
    codes = await hub.province.file(a_dossier(1))
    await until_state(client, codes[0], "failed")
    await hub.portal.fault(mode="normal")
    await until_level(client, codes)
    async with hub.system.transaction() as tx:
        await tx.execute("UPDATE incident SET last_at = last_at - interval '2 minutes'")

    async def over() -> list[dict[str, Any]]:
        return [] if await incidents(client, state="open") else await incidents(client, state="resolved")

    found = await until(over, what="the end of the incidents")
    assert {(it["resolved_by"], it["dossiers"]) for it in found} == {(None, 0)}


async def test_an_agency_sees_its_part_of_an_incident_and_cannot_resolve_it_for_others(hub: Hub) -> None:
    client = await hub.start(sync_refusals=1, sync_batch_size=1)
    await hub.portal.fault(mode="reject_record", rate=1.0)
    codes = await hub.province.file(a_dossier(1), a_dossier(2), a_dossier(3, "H08.01"))
    for code in codes:
        await until_state(client, code, "parked")
    (found,) = await incidents(client)
    scopes = ["sync:read", "sync:operate"]
    own, other = (
        hub.tokens.headers(role="operator", scopes=scopes, agencies=[agency]) for agency in ("H08.15", "H08.02")
    )
    seen = (await client.get(f"{PATH}/{found['id']}", headers=own)).json()
    assert (seen["count"], seen["dossiers"], seen["agencies"]) == (2, 2, 1)
    assert seen["sample"]["code"] in codes[:2]
    refused = await client.post(f"{PATH}/{found['id']}/resolve", headers=own)
    assert (refused.status_code, refused.json()["code"]) == (403, "agency_not_permitted")
    assert (await client.get(f"{PATH}/{found['id']}", headers=other)).status_code == 404
    assert (await client.post(f"{PATH}/{found['id']}/resolve", headers=other)).status_code == 404
    plan = await client.post("/v1/sync/retries", json={"filter": {"incident": found["id"]}}, headers=own)
    assert (plan.status_code, plan.json()["count"]) == (201, 2)
