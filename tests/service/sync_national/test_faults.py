"""The portal down, slow, lying, forgetful; workers dying. In the end both sides are equal, and nothing came twice."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest

from sync_national.syncing import Courier
from tests.service.sync_national.conftest import Hub
from tests.service.sync_national.province import a_dossier
from tests.service.sync_national.waiting import dossier, until, until_level, until_settled, until_state


async def _each_once(hub: Hub, codes: list[str]) -> None:
    holds = await hub.portal.holds()
    assert set(holds) == set(codes)
    assert {item["inserted"] for item in holds.values()} == {1}
    for code in codes:
        want = [str(row["status_code"]) for row in hub.province.dossiers[code]["progress"]]
        assert [row["row"]["TrangThai"] for row in holds[code]["progress"]] == want
        assert all(row["written"] == 1 for row in holds[code]["progress"])
        assert holds[code]["record"]["TrangThaiHoSo"] == str(hub.province.dossiers[code]["status_code"])


async def test_a_lost_answer_is_unknown_until_the_portal_was_asked(hub: Hub) -> None:
    client = await hub.start()
    await hub.portal.fault(mode="lose_answer", operations=["DongBoHoSoMC"], times=1)
    started = time.monotonic()
    (code,) = await hub.province.file(a_dossier())
    seen = await until_state(client, code, "unknown")
    assert seen["attempts"][0]["outcome"] == "lost"
    assert seen["reason"]
    again = await client.post(f"/v1/sync/dossiers/{code}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "outcome_unknown")
    seen = await until_state(client, code, "synced")
    assert time.monotonic() - started >= 1.0  # the portal's own time-out was awaited
    services = [exchange["service"] for attempt in reversed(seen["attempts"]) for exchange in attempt["exchanges"]]
    assert services == ["DongBoHoSoMC", "TraCuuHoSo", "CapNhatTienDoHoSoMC"]
    await _each_once(hub, [code])


@pytest.mark.parametrize("how", ["cut", "hang"])
async def test_a_lost_progress_answer_is_found_by_the_rows_shown(hub: Hub, how: str) -> None:
    client = await hub.start()
    await hub.portal.fault(progress="show")  # equal rows would be stored twice
    await hub.portal.fault(mode="lose_answer", operations=["CapNhatTienDoHoSoMC"], times=1, how=how, seconds=1.5)
    (code,) = await hub.province.file(a_dossier())
    await until_state(client, code, "unknown")
    await until_state(client, code, "synced")
    await hub.province.move(code, 2)
    await until_state(client, code, "synced", version=2)
    await _each_once(hub, [code])


async def test_rows_that_nobody_can_tell_stay_unknown(hub: Hub) -> None:
    client = await hub.start(portal_progress="neither")
    await hub.portal.fault(progress="neither")
    await hub.portal.fault(mode="lose_answer", operations=["CapNhatTienDoHoSoMC"], times=1)
    (code,) = await hub.province.file(a_dossier())

    async def is_left() -> dict[str, Any] | None:
        seen = await dossier(client, code)
        return seen if seen.get("state") == "unknown" and seen["next_try_at"] is None else None

    seen = await until(is_left, what="nothing more that could be done")
    assert [attempt["outcome"] for attempt in seen["attempts"]] == ["untellable", "unsettled", "lost"]
    assert seen["acknowledged_version"] == 1
    assert seen["acknowledged_progress"] == 0
    assert (await client.post(f"/v1/sync/dossiers/{code}/retry")).status_code == 200
    await until_state(client, code, "synced")


async def test_one_refused_record_does_not_hold_its_neighbours(hub: Hub) -> None:
    client = await hub.start(sync_delay_seconds=0.4)
    dossiers = [a_dossier(n, f"H08.{n % 2 + 1:02d}") for n in range(1, 61)]
    bad = dossiers[17]["code"]
    await hub.portal.fault(mode="reject_record", codes=[bad])
    codes = await hub.province.file(*dossiers)
    seen = await until_state(client, bad, "parked")
    await until_level(client, [code for code in codes if code != bad])
    assert seen["owner"] == "partner"
    assert "không hợp lệ" in seen["reason"]
    neighbour = await dossier(client, dossiers[0]["code"])
    assert bad not in str(neighbour["attempts"])
    page = (await client.get("/v1/sync/dossiers", params={"state": "parked"})).json()
    assert [item["code"] for item in page["items"]] == [bad]
    await hub.portal.fault(mode="normal")
    answer = await client.post(f"/v1/sync/dossiers/{bad}/retry", headers={"Idempotency-Key": "once"})
    assert answer.status_code == 200
    replayed = await client.post(f"/v1/sync/dossiers/{bad}/retry", headers={"Idempotency-Key": "once"})
    assert replayed.headers["idempotency-replayed"] == "true"
    assert replayed.json() == answer.json()
    await until_level(client, codes)
    assert (await client.post(f"/v1/sync/dossiers/{bad}/retry")).json()["code"] == "nothing_to_retry"
    await _each_once(hub, codes)


async def test_a_parked_dossier_is_tried_again_when_it_changes(hub: Hub) -> None:
    client = await hub.start(sync_refusals=1)
    record = a_dossier(applicant={**a_dossier()["applicant"], "full_name": ""})
    (code,) = await hub.province.file(record)
    await until_state(client, code, "parked")
    await hub.province.learn(code, applicant=a_dossier()["applicant"])
    await until_state(client, code, "synced", version=2)
    async with hub.system.reading() as rx:
        kinds = await rx.rows(
            "SELECT value::jsonb ->> 'type' AS kind FROM (SELECT id, value FROM outbox "
            "UNION ALL SELECT number, value FROM outbox_published) AS news"
        )
    assert {row["kind"] for row in kinds} == {
        "vn.lgsp.sync.parked.v1",
        "vn.lgsp.sync.unparked.v1",
        "vn.lgsp.sync.acknowledged.v1",
    }


async def test_a_record_we_cannot_make_is_our_fault(hub: Hub) -> None:
    client = await hub.start()
    bad, good = await hub.province.file(a_dossier(1, channel="pigeon"), a_dossier(2))
    seen = await until_state(client, bad, "parked")
    assert seen["owner"] == "hub"
    await until_state(client, good, "synced")


async def test_bad_records_are_found_when_the_portal_names_none(hub: Hub) -> None:
    """`each` answers are the friendly way; halving is covered by the unit tests of the batch."""
    client = await hub.start(sync_delay_seconds=0.4)
    await hub.portal.fault(answers="record")
    dossiers = [a_dossier(n) for n in range(1, 31)]
    bad = [dossiers[3]["code"], dossiers[20]["code"]]
    await hub.portal.fault(mode="reject_record", codes=bad)
    codes = await hub.province.file(*dossiers)
    for code in bad:
        await until_state(client, code, "parked")
    await until_level(client, [code for code in codes if code not in bad])


async def test_a_session_that_ends_is_renewed_without_a_failure(hub: Hub) -> None:
    client = await hub.start(sync_batch_size=5)
    await hub.portal.fault(mode="expire_session", every_calls=3)
    codes = await hub.province.file(*(a_dossier(n) for n in range(1, 41)))
    await until_level(client, codes)
    for code in codes:
        assert {attempt["outcome"] for attempt in (await dossier(client, code))["attempts"]} == {"accepted"}
    await _each_once(hub, codes)


@pytest.mark.parametrize("mode", ["down", "error", "html", "refuse", "slow"])
async def test_after_a_fault_both_sides_are_equal_by_themselves(hub: Hub, mode: str) -> None:
    client = await hub.start(sync_refusals=50)
    filed = await hub.province.file(*(a_dossier(n) for n in range(1, 31)))
    await until_level(client, filed)
    await hub.portal.fault(mode=mode, seconds=1.3, rate=0.7)
    more = await hub.province.file(*(a_dossier(n) for n in range(31, 151)))
    for code in filed:
        await hub.province.move(code, 2)
    await asyncio.sleep(1.5)
    await hub.portal.fault(mode="normal")
    await until_settled(client, [*filed, *more])
    await _each_once(hub, [*filed, *more])


async def test_nonsense_opens_the_breaker_and_one_probe_closes_it(hub: Hub) -> None:
    client = await hub.start(portal_breaker_failures=2, portal_breaker_open_seconds=0.5)
    await hub.portal.fault(mode="html")
    codes = await hub.province.file(*(a_dossier(n) for n in range(1, 11)))

    async def breaker() -> str:
        return str((await client.get("/v1/sync/status")).json()["destinations"][0]["breaker"])

    async def is_open() -> bool:
        return await breaker() != "closed"

    await until(is_open, what="an open breaker")
    await hub.portal.fault(mode="normal")
    await until_level(client, codes)
    assert await breaker() == "closed"
    await _each_once(hub, codes)


async def test_hold_keeps_everything_and_release_lets_it_go(hub: Hub) -> None:
    client = await hub.start()
    refused = await client.post(
        "/v1/sync/hold",
        json={"reason": "bảo trì"},
        headers=hub.tokens.headers(role="operator", scopes=["sync:operate"], agencies=["H08"]),
    )
    assert refused.status_code == 403
    held = await client.post("/v1/sync/hold", json={"reason": "bảo trì"})
    assert held.json()["held_by"] == "test-client"
    (code,) = await hub.province.file(a_dossier())
    await until_state(client, code, "held")
    status = (await client.get("/v1/sync/status")).json()["destinations"][0]
    assert (status["counts"]["held"], status["counts"]["pending"], status["hold"]["reason"]) == (1, 0, "bảo trì")
    listed = (await client.get("/v1/sync/dossiers", params={"state": "held"})).json()["items"]
    assert [item["code"] for item in listed] == [code]
    assert await hub.portal.holds() == {}
    assert (await client.post("/v1/sync/release")).status_code == 200
    await until_state(client, code, "synced")


async def test_a_worker_that_dies_after_the_answer_leaves_nothing_twice(hub: Hub) -> None:
    """K7: the portal has stored the record and the rows, the hub has not. The next worker asks before it pushes."""
    await hub.portal.fault(progress="show")  # an equal row would be stored again
    # Every worker with a batch stands at the lock below: there must be more of them than batches.
    app = hub.app(sync_delay_seconds=1.0, sync_workers=8)
    codes: list[str] = []
    async with app.router.lifespan_context(app):
        courier: Courier = app.state.courier
        async with hub.system.transaction() as blocker:
            await blocker.execute("LOCK TABLE attempt IN EXCLUSIVE MODE")  # saving waits here
            codes = await hub.province.file(*(a_dossier(n) for n in range(1, 21)))

            async def pushed() -> bool:
                await blocker.value("SELECT 1")  # an idle transaction would be ended after 10 s
                holds = await hub.portal.holds()
                return set(holds) == set(codes) and all(item["progress"] for item in holds.values())

            await until(pushed, what="the push")
            object.__setattr__(courier._pace, "stop_seconds", 0.0)
            for worker in app.state.runtime.workers:
                with suppress(asyncio.CancelledError):
                    await worker.stop()
            for task in asyncio.all_tasks():
                if "Courier._step" in repr(task):
                    task.cancel()
            await asyncio.sleep(0.1)
    async with hub.system.reading() as rx:
        assert await rx.value("SELECT count(*) FROM standing WHERE state = 'in_flight'") == 20
    client = await hub.start()
    await until_level(client, codes)
    await _each_once(hub, codes)


async def test_a_worker_whose_lease_ran_out_saves_nothing(hub: Hub) -> None:
    """A zombie (SIGSTOP, SIGCONT): what it brings back is dropped, because its token no longer stands in the row."""
    client = await hub.start(sync_workers=2, portal_timeout_seconds=5.0)
    await hub.portal.fault(mode="slow", seconds=1.0, operations=["DongBoHoSoMC"], times=1)
    (code,) = await hub.province.file(a_dossier())
    await until_state(client, code, "in_flight")
    async with hub.system.transaction() as tx:  # as if another worker had taken it over
        await tx.execute("UPDATE standing SET lease_token = nextval('lease_token'), due_at = clock_timestamp()")
    seen = await until_state(client, code, "synced")
    services = [exchange["service"] for attempt in reversed(seen["attempts"]) for exchange in attempt["exchanges"]]
    assert services[0] == "TraCuuHoSo"
    await asyncio.sleep(1.2)
    seen = await dossier(client, code)
    assert seen["state"] == "synced"
    holds = await hub.portal.holds()
    assert holds[code]["inserted"] == 1


async def test_the_dossier_service_away_costs_nothing_but_time(hub: Hub) -> None:
    client = await hub.start(dossier_url="http://127.0.0.1:9")
    (code,) = await hub.province.file(a_dossier())
    await until(lambda: dossier(client, code), seconds=60, what="the dossier's event")
    await asyncio.sleep(0.5)
    seen = await dossier(client, code)
    assert seen["state"] in {"pending", "in_flight"}
    assert seen["attempts"] == []
    assert await hub.portal.holds() == {}
