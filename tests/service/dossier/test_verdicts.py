"""Both clocks over REST: a dossier's own, the list of those on which the rules differ, the list of soon late ones."""

from datetime import UTC, datetime, timedelta
from typing import Any

from shared import clock
from tests.service.dossier.conftest import SCOPES, Hub

NO_ID = {"kind": "organisation", "full_name": "Hợp tác xã Ví Dụ"}
IMPORT = SCOPES + " dossier:import"


async def act_at(hub: Hub, code: str, action: str, at: datetime, **members: Any) -> dict[str, Any]:
    """An action of the past."""
    body = {"action": action, "at": at.isoformat(), **members}
    answer = await hub.post(f"/v1/dossiers/{code}/transitions", body, scopes=IMPORT)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def a_received(hub: Hub, received: datetime, **changes: Any) -> str:
    """A dossier received then."""
    filing = {
        "procedure_code": "2.000488", "agency_code": "H08.15", "channel": "online", "applicant": NO_ID,
        "submitted_at": (received - timedelta(minutes=5)).isoformat(), **changes,
    }  # fmt: skip
    answer = await hub.post("/v1/dossiers", filing, scopes=IMPORT)
    assert answer.status_code == 201, answer.text
    code = str(answer.json()["code"])
    await act_at(hub, code, "receive", received)
    return code


async def codes(hub: Hub, query: str, **who: Any) -> list[str]:
    """What a list holds."""
    answer = await hub.get(f"/v1/dossiers?{query}", **who)
    assert answer.status_code == 200, answer.text
    return [item["code"] for item in answer.json()["items"]]


async def test_a_second_supplement_is_lawful_here_and_late_for_the_nation(hub: Hub) -> None:
    began = datetime(2023, 3, 1, 2, 0, tzinfo=UTC)
    code, plain = await a_received(hub, began), await a_received(hub, began)
    for day in (1, 2):
        more = {"reason": "Thiếu bản sao", "legal_exception": "NĐ 61/2018, Đ.17"}
        await act_at(hub, code, "request_supplement", began + timedelta(days=day), **more)
        await act_at(hub, code, "supplement", began + timedelta(days=day, hours=2))
    for it in (code, plain):
        await act_at(hub, it, "finish", began + timedelta(days=5), reason="Đã trả lời")
    read = (await hub.get(f"/v1/dossiers/{code}")).json()
    assert read["supplement_requests"] == 2
    assert read["verdicts"]["differ"]
    assert read["verdicts"]["local"]["outcome"] == "on_time"
    national = read["verdicts"]["national"]
    assert (national["outcome"], national["reason_code"]) == ("late", "more_than_one_supplement")
    assert "766" in national["reason"]
    assert [it["kind"] for it in read["clock"]["pauses"]] == ["supplement", "supplement"]
    assert read["clock"]["left_hours"] is None
    assert read["clock"]["used_hours"] > 0
    line = read["clock"]["line"]
    assert [it["kind"] for it in line["parts"]] == ["work", "supplement", "work", "supplement", "work"]
    assert sum(it["hours"] for it in line["parts"] if it["counts_here"]) == read["clock"]["used_hours"]
    assert line["national_due_hours"] < line["hours"] < line["due_hours"]
    assert read["next_actions"] == [
        {"action": "return_result", "roles": ["desk", "post"], "blocked_by": None},
        {"action": "attach_result", "roles": ["desk", "ministry"], "blocked_by": None},
    ]
    counted = (await hub.get("/v1/dossiers?verdict=differs&counted=true&limit=1")).json()
    assert (counted["count"], [it["code"] for it in counted["items"]]) == (1, [code])
    assert "count" not in (await hub.get("/v1/dossiers?verdict=differs")).json()
    assert await codes(hub, "verdict=differs") == [code]
    assert await codes(hub, "verdict=differs&agency=H08.03") == []
    assert await codes(hub, "verdict=differs", agencies=("H08.03",)) == []
    history = (await hub.get(f"/v1/dossiers/{code}/history")).json()["items"]
    assert [row.get("legal_exception") for row in history].count("NĐ 61/2018, Đ.17") == 2


async def test_soon_late_is_counted_in_working_hours(hub: Hub) -> None:
    now = clock.now()
    code = await a_received(hub, now - timedelta(minutes=50))
    old = await a_received(hub, datetime(2023, 3, 1, 2, 0, tzinfo=UTC))
    stopped = await a_received(hub, now - timedelta(minutes=50))
    await act_at(hub, stopped, "stop", now - timedelta(minutes=40), reason="Chờ")
    assert await codes(hub, "late_within_hours=1") == []
    assert await codes(hub, "late_within_hours=2000") == [code]
    assert await codes(hub, "overdue=true") == [old]
    assert (await hub.get("/v1/dossiers?late_within_hours=0")).status_code == 422
    assert (await hub.get("/v1/dossiers?verdict=maybe")).status_code == 422


async def test_a_payment_s_pause_differs_only_while_the_nation_counts_it(hub: Hub) -> None:
    began = datetime(2023, 3, 1, 2, 0, tzinfo=UTC)
    code = await a_received(hub, began)
    fees = [{"code": "LP1", "name": "Lệ phí", "kind": "fee", "amount_vnd": 50_000}]
    await act_at(hub, code, "request_payment", began + timedelta(days=1), fees=fees)
    read = (await hub.get(f"/v1/dossiers/{code}")).json()
    assert (read["clock"]["paused"], read["clock"]["left_hours"] > 0) == ("payment", True)
    assert read["verdicts"]["national"]["reason_code"] == "other_pauses_count"
    assert await codes(hub, "verdict=differs&status=6") == [code]


async def test_what_ended_in_time_is_never_late(hub: Hub) -> None:
    began = datetime(2023, 3, 1, 2, 0, tzinfo=UTC)
    code = await a_received(hub, began)
    assert (await hub.rows("SELECT late_at = due_at AS same FROM dossier"))[0]["same"]
    await act_at(hub, code, "finish", began + timedelta(hours=1), reason="Xong")
    row = (await hub.rows("SELECT late_at, national_late_at FROM dossier"))[0]
    assert (row["late_at"], row["national_late_at"]) == (None, None)
