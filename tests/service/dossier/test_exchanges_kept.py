"""The exchanges whose effects stand here, for the gateway to compare its log with."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from shared import clock
from shared.events import new_id
from tests.service.dossier.conftest import Hub, a_filing


async def kept(hub: Hub, minutes: tuple[int, int] = (-1, 1), **more: str) -> list[dict[str, Any]]:
    after, until = ((clock.now() + timedelta(minutes=each)).isoformat() for each in minutes)
    path = f"/internal/exchanges?{urlencode({'after': after, 'until': until} | more)}"
    answer = await hub.client.get(path, headers=hub.issuer.internal_headers("gateway"))
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_every_exchange_with_an_effect_is_listed_with_its_dossiers(hub: Hub) -> None:
    single, batch = new_id(), new_id()
    filed = await hub.post("/v1/dossiers", a_filing(), role="portal", headers={"hub-exchange-id": single})
    lines = await hub.batch(
        "/v1/dossiers/batch", [a_filing(), a_filing()], role="portal", headers={"hub-exchange-id": batch}
    )
    found = {item["exchange_id"]: item for item in await kept(hub)}
    assert found[single]["dossier_codes"] == [filed.json()["code"]]
    assert found[single]["client_id"] == "test-portal"
    assert sorted(found[batch]["dossier_codes"]) == sorted(line["code"] for line in lines)
    assert await kept(hub, (-9, -5)) == []


async def test_one_exchange_is_asked_for_by_its_id(hub: Hub) -> None:
    """Its dossiers are told completely, wherever the window of the first look ended."""
    one, other = new_id(), new_id()
    for exchange in (one, other):
        await hub.post("/v1/dossiers", a_filing(), role="portal", headers={"hub-exchange-id": exchange})
    assert [item["exchange_id"] for item in await kept(hub, exchange_id=one)] == [one]


async def test_what_changes_no_dossier_is_listed_too(hub: Hub) -> None:
    rating, agency, procedure = new_id(), new_id(), new_id()
    code = (await hub.post("/v1/dossiers", a_filing(), role="portal")).json()["code"]
    body = {"dossier_code": code, "score": "satisfied"}
    assert (await hub.post("/v1/ratings", body, headers={"hub-exchange-id": rating})).status_code == 201
    keeper: dict[str, Any] = {"scopes": "catalogue:read catalogue:write", "agencies": ("*",)}
    for path, exchange in (("/v1/agencies/H08.15", agency), ("/v1/procedures/2.000488", procedure)):
        known = (await hub.get(path, **keeper)).json()
        body = {name: value for name, value in known.items() if name not in ("code", "version")}
        headers = hub.headers(**keeper) | {"hub-exchange-id": exchange}
        assert (await hub.client.put(path, json=body, headers=headers)).status_code in (200, 201)
    found = {item["exchange_id"]: item["dossier_codes"] for item in await kept(hub)}
    assert (found[rating], found[agency], found[procedure]) == ([code], [], [])


async def test_partners_cannot_ask(hub: Hub) -> None:
    assert (await hub.client.get("/internal/exchanges", headers=hub.headers())).status_code == 401
