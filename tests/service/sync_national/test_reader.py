"""The three tests of every reader: the same message twice, two in the wrong order, a crash before the commit."""

import asyncpg

from tests.service.sync_national.conftest import Hub
from tests.service.sync_national.province import a_dossier
from tests.service.sync_national.waiting import dossier, until, until_state


async def test_the_same_event_twice_has_one_effect(hub: Hub) -> None:
    client = await hub.start()
    (code,) = await hub.province.file(a_dossier())
    await until_state(client, code, "synced")
    event = hub.province.moved(code, 2)
    await hub.province.publish(event, event)
    await until_state(client, code, "synced", version=2)
    await hub.province.publish(event)
    await hub.province.move(code, 4)
    seen = await until_state(client, code, "synced", version=3)
    assert seen["desired_progress"] == 3
    assert (await hub.portal.holds())[code]["updated"] == 2
    async with hub.system.reading() as rx:
        assert await rx.value("SELECT count(*) FROM inbox") == 3
        assert await rx.value("SELECT count(*) FROM parked") == 0


async def test_events_in_the_wrong_order_end_the_same(hub: Hub) -> None:
    client = await hub.start()
    hub.province.dossiers["H08.15-260302-0001"] = a_dossier()
    code = "H08.15-260302-0001"
    first = hub.province.event(code, None)
    second, third = hub.province.moved(code, 2), hub.province.moved(code, 4)
    await hub.province.publish(third, first, second)
    seen = await until_state(client, code, "synced", version=3)
    assert (seen["status_code"], seen["desired_progress"], seen["acknowledged_progress"]) == (4, 3, 3)


async def test_a_crash_before_the_commit_loses_nothing(hub: Hub) -> None:
    """The reader's transaction fails once (as if the process had died); the broker gives the event again."""
    async with hub.system.transaction() as tx:
        await tx.execute("LOCK TABLE standing IN EXCLUSIVE MODE")
        client = await hub.start()
        codes = await hub.province.file(*(a_dossier(n) for n in range(1, 6)))
        await until(lambda: _blocked(hub), what="a reader that waits for the lock")
        async with hub.system.transaction() as killer:
            await killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
    for code in codes:
        seen = await until_state(client, code, "synced")
        assert seen["desired_progress"] == 1


async def _blocked(hub: Hub) -> bool:
    try:
        async with hub.system.reading() as rx:
            return bool(
                await rx.value(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%standing%'"
                )
            )
    except asyncpg.PostgresError:
        return False


async def test_what_is_no_dossier_event_parks_and_the_others_pass(hub: Hub) -> None:
    client = await hub.start()
    hub.province.dossiers["H08.15-260302-0001"] = a_dossier()
    broken = hub.province.event("H08.15-260302-0001", None)
    broken.data.pop("change")
    await hub.province.publish(broken)
    (code,) = await hub.province.file(a_dossier(2))
    await until_state(client, code, "synced")
    assert await dossier(client, "H08.15-260302-0001") == {}
    async with hub.system.reading() as rx:
        rows = await rx.rows("SELECT owner, key FROM parked")
    assert [(row["owner"], row["key"]) for row in rows] == [("poison", "H08.15-260302-0001")]
