"""Who is carried next: agencies take turns, and within one the longest waiting goes first."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from prometheus_client import REGISTRY

from sync_national import hold_store, store
from sync_national.store import Wanted
from tests.service.sync_national.conftest import Hub
from tests.service.sync_national.province import a_dossier
from tests.service.sync_national.waiting import until, until_level

PORTAL = "dvcqg"


async def wants(hub: Hub, agency: str, dossiers: int) -> list[str]:
    """So many dossiers of an agency are due, the first of them longest."""
    now = datetime.now(UTC)
    wanted = [
        Wanted(f"{agency}-260302-{number:04d}", agency, 1, 1, 1, now - timedelta(hours=1)) for number in range(dossiers)
    ]
    for one in wanted:
        async with hub.system.transaction() as tx:
            await store.want(tx, PORTAL, [one], 0.0)
    return [one.dossier_code for one in wanted]


async def claims(hub: Hub, size: int) -> list[str]:
    """What a worker takes."""
    async with hub.system.transaction() as tx:
        return [row.dossier_code for row in (await store.claim(tx, PORTAL, size, 60.0)).rows]


async def test_one_agencys_backlog_keeps_nobody_waiting(hub: Hub) -> None:
    much = await wants(hub, "H08.15", 60)
    little = await wants(hub, "H08.01", 3) + await wants(hub, "H08.02", 2)
    first = await claims(hub, 20)
    assert set(little) < set(first)
    assert set(first) - set(little) == set(much[:15])
    assert set(await claims(hub, 20)) == set(much[15:35])


async def test_agencies_that_all_have_much_get_the_same(hub: Hub) -> None:
    for agency in ("H08.15", "H08.01", "H08.02"):
        await wants(hub, agency, 30)
    taken = Counter([code.partition("-")[0] for _ in range(3) for code in await claims(hub, 9)])
    assert taken == {"H08.15": 9, "H08.01": 9, "H08.02": 9}


async def test_who_is_on_hold_has_no_turn(hub: Hub) -> None:
    await wants(hub, "H08.15", 5)
    await wants(hub, "H08.15.07", 5)
    free = await wants(hub, "H08.150", 5)
    async with hub.system.transaction() as tx:
        await hold_store.hold(tx, PORTAL, "H08.15", "test", "nobody")
    assert sorted(await claims(hub, 20)) == free
    async with hub.system.transaction() as tx:
        await hold_store.hold(tx, PORTAL, "*", "test", "nobody")
    assert await claims(hub, 20) == []


async def test_a_minutes_calls_are_granted_once(hub: Hub) -> None:
    async with hub.system.transaction() as tx:
        granted = [await store.reserve_calls(tx, PORTAL, 10, 25) for _ in range(4)]
    # One transaction has one `statement_timestamp` a statement: the minute may turn between two of them.
    assert [calls for calls, _ in granted] in ([10, 10, 5, 0], [10, 10, 5, 10], [10, 10, 10, 10], [10, 10, 10, 5])
    assert all(0 < new_in <= 60 for _, new_in in granted)


async def test_a_portal_that_has_too_much_gets_less_at_once_and_more_again(hub: Hub) -> None:
    def lanes() -> float:
        return REGISTRY.get_sample_value("hub_sync_lanes", {"destination": PORTAL}) or 0.0

    async def are_wide() -> bool:
        return lanes() > 3

    async def are_narrow() -> bool:
        return lanes() < 2

    client = await hub.start(sync_workers=4, sync_batch_size=1, portal_breaker_failures=1000)
    first = await hub.province.file(*(a_dossier(number) for number in range(1, 13)))
    await until_level(client, first)
    await until(are_wide, what="lanes open")
    await hub.portal.fault(mode="error", status=503)
    more = await hub.province.file(*(a_dossier(number) for number in range(13, 25)))
    await until(are_narrow, what="lanes close")
    await hub.portal.fault(mode="normal")
    await until_level(client, more)
    await until(are_wide, what="lanes open again")


async def test_operators_see_what_the_minute_still_has(hub: Hub) -> None:
    client = await hub.start(portal_calls_per_minute=600)
    await until_level(client, await hub.province.file(a_dossier()))
    left = (await client.get("/v1/sync/status")).json()["destinations"][0]["quota_left"]
    # Reserved ten at a time, by each batch that finds too few; nothing, when the minute turned since.
    assert left in range(550, 601, 10)


async def test_a_comparison_leaves_deliveries_a_quarter_of_the_minute(hub: Hub) -> None:
    app = hub.app(portal_calls_per_minute=100)
    await hub.in_process(app)
    async with hub.system.transaction() as tx:
        assert (await store.reserve_calls(tx, PORTAL, 40, 100))[0] == 40
    # 100 less the 40 taken, less a quarter; nothing is taken yet when the minute turned since.
    assert await app.state.reconciler.calls_to_spare() in (35, 75)
