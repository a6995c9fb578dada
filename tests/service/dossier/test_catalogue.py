"""Agencies and procedures over REST, and the cache that every intake asks."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from tests.service.dossier.conftest import Hub, a_filing

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


async def test_procedures_and_agencies_are_found_by_words_without_accents(
    start_hub: Callable[..., Awaitable[Hub]],
) -> None:
    hub = await start_hub()
    await put(hub, "/v1/procedures/9.000001", PROCEDURE | {"name": "Đăng ký biến động vườn ươm"})
    await put(hub, "/v1/procedures/9.000002", PROCEDURE | {"name": "Đăng ký vườn ươm lần đầu"})
    first = (await hub.get("/v1/procedures?search=UOM dang&limit=1", **KEEPER)).json()
    assert [it["code"] for it in first["items"]] == ["9.000001"]
    second = (await hub.get(f"/v1/procedures?search=UOM dang&cursor={first['next_cursor']}", **KEEPER)).json()
    assert [it["code"] for it in second["items"]] == ["9.000002"]
    assert (await hub.get("/v1/procedures?search=gườm dang", **KEEPER)).json()["items"] == []
    found = (await hub.get("/v1/agencies?search=so tu phap", **KEEPER)).json()["items"]
    assert [it["code"] for it in found] == ["H08.15"]


async def test_versions_keep_what_they_said_and_a_received_dossier_keeps_its_version(
    start_hub: Callable[..., Awaitable[Hub]],
) -> None:
    hub = await start_hub()
    fee = {"code": "LP", "name": "Lệ phí", "amount_vnd": 20_000}
    fees = [fee | {"channel": "online"}, fee | {"code": "LP2", "amount_vnd": 40_000, "channel": "counter"}]
    longer = {"limits": [{"channel": "online", "value": 20, "unit": "working_days"}], "online_level": "partial"}
    await put(hub, "/v1/procedures/9.000001", PROCEDURE | {"fees": fees})
    code = await hub.file(procedure_code="9.000001")
    before = (await hub.act(code, "receive")).json()["due_at"]
    changed = await put(hub, "/v1/procedures/9.000001", PROCEDURE | longer)
    assert changed.json()["version"] == 2
    assert (await hub.act(code, "start")).json()["due_at"] == before
    reason = {"reason": "Thiếu bản sao"}
    await hub.act(code, "request_supplement", **reason)
    answered = (await hub.act(code, "supplement")).json()["due_at"]
    assert (datetime.fromisoformat(answered) - datetime.fromisoformat(before)).days <= 4  # not twenty working days more
    versions = (await hub.get("/v1/procedures/9.000001/versions", **KEEPER)).json()["items"]
    assert [(it["version"], it["online_level"]) for it in versions] == [(1, "full"), (2, "partial")]
    assert [it["channel"] for it in versions[0]["fees"]] == ["online", "counter"]
    assert (await hub.get("/v1/procedures/9.999999/versions", **KEEPER)).status_code == 404


async def test_nobody_files_for_a_procedure_that_has_ended(start_hub: Callable[..., Awaitable[Hub]]) -> None:
    hub = await start_hub()
    await put(hub, "/v1/procedures/9.000001", PROCEDURE | {"valid_to": "2023-06-30"})
    refused = await hub.post("/v1/dossiers", a_filing(procedure_code="9.000001"), role="portal")
    assert (refused.status_code, refused.json()["code"]) == (409, "procedure_not_valid")
    shown = (await hub.get("/v1/procedures/9.000001", **KEEPER)).json()
    assert shown["valid_to"] == "2023-06-30"


async def test_a_successor_performs_what_its_predecessors_did(start_hub: Callable[..., Awaitable[Hub]]) -> None:
    hub = await start_hub()
    ended = {"name": "Sở Cũ", "parent": "H08", "valid_to": "2025-06-30", "successor": "H08.78"}
    await put(hub, "/v1/agencies/H08.78", {"name": "Sở Mới", "parent": "H08"})
    await put(hub, "/v1/agencies/H08.77", ended)
    await put(hub, "/v1/procedures/9.000001", PROCEDURE | {"agencies": ["H08.77"]})
    for agency in ("H08.77", "H08.78"):
        code = await hub.file(procedure_code="9.000001", agency_code=agency)
        assert code.startswith("H08.78-")
