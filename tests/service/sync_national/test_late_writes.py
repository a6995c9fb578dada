"""The portal executes a push long after the hub gave it up: over what it was told since. It is told again."""

import asyncio

import httpx2
import pytest

from tests.service.sync_national.conftest import OPERATE, Hub
from tests.service.sync_national.province import a_dossier
from tests.service.sync_national.waiting import until, until_settled, until_state
from tests.support import apps

LATE_SECONDS = 4.0
SETTLE_SECONDS = 5.0  # counted from the time-out (1 s) after which the hub gives up


async def _shows(hub: Hub, code: str) -> tuple[str, list[str], int]:
    """Status of the record, statuses of its progress rows, and how often the most frequent of them stands there."""
    item = (await hub.portal.holds())[code]
    rows = [row["row"]["TrangThai"] for row in item["progress"]]
    return item["record"]["TrangThaiHoSo"], sorted(rows), max(row["written"] for row in item["progress"])


async def _overtaken(hub: Hub, client: httpx2.AsyncClient) -> str:
    """A dossier in status 9 there and here, while its older push (status 2) is still under way at the portal."""
    (code,) = await hub.province.file(a_dossier())
    await until_state(client, code, "synced")
    await hub.portal.fault(mode="slow", seconds=LATE_SECONDS, operations=["DongBoHoSoMC"], times=1)
    await hub.province.move(code, 2)
    await until_state(client, code, "unknown", version=2)
    await hub.province.move(code, 9)
    seen = await until_state(client, code, "synced", version=3)
    assert seen["acknowledged_version"] == 3
    assert seen["next_try_at"] is not None  # it is looked at once more
    assert (await _shows(hub, code))[0] == "9"
    return code


async def _late_write_has_come(hub: Hub, code: str) -> None:
    async def came() -> bool:
        return (await _shows(hub, code))[0] == "2"

    await until(came, what="the late write")


async def test_a_late_write_over_a_newer_one_is_found_and_healed(hub: Hub) -> None:
    client = await hub.start(portal_settle_seconds=SETTLE_SECONDS)
    code = await _overtaken(hub, client)
    await _late_write_has_come(hub, code)
    await until_settled(client, [code])
    assert await _shows(hub, code) == ("9", ["1", "2", "9"], 1)


async def test_a_doubt_outlives_the_service(hub: Hub) -> None:
    async with apps.in_process(hub.app(portal_settle_seconds=SETTLE_SECONDS)) as client:
        client.headers.update(hub.tokens.headers(**OPERATE))
        code = await _overtaken(hub, client)
    await _late_write_has_come(hub, code)
    client = await hub.start(portal_settle_seconds=SETTLE_SECONDS)
    await until_settled(client, [code])
    assert await _shows(hub, code) == ("9", ["1", "2", "9"], 1)


async def test_a_change_after_the_doubt_is_compared_with_what_the_portal_shows(hub: Hub) -> None:
    """The doubt ends during a hold, and the new version is on the wire what was acknowledged: no difference to see."""
    client = await hub.start(portal_settle_seconds=SETTLE_SECONDS)
    code = await _overtaken(hub, client)
    assert (await client.post("/v1/sync/hold", json={"reason": "bảo trì"})).status_code == 200
    await _late_write_has_come(hub, code)
    await asyncio.sleep(SETTLE_SECONDS)
    await hub.province.learn(code)
    assert (await client.post("/v1/sync/release")).status_code == 200
    await until_state(client, code, "synced", version=4)
    await until_settled(client, [code])
    assert await _shows(hub, code) == ("9", ["1", "2", "9"], 1)


@pytest.mark.parametrize("equal_rows", ["ignore", "show"])
async def test_late_progress_rows_are_neither_lost_nor_doubled(hub: Hub, equal_rows: str) -> None:
    """A portal that would keep an equal row twice gets none again while the first may still come."""
    client = await hub.start(portal_settle_seconds=SETTLE_SECONDS, portal_progress=equal_rows)
    await hub.portal.fault(progress=equal_rows)
    await hub.portal.fault(mode="slow", seconds=LATE_SECONDS, operations=["CapNhatTienDoHoSoMC"], times=1)
    (code,) = await hub.province.file(a_dossier())
    await until_state(client, code, "unknown")
    await hub.province.move(code, 2)
    await until_settled(client, [code])
    assert await _shows(hub, code) == ("2", ["1", "2"], 1)


async def test_rows_that_never_came_are_sent_when_they_cannot_come_any_more(hub: Hub) -> None:
    client = await hub.start(portal_settle_seconds=2.0, portal_progress="show")
    await hub.portal.fault(progress="show")
    await hub.portal.fault(mode="down", operations=["CapNhatTienDoHoSoMC"], times=1)
    (code,) = await hub.province.file(a_dossier())
    await until_settled(client, [code])
    assert await _shows(hub, code) == ("1", ["1"], 1)


async def test_what_a_worker_sent_after_its_lease_had_passed_on_is_looked_at(hub: Hub) -> None:
    """A zombie's push may lie over the newer one of the worker that took over; nobody else knows of it."""
    client = await hub.start(sync_workers=2, portal_timeout_seconds=5.0, portal_settle_seconds=600.0)
    (code,) = await hub.province.file(a_dossier())
    await until_state(client, code, "synced")
    await hub.portal.fault(mode="slow", seconds=2.5, operations=["DongBoHoSoMC"], times=1)
    await hub.province.move(code, 2)
    await until_state(client, code, "in_flight")
    async with hub.system.transaction() as tx:  # as if another worker had taken it over, and had pushed status 9
        await tx.execute("UPDATE standing SET lease_token = nextval('lease_token'), state = 'pending', due_at = NULL")
    await hub.province.move(code, 9)
    await until_state(client, code, "synced", version=3)
    await _late_write_has_come(hub, code)

    async def healed() -> bool:
        return (await _shows(hub, code))[0] == "9"

    await until(healed, what="the newer record")
    await until_settled(client, [code])


async def test_what_a_dead_worker_sent_leaves_its_doubt_even_when_nothing_can_be_read(hub: Hub) -> None:
    """Who takes over finds the dossier service away and gives back: the next one must not take it for a clean row."""
    async with apps.in_process(hub.app()) as client:
        client.headers.update(hub.tokens.headers(**OPERATE))
        (code,) = await hub.province.file(a_dossier())
        await until_settled(client, [code])
    async with hub.system.transaction() as tx:  # as if a worker had died with it in hand
        await tx.execute("UPDATE standing SET state = 'in_flight', lease_token = 1, due_at = clock_timestamp()")
    client = await hub.start(dossier_url="http://127.0.0.1:9", portal_settle_seconds=600.0)
    await until_state(client, code, "unknown")
    async with hub.system.reading() as rx:
        assert await rx.value("SELECT doubt_until > clock_timestamp() + interval '300 s' FROM standing")
