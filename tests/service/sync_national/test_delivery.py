"""The main road: events in, the portal equal, everything visible."""

import re

from tests.service.sync_national.conftest import READ, Hub
from tests.service.sync_national.province import a_dossier
from tests.service.sync_national.waiting import until, until_level, until_state


async def test_a_dossier_reaches_the_portal_with_its_progress(hub: Hub) -> None:
    client = await hub.start()
    (code,) = await hub.province.file(a_dossier())
    seen = await until_state(client, code, "synced")
    assert (seen["desired_version"], seen["acknowledged_version"]) == (1, 1)
    assert (seen["desired_progress"], seen["acknowledged_progress"]) == (1, 1)
    there = (await hub.portal.holds())[code]
    assert there["inserted"] == 1
    assert there["record"]["ChuHoSo"] == "Nguyễn Thị An"
    assert [row["row"]["TrangThai"] for row in there["progress"]] == ["1"]


async def test_a_move_is_an_update_with_only_the_new_rows(hub: Hub) -> None:
    client = await hub.start()
    (code,) = await hub.province.file(a_dossier())
    await until_state(client, code, "synced")
    await hub.province.move(code, 2)
    await until_state(client, code, "synced", version=2)
    await hub.province.move(code, 4)
    await hub.province.move(code, 9)
    await until_state(client, code, "synced", version=4)
    there = (await hub.portal.holds())[code]
    assert there["inserted"] == 1
    assert there["record"]["TrangThaiHoSo"] == "9"
    assert [(row["row"]["TrangThai"], row["sent"]) for row in there["progress"]] == [
        ("1", 1),
        ("2", 1),
        ("4", 1),
        ("9", 1),
    ]


async def test_moves_in_quick_succession_travel_together(hub: Hub) -> None:
    client = await hub.start(sync_delay_seconds=0.5)
    (code,) = await hub.province.file(a_dossier())
    await hub.province.move(code, 2)
    await hub.province.move(code, 4)
    seen = await until_state(client, code, "synced", version=3)
    assert len(seen["attempts"]) == 1
    there = (await hub.portal.holds())[code]
    assert (there["inserted"], there["updated"]) == (1, 0)
    assert len(there["progress"]) == 3


async def test_a_fact_that_the_record_does_not_show_is_not_pushed(hub: Hub) -> None:
    client = await hub.start()
    (code,) = await hub.province.file(a_dossier())
    await until_state(client, code, "synced")
    await hub.province.learn(code, identity_outcome="not_required")
    seen = await until_state(client, code, "synced", version=2)
    assert seen["acknowledged_version"] == 2
    assert (await hub.portal.holds())[code]["updated"] == 0
    await hub.province.learn(code, payments={"due_vnd": 50000, "paid_vnd": 50000, "online": True})
    await until_state(client, code, "synced", version=3)
    assert (await hub.portal.holds())[code]["record"]["DuocThanhToanTrucTuyen"] == "1"


async def test_a_batch_goes_in_few_calls_and_counts_add_up(hub: Hub) -> None:
    client = await hub.start(sync_delay_seconds=0.5)
    codes = await hub.province.file(*(a_dossier(n, f"H08.{n % 3 + 1:02d}") for n in range(1, 251)))
    await until_level(client, codes)
    holds = await hub.portal.holds()
    assert set(holds) == set(codes)
    assert all(item["inserted"] == 1 and item["updated"] == 0 for item in holds.values())
    assert hub.province.reads <= 20
    status = (await client.get("/v1/sync/status")).json()["destinations"][0]
    assert status["counts"] == {
        "pending": 0,
        "in_flight": 0,
        "synced": 250,
        "unknown": 0,
        "failed": 0,
        "parked": 0,
        "held": 0,
    }
    assert status["oldest_unsynced_seconds"] is None
    assert status["acknowledged_last_minute"] == 250
    assert status["breaker"] == "closed"
    some = await client.get("/v1/sync/status", headers=hub.tokens.headers(**READ, agencies=["H08.01"]))
    assert some.json()["destinations"][0]["counts"]["synced"] == 83


async def test_how_long_a_change_has_waited_is_the_first_figure(hub: Hub) -> None:
    client = await hub.start(sync_refusals=1)
    await hub.portal.fault(mode="reject_record", rate=1.0)
    (code,) = await hub.province.file(a_dossier())
    await until_state(client, code, "parked")

    async def told(*, waiting: bool) -> bool:
        metrics = (await client.get("/metrics")).text
        (line,) = re.findall(
            r'^hub_sync_oldest_unsynced_seconds{destination="dvcqg"} (.+)$', metrics, re.MULTILINE
        ) or ["0"]
        return (float(line) > 0) is waiting

    await until(lambda: told(waiting=True), what="an age in the metrics", seconds=60)
    await hub.portal.fault(mode="normal")
    assert (await client.post(f"/v1/sync/dossiers/{code}/retry")).status_code == 200
    await until(lambda: told(waiting=False), what="no age any more", seconds=60)


async def test_the_acknowledgement_is_announced(hub: Hub) -> None:
    client = await hub.start()
    (code,) = await hub.province.file(a_dossier())
    await until_state(client, code, "synced")
    async with hub.system.reading() as rx:
        rows = await rx.rows(
            "SELECT topic, key, value FROM outbox UNION ALL SELECT topic, key, value FROM outbox_published"
        )
    assert [(row["topic"], row["key"]) for row in rows] == [("lgsp.sync", code)]
    assert '"vn.lgsp.sync.acknowledged.v1"' in rows[0]["value"]
    assert '"progress_number":1' in rows[0]["value"]


async def test_an_attempt_shows_request_and_answer_but_no_citizen(hub: Hub) -> None:
    client = await hub.start()
    (code,) = await hub.province.file(a_dossier())
    seen = await until_state(client, code, "synced")
    (attempt,) = seen["attempts"]
    assert attempt["outcome"] == "accepted"
    assert [exchange["service"] for exchange in attempt["exchanges"]] == ["DongBoHoSoMC", "CapNhatTienDoHoSoMC"]
    assert [exchange["error_code"] for exchange in attempt["exchanges"]] == ["0", "0"]
    assert attempt["request"]["record"]["MaHoSo"] == code
    assert attempt["request"]["record"]["TrangThaiHoSo"] == "1"
    assert attempt["request"]["progress"][0]["TrangThai"] == "1"
    text = (await client.get(f"/v1/sync/dossiers/{code}")).text
    for secret in ("Nguyễn Thị An", "052190000001", "0905000000", "portal.example", "lý lịch tư pháp số 1"):
        assert secret not in text


async def test_two_copies_share_the_work(hub: Hub) -> None:
    client = await hub.start(sync_batch_size=20)
    await hub.start(sync_batch_size=20)
    codes = await hub.province.file(*(a_dossier(n) for n in range(1, 301)))
    for code in codes[:100]:
        await hub.province.move(code, 2)
    await until_level(client, codes)
    holds = await hub.portal.holds()
    assert {item["inserted"] for item in holds.values()} == {1}
    assert {row["sent"] for item in holds.values() for row in item["progress"]} == {1}


async def test_nothing_is_left_in_hand(hub: Hub) -> None:
    client = await hub.start()
    codes = await hub.province.file(*(a_dossier(n) for n in range(1, 11)))
    await until_level(client, codes)

    async def folded() -> bool:
        async with hub.system.reading() as rx:
            return not await rx.value("SELECT count(*) FROM tally_note")

    await until(folded, what="the tally")
    status = (await client.get("/v1/sync/status")).json()["destinations"][0]
    assert status["counts"]["synced"] == 10
