"""Both sides compared: through the portal's read service and from its export files, repaired, compared again."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
import time_machine

from sync_national.change import Trouble
from sync_national.portal import Found
from tests.service.sync_national.conftest import OPERATE, READ, Hub
from tests.service.sync_national.province import a_dossier
from tests.service.sync_national.waiting import until, until_level, until_state

PATH = "/v1/sync/reconciliations"
HEADER = ("MaHoSo", "TrangThaiHoSo", "NgayHenTra", "NgayKetThucXuLy", "DuocThanhToanTrucTuyen", "SoDongTienDo")


def an_export(lines: Iterable[Sequence[str]]) -> bytes:
    """An export file of the portal."""
    return "\n".join(",".join(line) for line in (HEADER, *lines)).encode()


async def ended(client: httpx2.AsyncClient, id_: str) -> dict[str, Any]:
    """The reconciliation once it is over."""

    async def look() -> dict[str, Any] | None:
        found: dict[str, Any] = (await client.get(f"{PATH}/{id_}")).json()
        return found if found["state"] in {"done", "failed"} else None

    return await until(look, what="the reconciliation's end")


async def compared(client: httpx2.AsyncClient, **period: Any) -> dict[str, Any]:
    """Through the portal's read service."""
    answer = await client.post(PATH, json=period)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"{PATH}/{answer.json()['id']}"
    return await ended(client, answer.json()["id"])


async def compared_with(client: httpx2.AsyncClient, content: bytes, **query: str) -> dict[str, Any]:
    """With an export file."""
    answer = await client.post(PATH, content=content, params=query, headers={"content-type": "text/csv"})
    assert answer.status_code == 201, answer.text
    return await ended(client, answer.json()["id"])


async def level(hub: Hub, client: httpx2.AsyncClient, count: int, agency: str = "H08.15") -> list[str]:
    """So many dossiers, received, the portal equal."""
    codes = await hub.province.file(*(a_dossier(n, agency) for n in range(1, count + 1)))
    for code in codes:
        await hub.province.move(code, 2)
    await until_level(client, codes)
    return codes


async def forgotten(hub: Hub, *codes: str) -> None:
    """The portal loses dossiers it had acknowledged."""
    answer = await hub.portal.client.post("/_sandbox/portal/forget", json={"codes": list(codes)})
    assert answer.status_code == 200, answer.text


async def altered(hub: Hub, code: str, **members: str) -> None:
    """Somebody changes a record at the portal."""
    answer = await hub.portal.client.post("/_sandbox/portal/alter", json={"code": code, "members": members})
    assert answer.status_code == 200, answer.text


async def test_two_equal_sides_have_no_differences(hub: Hub) -> None:
    client = await hub.start()
    await level(hub, client, 7)
    found = await compared(client, reason="Thử")
    assert (found["state"], found["compared"], found["equal"], found["items"]) == ("done", 7, 7, [])
    last = (await client.get("/v1/sync/status")).json()["destinations"][0]["last_reconciliation"]
    assert (last["id"], last["compared"], last["differing"]) == (found["id"], 7, 0)


async def test_what_the_portal_lost_or_shows_otherwise_is_named_repaired_and_compared_again(hub: Hub) -> None:
    client = await hub.start()
    codes = await level(hub, client, 6)
    await forgotten(hub, codes[0])
    await altered(hub, codes[1], TrangThaiHoSo="1")
    await altered(hub, codes[2], NgayHenTra="20260101000000", TenTTHC="Khác")
    await altered(hub, codes[3], DuocThanhToanTrucTuyen="1")
    found = await compared(client)
    kinds = {item["code"]: item["kinds"] for item in found["items"]}
    assert kinds == {
        codes[0]: ["missing_there"],
        codes[1]: ["status_differs"],
        codes[2]: ["time_differs", "record_differs"],
        codes[3]: ["payment_differs"],
    }
    assert (found["compared"], found["equal"], found["missing_there"], found["status_differs"]) == (6, 2, 1, 1)
    item = next(item for item in found["items"] if item["code"] == codes[1])
    assert (item["ours"]["status"], item["theirs"]["status"], item["state"]) == ("2", "1", "synced")
    only = await client.get(f"{PATH}/{found['id']}", params={"kind": "time_differs"})
    assert [item["code"] for item in only.json()["items"]] == [codes[2]]

    answer = await client.post(f"{PATH}/{found['id']}/repair", json={"reason": "Đã xem"})
    assert (answer.status_code, answer.json()["count"], answer.json()["kind"]) == (201, 4, "repair")
    twice = await client.post(f"{PATH}/{found['id']}/repair")
    assert (twice.status_code, twice.json()["code"]) == (409, "not_repairable")

    async def verified() -> str | None:
        repair = (await client.get(f"{PATH}/{found['id']}")).json()["repair"]
        assert repair["reason"] == "Đã xem"
        it: str | None = repair["verification"]
        return it

    verification = await ended(client, await until(verified, what="the verification"))
    assert (verification["verifies"], verification["compared"], verification["equal"]) == (found["id"], 4, 4)
    holds = await hub.portal.holds()
    assert holds[codes[1]]["record"]["TrangThaiHoSo"] == "2"
    assert [row["row"]["TrangThai"] for row in holds[codes[0]]["progress"]] == ["1", "2"]
    assert (await compared(client))["equal"] == 6
    listed = (await client.get(PATH)).json()["items"]
    assert [it["verifies"] for it in listed] == [None, found["id"], None]


async def test_a_refused_dossier_stays_a_difference_with_the_portals_words(hub: Hub) -> None:
    client = await hub.start(sync_refusals=1, sync_batch_size=1)
    codes = await level(hub, client, 2)
    await hub.portal.fault(mode="reject_record", rate=1.0)
    await hub.province.move(codes[0], 4)
    await until_state(client, codes[0], "parked")
    await hub.portal.fault(mode="normal")
    (item,) = (await compared(client))["items"]
    assert (item["code"], item["state"], item["owner"]) == (codes[0], "parked", "partner")
    assert "status_differs" in item["kinds"]
    assert item["reason"]


async def test_a_file_tells_what_is_missing_on_either_side(hub: Hub) -> None:
    client = await hub.start()
    codes = await level(hub, client, 4)
    lines = [
        (codes[3], "2", "", "", "0", "2"),
        (codes[1], "9", "", "20260303", "0", "2"),
        ("H08.15-260302-9999", "2", "", "", "0", "1"),
        (codes[2], "2", "", "", "0", "1"),
        ("hỏng",),
    ]
    found = await compared_with(client, an_export(lines), name="cong.csv")
    assert {item["code"]: item["kinds"] for item in found["items"]} == {
        codes[0]: ["missing_there"],
        codes[1]: ["status_differs", "time_differs"],
        codes[2]: ["progress_differs"],
        "H08.15-260302-9999": ["missing_here"],
    }
    assert (found["compared"], found["equal"], found["lines"], found["faulty_lines"]) == (5, 1, 5, 1)
    assert (found["file_name"], found["file_format"], len(found["file_sha256"])) == ("cong.csv", "csv", 64)
    assert found["faults"] == ["Dòng 6: Dòng có 1 ô, cần 6"]
    async with hub.system.reading() as rx:
        assert await rx.value("SELECT count(*) FROM reconciliation_file") == 0
    answer = await client.post(f"{PATH}/{found['id']}/repair")
    assert answer.json()["count"] == 3  # what is missing here cannot be pushed


async def test_what_was_acknowledged_after_the_export_is_not_compared(hub: Hub) -> None:
    client = await hub.start()
    codes = await level(hub, client, 2)
    made = datetime.now(UTC).isoformat()
    await hub.province.move(codes[0], 4)
    await until_state(client, codes[0], "synced", version=3)
    lines = [(code, "2", "", "", "0", "2") for code in codes]
    found = await compared_with(client, an_export(lines), as_of=made)
    assert (found["changed_since"], found["compared"], found["equal"]) == (1, 1, 1)


async def test_a_file_calls_what_was_filed_at_the_portal_by_the_portals_code(hub: Hub) -> None:
    client = await hub.start()
    (own,) = await level(hub, client, 1)
    theirs = "G22.99-260302-000001"
    (code,) = await hub.province.file(a_dossier(2, portal_code=theirs))
    await hub.province.move(code, 2)
    await until_level(client, [code])
    lines = [(theirs, "4", "", "", "0", "2"), (own, "2", "", "", "0", "2")]
    found = await compared_with(client, an_export(lines))
    assert [(item["code"], item["kinds"]) for item in found["items"]] == [(code, ["status_differs"])]
    assert (found["compared"], found["equal"], found["missing_here"]) == (2, 1, 0)


async def test_their_monitors_verdict_is_held_against_ours(hub: Hub) -> None:
    client = await hub.start()
    due = "2026-03-09T10:00:00+00:00"
    late, never, not_told = await hub.province.file(
        a_dossier(1, due_at=due, national_late_at="2026-03-05T10:00:00+00:00"),
        a_dossier(2, due_at=due, national_late_at=None),
        a_dossier(3, due_at=due),
    )
    await until_level(client, [late, never, not_told])
    header = "MaHoSo,TrangThaiHoSo,NgayHenTra,DanhGiaTienDo"

    async def differing(word: str, **query: str) -> list[str]:
        lines = [f"{code},1,20260309170000,{word}" for code in (late, never, not_told)]
        found = await compared_with(client, "\n".join([header, *lines]).encode(), **query)
        assert all(item["kinds"] == ["verdict_differs"] for item in found["items"])
        assert found["verdict_differs"] == len(found["items"])
        return [item["code"] for item in found["items"]]

    assert await differing("Đúng hạn") == [late]
    assert await differing("Quá hạn") == [never]


async def test_a_file_of_a_period_does_not_miss_the_dossiers_of_others(hub: Hub) -> None:
    client = await hub.start()
    codes = await level(hub, client, 2)
    query = {"from": "2026-04-01", "to": "2026-04-30"}
    lines = [(codes[0], "4", "", "", "0", "2")]
    # `last_at` of these is now: they are active after the period too, so `to` is what leaves them out.
    found = await compared_with(client, an_export(lines), **{**query, "from": "2020-01-01", "to": "2020-02-01"})
    assert (found["not_asked_for"], found["missing_there"], found["status_differs"]) == (1, 0, 1)
    found = await compared(client, **{"from": "2020-01-01", "to": "2020-02-01"})
    assert (found["state"], found["compared"]) == ("done", 0)


async def test_operators_declare_how_a_provinces_file_is_read_and_old_versions_stay(hub: Hub) -> None:
    client = await hub.start()
    codes = await level(hub, client, 2)
    declared = {
        "headings": {"code": ["Số biên nhận"], "status": ["Tình trạng"]},
        "words": {"status": {"Đã nhận": "2", "Xong": "9"}},
        "delimiter": ";",
    }
    first = await client.put("/v1/sync/layouts/tinh", json=declared)
    assert (first.status_code, first.json()["version"]) == (200, 1), first.text
    assert (await client.put("/v1/sync/layouts/tinh", json=declared)).json()["version"] == 1
    content = f"Tình trạng;Số biên nhận\nĐÃ NHẬN;{codes[0]}\nXong;{codes[1]}\n".encode()
    found = await compared_with(client, content, layout="tinh")
    assert (found["layout"], found["layout_version"], found["equal"], found["status_differs"]) == ("tinh", 1, 1, 1)
    second = await client.put("/v1/sync/layouts/tinh", json={**declared, "words": {}})
    assert second.json()["version"] == 2
    assert (await client.get("/v1/sync/layouts/tinh", params={"version": 1})).json()["words"] == declared["words"]
    names = [(it["name"], it["version"]) for it in (await client.get("/v1/sync/layouts")).json()["items"]]
    assert names == [("dvcqg", 1), ("tinh", 2)]
    for wrong in ({"headings": {"status": ["x"]}}, {**declared, "words": {"status": {"Xong": "99"}}}):
        assert (await client.put("/v1/sync/layouts/tinh", json=wrong)).status_code == 422
    assert (await client.get("/v1/sync/layouts/khac")).status_code == 404
    one = hub.tokens.headers(role="operator", scopes=["sync:operate"], agencies=["H08.15"])
    assert (await client.put("/v1/sync/layouts/tinh", json=declared, headers=one)).status_code == 403


async def test_a_file_nobody_can_read_fails_in_one_sentence(hub: Hub) -> None:
    client = await hub.start()
    found = await compared_with(client, b"Trang thai\n1\n")
    assert found["state"] == "failed"
    assert "mã hồ sơ" in found["fault"]
    answer = await client.post(PATH, content=b"x", headers={"content-type": "text/plain"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    answer = await client.post(PATH, content=b"x", params={"layout": "x"}, headers={"content-type": "text/csv"})
    assert answer.status_code == 422
    answer = await client.post(PATH, json={"from": "2026-02-02", "to": "2026-02-01"})
    assert answer.status_code == 422
    answer = await client.post(f"{PATH}/{found['id']}/repair")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_repairable")


async def test_while_the_portal_is_away_a_reconciliation_waits_and_then_goes_on(hub: Hub) -> None:
    client = await hub.start()
    await level(hub, client, 3)
    await hub.portal.fault(mode="down", rate=1.0)
    id_ = (await client.post(PATH, json={})).json()["id"]

    async def waits() -> bool:
        async with hub.system.reading() as rx:
            return bool(await rx.value("SELECT started_at IS NOT NULL AND lease_token > 0 FROM reconciliation"))

    await until(waits, what="the first try")
    await hub.portal.fault(mode="normal")

    async def hurried() -> dict[str, Any] | None:
        async with hub.system.transaction() as tx:
            await tx.execute("UPDATE reconciliation SET due_at = clock_timestamp() WHERE due_at IS NOT NULL")
        found: dict[str, Any] = (await client.get(f"{PATH}/{id_}")).json()
        return found if found["state"] == "done" else None

    found = await until(hurried, what="the end")
    assert (found["compared"], found["equal"]) == (3, 3)


async def test_a_reconciliation_left_behind_goes_on_where_it_stopped(hub: Hub) -> None:
    client = await hub.start()
    codes = await level(hub, client, 3)
    await forgotten(hub, *codes)
    async with hub.system.transaction() as tx:  # as a worker left it that died after the first dossier
        await tx.execute(
            "INSERT INTO reconciliation (id, destination, source, agencies, as_of, state, asked_by, reason, position, "
            "figures, lease_token, due_at) VALUES ('01920000-0000-7000-8000-000000000001', 'dvcqg', 'portal', '{*}', "
            "now(), 'running', 'x', '', :position, '{\"compared\": 1, \"equal\": 1}', 0, now() - interval '1 second')",
            position=codes[0],
        )
    found = await ended(client, "01920000-0000-7000-8000-000000000001")
    assert (found["compared"], found["equal"], found["missing_there"]) == (3, 1, 2)
    assert [item["code"] for item in found["items"]] == codes[1:]


async def test_an_agencys_operator_compares_its_own_dossiers_only(hub: Hub) -> None:
    client = await hub.start()
    ours = await level(hub, client, 2, "H08.15")
    theirs = await level(hub, client, 1, "H08.01")
    await forgotten(hub, *ours, *theirs)
    scopes = ["sync:read", "sync:operate"]
    own = hub.tokens.headers(role="operator", scopes=scopes, agencies=["H08.15"])
    other = hub.tokens.headers(role="operator", scopes=scopes, agencies=["H08.01"])
    lines = an_export([("H08.01-260302-0777", "2", "", "", "0", "1")])
    for request in (
        {"json": {}, "headers": own},
        {"content": lines, "headers": own | {"content-type": "text/csv"}},
    ):
        id_ = (await client.post(PATH, **request)).json()["id"]
        found = await ended(client, id_)
        assert [item["code"] for item in found["items"]] == ours
        assert (found["compared"], found["missing_here"]) == (2, 0)
        assert (await client.get(f"{PATH}/{id_}", headers=other)).status_code == 404
        assert (await client.post(f"{PATH}/{id_}/repair", headers=other)).status_code == 404
    assert (await client.get(PATH, headers=other)).json()["items"] == []
    reader = hub.tokens.headers(**READ)
    assert (await client.post(PATH, json={}, headers=reader)).status_code == 403


async def test_the_night_writes_down_one_reconciliation_a_day(hub: Hub) -> None:
    app = hub.app(sync_reconcile_at="")
    client = await hub.in_process(app)
    client.headers.update(hub.tokens.headers(role="operator", scopes=["sync:read"]))
    reconciler = app.state.reconciler
    for moment, written in (("2026-03-02T18:00Z", 0), ("2026-03-02T18:31Z", 1), ("2026-03-02T19:00Z", 0)):
        with time_machine.travel(datetime.fromisoformat(moment), tick=False):
            assert await reconciler.schedule("01:30") == written
    with time_machine.travel(datetime(2026, 3, 7, 20, tzinfo=UTC), tick=False):  # Sunday in Vietnam
        assert await reconciler.schedule("01:30") == 1
        assert await reconciler.schedule("") == 0
    found = (await client.get(PATH)).json()["items"]
    assert [(it["period_from"], it["asked_by"]) for it in found] == [
        (None, "sync-national"),
        ("2026-02-28", "sync-national"),
    ]


async def test_what_a_middleware_holds_is_compared_by_its_files_only(hub: Hub) -> None:
    app = hub.app(portal_profile="thanh-hoa@1")
    client = await hub.in_process(app)
    client.headers.update(hub.tokens.headers(**OPERATE))
    refused = await client.post(PATH, json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "no_read_service")
    reconciler = app.state.reconciler
    with time_machine.travel(datetime.fromisoformat("2026-03-02T18:31Z"), tick=False):
        assert await reconciler.schedule("01:30") == 0
    assert await reconciler.verify() == 0
    assert (await client.get(PATH)).json()["items"] == []
    assert (await compared_with(client, an_export([])))["state"] == "done"


async def test_few_calls_a_minute_bring_it_forward_a_few_dossiers_at_a_time(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = hub.app()
    client = await hub.in_process(app)
    client.headers.update(hub.tokens.headers(**OPERATE))
    codes = await level(hub, client, 7)
    room, closed, look_up = [3], [codes[5]], app.state.portal.look_up

    async def calls_to_spare() -> int:
        return room.pop() if room else 0

    async def sometimes(code: str) -> Any:
        found, exchange = await look_up(code)
        return (Found(None, Trouble("unreachable", "Hết số lần gọi")) if code in closed else found), exchange

    monkeypatch.setattr(app.state.reconciler, "calls_to_spare", calls_to_spare)
    monkeypatch.setattr(app.state.portal, "look_up", sometimes)
    id_ = (await client.post(PATH, json={})).json()["id"]

    async def has_compared(count: int) -> bool:
        async with hub.system.transaction() as tx:
            await tx.execute("UPDATE reconciliation SET due_at = clock_timestamp() WHERE due_at IS NOT NULL")
            figures = await tx.value("SELECT figures FROM reconciliation WHERE id::text = :id", id=id_)
        return bool(figures.get("compared", 0) == count)

    await until(lambda: has_compared(3), what="as many as there were calls")
    room.append(200)
    await until(lambda: has_compared(5), what="those before the one that got no answer")
    closed.clear()
    room += [200] * 10
    await until(lambda: has_compared(7), what="the rest")
    found = await ended(client, id_)
    assert (found["compared"], found["equal"]) == (7, 7)
