"""Approved corrections over REST: asked for by one, approved by another, both values kept, everything counted anew."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.service.dossier.conftest import Hub
from tests.service.dossier.test_verdicts import a_received, act_at, codes

BINH = {"name": "Trần Văn Bình", "title": "Chuyên viên", "unit": "Một cửa"}
CHI = {"name": "Lê Thị Chi", "title": "Trưởng phòng", "unit": "Một cửa"}
BEGAN = datetime(2023, 3, 1, 2, 0, tzinfo=UTC)


async def asked(hub: Hub, code: str, **members: Any) -> dict[str, Any]:
    """A correction that Bình asks for."""
    answer = await hub.post(f"/v1/dossiers/{code}/corrections", {"reason": "Ghi nhầm", "actor": BINH, **members})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def decided(hub: Hub, code: str, correction_id: str, actor: dict[str, str], decision: str = "approve") -> Any:
    """What somebody's decision is answered."""
    body = {"correction_id": correction_id, "decision": decision, "actor": actor}
    return await hub.post(f"/v1/dossiers/{code}/corrections/decision", body)


async def internal(hub: Hub, code: str) -> Any:
    """The record as sync-national reads it."""
    answer = await hub.client.post(
        "/internal/dossiers/read",
        json={"codes": [code], "view": "sync"},
        headers=hub.issuer.internal_headers("sync-national"),
    )
    return answer.json()["items"][0]


async def test_a_wrong_time_is_corrected_by_two(hub: Hub) -> None:
    code = await a_received(hub, BEGAN)
    await act_at(hub, code, "finish", BEGAN + timedelta(days=100), reason="Xong")
    before = (await hub.get(f"/v1/dossiers/{code}")).json()
    assert before["verdicts"]["local"]["outcome"] == "late"
    right = BEGAN + timedelta(days=2)
    it = await asked(hub, code, times=[{"version": 3, "at": right.isoformat()}])
    assert (it["state"], (await hub.get(f"/v1/dossiers/{code}")).json()["version"]) == ("asked", before["version"])

    same = await decided(hub, code, it["correction_id"], {**BINH, "name": "TRAN VAN BINH"})
    assert (same.status_code, same.json()["code"]) == (403, "same_person")
    done = await decided(hub, code, it["correction_id"], CHI)
    assert (done.status_code, done.json()["state"]) == (200, "approved"), done.text
    again = await decided(hub, code, it["correction_id"], CHI)
    assert (again.status_code, again.json()["code"]) == (409, "correction_decided")

    after = (await hub.get(f"/v1/dossiers/{code}")).json()
    assert datetime.fromisoformat(after["finished_at"]) == right
    assert after["verdicts"]["local"] == {
        "outcome": "on_time", "reason": "Trong hạn trả kết quả.", "reason_code": "within_due_time", "is_final": True,
    }  # fmt: skip
    assert await codes(hub, "overdue=true") == []
    history = (await hub.get(f"/v1/dossiers/{code}/history")).json()["items"]
    finish, correct = history[2], history[3]
    assert datetime.fromisoformat(finish["at"]) == right
    assert datetime.fromisoformat(finish["recorded_as"]) == BEGAN + timedelta(days=100)
    assert finish["corrected_by"] == correct["version"] == 4
    assert correct["correction"]["asked_by"]["name"] == BINH["name"]
    assert correct["correction"]["approved_by"]["name"] == correct["actor"]["name"] == CHI["name"]
    rows = (await internal(hub, code))["progress"]
    assert [(row["number"], row["status_code"]) for row in rows] == [(1, 1), (2, 2), (3, 9), (4, 9)]
    last = (await hub.events(code))[-1]
    assert last["type"] == "vn.lgsp.dossier.corrected.v1"
    assert datetime.fromisoformat(last["data"]["change"]["resolved_at"]) == right
    listed = (await hub.get(f"/v1/dossiers/{code}/corrections")).json()["items"]
    assert [(row["state"], row["version"], row["decided_by"]["name"]) for row in listed] == [
        ("approved", 4, CHI["name"])
    ]


async def test_a_step_never_ticked_is_added_and_pauses_the_clock(hub: Hub) -> None:
    code = await a_received(hub, BEGAN)
    due = datetime.fromisoformat((await hub.get(f"/v1/dossiers/{code}")).json()["due_at"])
    steps = [
        {"action": "request_supplement", "at": (BEGAN + timedelta(days=1)).isoformat(), "reason": "Thiếu bản sao"},
        {"action": "supplement", "at": (BEGAN + timedelta(days=6)).isoformat()},
    ]
    it = await asked(hub, code, steps=steps)
    assert (await decided(hub, code, it["correction_id"], CHI)).status_code == 200
    read = (await hub.get(f"/v1/dossiers/{code}")).json()
    assert datetime.fromisoformat(read["due_at"]) > due
    assert (read["supplement_requests"], read["status"]) == (1, "received")
    assert [row["status_code"] for row in (await internal(hub, code))["progress"]] == [1, 2, 5, 2]
    # The life goes on from there, and a further correction builds on the first.
    await act_at(hub, code, "start", BEGAN + timedelta(days=7))
    it = await asked(hub, code, times=[{"version": 4, "at": (BEGAN + timedelta(days=8)).isoformat()}])
    assert (await decided(hub, code, it["correction_id"], CHI)).status_code == 200
    assert (await hub.get(f"/v1/dossiers/{code}")).json()["supplement_requests"] == 1


async def test_a_rejected_correction_changes_nothing(hub: Hub) -> None:
    code = await a_received(hub, BEGAN)
    it = await asked(hub, code, times=[{"version": 2, "at": (BEGAN + timedelta(hours=1)).isoformat()}])
    answer = await decided(hub, code, it["correction_id"], BINH, "reject")
    assert answer.json() == {"correction_id": it["correction_id"], "state": "rejected", "dossier": None}
    assert (await hub.get(f"/v1/dossiers/{code}")).json()["version"] == 2


async def test_what_cannot_be_is_refused_when_it_is_asked_for(hub: Hub) -> None:
    code = await a_received(hub, BEGAN)

    async def refusal(**members: Any) -> tuple[int, str]:
        body = {"reason": "Ghi nhầm", "actor": BINH, **members}
        answer = await hub.post(f"/v1/dossiers/{code}/corrections", body)
        return answer.status_code, answer.json()["code"]

    early = (BEGAN - timedelta(days=9)).isoformat()
    assert await refusal(times=[{"version": 2, "at": early}]) == (409, "time_goes_back")
    assert await refusal(times=[{"version": 7, "at": early}]) == (422, "invalid_request")
    assert await refusal() == (422, "invalid_request")
    resume = {"action": "resume", "at": (BEGAN + timedelta(days=1)).isoformat(), "reason": "Nhầm"}
    assert await refusal(steps=[resume]) == (409, "step_does_not_fit")
    body = {"reason": "x", "actor": BINH, "times": [{"version": 2, "at": BEGAN.isoformat()}]}
    for who, status in (({"role": "portal"}, 403), ({"agencies": ("H08.03",)}, 404)):
        assert (await hub.post(f"/v1/dossiers/{code}/corrections", body, **who)).status_code == status
        assert (await hub.post(f"/v1/dossiers/{code}/corrections/decision", {
            "correction_id": "x", "decision": "approve", "actor": CHI}, **who)).status_code == status  # fmt: skip
    assert (await hub.get(f"/v1/dossiers/{code}/corrections", agencies=("H08.03",))).status_code == 404
    assert (await decided(hub, code, "unknown", CHI)).status_code == 422


async def test_of_two_approvals_at_once_one_counts(hub: Hub) -> None:
    code = await a_received(hub, BEGAN)
    it = await asked(hub, code, times=[{"version": 2, "at": (BEGAN + timedelta(hours=1)).isoformat()}])
    both = await asyncio.gather(*(decided(hub, code, it["correction_id"], CHI) for _ in range(2)))
    assert sorted(answer.status_code for answer in both) == [200, 409]
    assert (await hub.get(f"/v1/dossiers/{code}")).json()["version"] == 3


async def test_a_repeat_gets_the_first_answer(hub: Hub) -> None:
    code = await a_received(hub, BEGAN)
    body = {"reason": "x", "actor": BINH, "times": [{"version": 2, "at": (BEGAN + timedelta(hours=1)).isoformat()}]}
    first = await hub.post(f"/v1/dossiers/{code}/corrections", body, key="k1")
    second = await hub.post(f"/v1/dossiers/{code}/corrections", body, key="k1")
    assert (second.headers["idempotency-replayed"], second.content) == ("true", first.content)
    decision = {"correction_id": first.json()["correction_id"], "decision": "approve", "actor": CHI}
    answers = [await hub.post(f"/v1/dossiers/{code}/corrections/decision", decision, key="k2") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    reused = await hub.post(f"/v1/dossiers/{code}/corrections/decision", decision, key="k1")
    assert reused.json()["code"] == "idempotency_key_reused"


async def test_who_saw_the_dossier_before_a_correction_is_told(hub: Hub) -> None:
    code = await a_received(hub, BEGAN)
    it = await asked(hub, code, times=[{"version": 2, "at": (BEGAN + timedelta(hours=1)).isoformat()}])
    assert (await decided(hub, code, it["correction_id"], CHI)).status_code == 200
    stale = await hub.act(code, "start", expected_version=2)
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    assert (await hub.act(code, "start", expected_version=3)).status_code == 200
