"""Agencies and procedures over REST, and the cache that every intake asks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.service.dossier.conftest import Hub

KEEPER: dict[str, Any] = {"role": "operator", "agencies": ("*",), "scopes": "catalogue:read catalogue:write"}
PROCEDURE = {
    "name": "Cấp bản sao trích lục",
    "field_code": "H08-LV99",
    "field_name": "Hộ tịch",
    "limits": [{"channel": "online", "value": 2, "unit": "working_days"}],
    "valid_from": "2023-01-01",
}


async def put(hub: Hub, path: str, body: dict[str, Any], **who: Any) -> Any:
    return await hub.client.put(path, json=body, headers=hub.headers(**{**KEEPER, **who}))


async def test_the_seed_is_there_and_pages_in_order(start_hub: Callable[..., Awaitable[Hub]]) -> None:
    hub = await start_hub()
    first = (await hub.get("/v1/agencies?limit=10", **KEEPER)).json()
    rest = (await hub.get(f"/v1/agencies?limit=500&cursor={first['next_cursor']}", **KEEPER)).json()
    codes = [agency["code"] for agency in first["items"] + rest["items"]]
    assert codes == sorted(codes)
    assert {f"H08.{number:02d}" for number in range(1, 19)} <= set(codes)
    assert rest["next_cursor"] is None
    procedures = (await hub.get("/v1/procedures?limit=500", **KEEPER)).json()["items"]
    assert len(procedures) == 78


async def test_putting_the_same_agency_twice_is_the_same(start_hub: Callable[..., Awaitable[Hub]]) -> None:
    hub = await start_hub()
    body = {"name": "Sở Mẫu", "level": "department", "parent": "H08", "aliases": ["000.00.77.H08"]}
    assert (await put(hub, "/v1/agencies/H08.77", body)).status_code == 201
    again = await put(hub, "/v1/agencies/H08.77", body)
    assert again.status_code == 200
    assert (await hub.get("/v1/agencies/000.00.77.H08", **KEEPER)).json() == again.json()


async def test_a_changed_procedure_is_a_new_version_and_an_unchanged_one_is_not(
    start_hub: Callable[..., Awaitable[Hub]],
) -> None:
    hub = await start_hub()
    answers = [await put(hub, "/v1/procedures/9.000001", PROCEDURE | {"name": name}) for name in ("A", "A", "B")]
    assert [answer.json()["version"] for answer in answers] == [1, 1, 2]


async def test_procedures_put_at_once_are_all_known_and_nothing_hangs(
    start_hub: Callable[..., Awaitable[Hub]],
) -> None:
    """A change committed while the cache was reading sent it into an endless loop once."""
    hub = await start_hub()
    async with asyncio.timeout(60):
        await asyncio.gather(*(put(hub, f"/v1/procedures/9.{number:06d}", PROCEDURE) for number in range(40)))
        for number in range(40):
            await hub.file(procedure_code=f"9.{number:06d}")


async def test_the_catalogue_is_changed_under_its_own_scope_only(start_hub: Callable[..., Awaitable[Hub]]) -> None:
    hub = await start_hub()
    refused = await put(hub, "/v1/procedures/9.000001", PROCEDURE, scopes="catalogue:read")
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
    unknown = await put(hub, "/v1/procedures/9.000001", PROCEDURE | {"verified": True})
    assert unknown.status_code == 422
    assert (await hub.get("/v1/procedures/9.000001", **KEEPER)).status_code == 404
