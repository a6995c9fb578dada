"""The life of a dossier over REST: single actions, batches, repeats, times, other agencies."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.service.dossier.conftest import Hub, a_filing

NO_ID = {"kind": "organisation", "full_name": "Hợp tác xã Ví Dụ"}
DOCUMENTS = {"documents": [{"name": "Giấy phép", "url": "https://kq.example/1.pdf", "sha256": "ab" * 32}]}
FEES = [{"code": "LP1", "name": "Lệ phí", "kind": "fee", "amount_vnd": 50_000}]


async def test_from_submission_to_return(hub: Hub) -> None:
    code = await hub.file(applicant=NO_ID)
    received = await hub.act(code, "receive")
    assert received.status_code == 200, received.text
    assert received.json()["due_at"] > received.json()["received_at"]
    rest: list[tuple[str, dict[str, Any]]] = [("start", {}), ("finish", {"result": DOCUMENTS}), ("return_result", {})]
    for action, more in rest:
        answer = await hub.act(code, action, **more)
        assert answer.status_code == 200, answer.text
    record = (await hub.get(f"/v1/dossiers/{code}")).json()
    assert (record["status"], record["version"], record["electronic_result"]) == ("returned", 5, True)
    assert record["results"][0]["name"] == "Giấy phép"
    history = (await hub.get(f"/v1/dossiers/{code}/history")).json()["items"]
    assert [row["to"] for row in history] == ["submitted", "received", "in_process", "processed", "returned"]
    assert history[1]["actor"]["name"] == "Trần Văn Bình"
    assert history[1]["due_before"] is None
    assert history[1]["due_after"] is not None
    events = await hub.events(code)
    assert [event["sequence"] for event in events] == [1, 2, 3, 4, 5]
    assert [event["type"].split(".")[3] for event in events] == [
        "submitted", "received", "started", "finished", "returned",
    ]  # fmt: skip
    assert events[-1]["data"]["finished_at"] is not None
    assert "Trần" not in str(events)


async def test_a_wrong_status_names_the_allowed_actions(hub: Hub) -> None:
    code = await hub.file()
    answer = await hub.act(code, "start")
    assert (answer.status_code, answer.json()["code"]) == (409, "transition_not_allowed")
    assert answer.json()["allowed"] == ["receive", "refuse", "request_supplement", "request_payment", "withdraw"]
    assert "receive" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("action", "role", "more", "status", "code"),
    [
        ("receive", "portal", {}, 403, "action_not_for_role"),
        ("settle", "desk", {}, 403, "action_not_for_role"),
        ("refuse", "desk", {}, 422, "invalid_request"),
        ("fly", "desk", {}, 422, "invalid_request"),
        ("receive", "desk", {"fees": FEES}, 422, "invalid_request"),
        ("receive", "desk", {"expected_version": 2}, 412, "precondition_failed"),
        ("receive", "desk", {"at": "2023-01-01T08:00:00+07:00"}, 409, "time_goes_back"),
        ("receive", "desk", {"at": "2050-01-01T08:00:00+07:00"}, 422, "invalid_request"),
        ("request_payment", "desk", {"fees": []}, 422, "invalid_request"),
        ("request_payment", "desk", {"fees": [FEES[0] | {"amount_vnd": -1}]}, 422, "invalid_request"),
        ("receive", "desk", {"version": 7}, 422, "invalid_request"),
    ],
)
async def test_refused_actions_change_nothing(
    hub: Hub, action: str, role: str, more: dict[str, Any], status: int, code: str
) -> None:
    dossier = await hub.file()
    answer = await hub.act(dossier, action, role=role, **more)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await hub.get(f"/v1/dossiers/{dossier}")).json()["version"] == 1
    assert len(await hub.events(dossier)) == 1


async def test_the_end_waits_for_the_identity(hub: Hub) -> None:
    code = await hub.file()
    await hub.act(code, "receive")
    answer = await hub.act(code, "finish", result=DOCUMENTS)
    assert (answer.status_code, answer.json()["code"]) == (409, "identity_pending")


async def test_an_open_charge_keeps_it_from_ending(hub: Hub) -> None:
    code = await hub.file(applicant=NO_ID)
    await hub.act(code, "receive")
    asked = await hub.act(code, "request_payment", fees=FEES)
    assert asked.json()["payment"] == {"state": "due", "due_vnd": 50_000, "paid_vnd": 0, "payment_url": None}
    event = (await hub.events(code))[-1]
    assert event["data"]["change"]["fees"] == FEES
    answer = await hub.act(code, "finish", result=DOCUMENTS)
    assert (answer.status_code, answer.json()["code"]) == (409, "charge_open")


async def test_a_supplement_pauses_the_clock_and_is_asked_for_once(hub: Hub) -> None:
    code = await hub.file()
    due = (await hub.act(code, "receive")).json()["due_at"]
    assert (await hub.act(code, "request_supplement", reason="Thiếu bản sao")).json()["status_code"] == 5
    paper = {"name": "bo-sung.pdf", "digitised": True}
    back = (await hub.act(code, "supplement", role="portal", attachments=[paper])).json()
    assert back["status"] == "received"
    assert back["due_at"] >= due
    whole = (await hub.get(f"/v1/dossiers/{code}", headers={"hub-purpose": "kiem tra"})).json()
    assert [it["name"] for it in whole["attachments"]] == ["don.pdf", "bo-sung.pdf"]
    again = await hub.act(code, "request_supplement", reason="Thiếu nữa")
    assert (again.status_code, again.json()["code"]) == (409, "legal_exception_required")
    third = await hub.act(code, "request_supplement", reason="Thiếu nữa", legal_exception="NĐ 61/2018, Đ.17")
    assert third.status_code == 200


async def test_a_due_time_is_extended_once(hub: Hub) -> None:
    code = await hub.file()
    due = datetime.fromisoformat((await hub.act(code, "receive")).json()["due_at"])
    later = (due + timedelta(days=5)).isoformat()
    assert (await hub.act(code, "extend", reason="Chờ xác minh", new_due_at=due.isoformat())).status_code == 422
    answer = await hub.act(code, "extend", reason="Chờ xác minh", new_due_at=later)
    assert datetime.fromisoformat(answer.json()["due_at"]) == due + timedelta(days=5)
    again = await hub.act(code, "extend", reason="Lại chờ", new_due_at=(due + timedelta(days=9)).isoformat())
    assert (again.status_code, again.json()["code"]) == (409, "extension_not_allowed")


async def test_repeats_and_concurrent_repeats_of_an_action(hub: Hub) -> None:
    code, other = await hub.file(), await hub.file()
    answers = await asyncio.gather(*(hub.act(code, "receive", key="k") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 4
    assert len(await hub.events(code)) == 2
    elsewhere = await hub.act(other, "receive", key="k")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "idempotency_key_reused")
    refused = await hub.act(other, "start", key="k2")
    assert refused.status_code == 409
    await hub.act(other, "receive")
    assert (await hub.act(other, "start", key="k2")).status_code == 200


async def test_two_at_once_one_wins(hub: Hub) -> None:
    code = await hub.file()
    answers = await asyncio.gather(*(hub.act(code, "receive", expected_version=1) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]


async def test_single_actions_that_come_together_have_each_their_own_answer(hub: Hub) -> None:
    codes = [await hub.file(applicant=NO_ID) for _ in range(8)]
    asked: list[tuple[str, str, dict[str, Any]]] = [(it, "receive", {"key": f"k{n}"}) for n, it in enumerate(codes)]
    asked += [(code, "receive", {"key": f"k{n}"}) for n, code in enumerate(codes)]  # repeats
    asked += [(code, "start", {"expected_version": 7}) for code in codes]
    asked += [("H08.15-230101-9999", "receive", {}), (codes[0], "fly", {}), (codes[1], "return_result", {})]
    asked.append((codes[2], "stop", {"key": "k0"}))
    answers = await asyncio.gather(*(hub.act(code, action, **more) for code, action, more in asked))
    statuses = [answer.status_code for answer in answers]
    assert statuses == [200] * 16 + [412] * 8 + [404, 422, 409, 422]
    assert [answer.json()["code"] for answer in answers[:16]] == codes * 2
    assert [answer.content for answer in answers[:8]] == [answer.content for answer in answers[8:16]]
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 8
    for code in codes:
        assert [event["sequence"] for event in await hub.events(code)] == [1, 2]


async def test_a_dossier_that_somebody_holds_delays_no_other(hub: Hub) -> None:
    held, *free = [await hub.file(applicant=NO_ID) for _ in range(6)]
    connection = await asyncpg.connect(hub.urls.owner)
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM dossier WHERE code = $1 FOR UPDATE", held)
            waiting = asyncio.create_task(hub.act(held, "receive"))
            for action in ("receive", "start"):
                answers = await asyncio.gather(*(hub.act(code, action) for code in free))
                assert {answer.status_code for answer in answers} == {200}
            assert not waiting.done()
        assert (await waiting).status_code == 200
    finally:
        await connection.close()


async def test_a_key_used_at_two_copies_at_once_fails_nobody_else(start_hub: Callable[..., Awaitable[Hub]]) -> None:
    hubs = [await start_hub(), await start_hub()]
    codes = [await hubs[0].file(applicant=NO_ID) for _ in range(20)]
    acts = [hubs[n % 2].act(code, "receive", key="k" if n < 4 else f"k{n}") for n, code in enumerate(codes)]
    answers = await asyncio.gather(*acts)
    assert sorted(answer.status_code for answer in answers[:4]) == [200, 422, 422, 422]
    assert {answer.status_code for answer in answers[4:]} == {200}


async def test_a_batch_of_actions_applies_in_order(hub: Hub) -> None:
    first, second, foreign = await hub.file(applicant=NO_ID), await hub.file(), await hub.file(agency_code="H08.14")
    lines: list[Any] = [
        {"code": first, "action": "receive", "idempotency_key": "b1"},
        {"code": first, "action": "start"},
        {"code": second, "action": "start"},
        {"code": second, "action": "receive"},
        {"code": first, "action": "finish", "reason": "Không đủ điều kiện"},
        {"code": foreign, "action": "receive"},
        {"code": "H08.15-230101-9999", "action": "receive"},
        b"{}",
        {"code": first, "action": "return_result"},
        {"code": first, "action": "receive", "idempotency_key": "b1"},
    ]
    answers = await hub.batch("/v1/dossiers/transitions/batch", lines, agencies=("H08.15",))
    assert [answer["index"] for answer in answers] == list(range(10))
    assert [answer["status"] for answer in answers] == [200, 200, 409, 200, 200, 404, 404, 422, 200, 200]
    assert answers[8] | {"due_at": None} == {
        "index": 8, "status": 200, "code": first, "dossier_status": "returned", "version": 5, "due_at": None,
    }  # fmt: skip
    assert answers[9]["replayed"] is True
    assert answers[9]["version"] == 2
    assert answers[5]["problem"]["code"] == answers[6]["problem"]["code"] == "not_found"
    assert [event["sequence"] for event in await hub.events(first)] == [1, 2, 3, 4, 5]
    again = await hub.batch("/v1/dossiers/transitions/batch", lines[:1], agencies=("H08.15",))
    assert (again[0]["status"], again[0]["replayed"], again[0]["version"]) == (200, True, 2)


async def test_the_key_of_a_refused_line_is_free_for_the_next_line(hub: Hub) -> None:
    code = await hub.file(applicant=NO_ID)
    lines = [
        {"code": code, "action": "start", "idempotency_key": "k"},
        {"code": code, "action": "receive"},
        {"code": code, "action": "start", "idempotency_key": "k"},
        {"code": code, "action": "start", "idempotency_key": "k"},
        {"code": code, "action": "stop", "reason": "x", "idempotency_key": "k"},
    ]
    answers = await hub.batch("/v1/dossiers/transitions/batch", lines)
    assert [answer["status"] for answer in answers] == [409, 200, 200, 200, 422]
    assert [answer.get("replayed") for answer in answers[2:4]] == [None, True]
    assert [event["sequence"] for event in await hub.events(code)] == [1, 2, 3]


async def test_old_times_need_the_import_scope(hub: Hub) -> None:
    scopes = "dossier:write dossier:read dossier:transition dossier:import"
    body = a_filing(submitted_at="2023-03-01T08:30:00+07:00", applicant=NO_ID)
    code = (await hub.post("/v1/dossiers", body, scopes=scopes)).json()["code"]
    old = {"action": "receive", "at": "2023-03-01T09:00:00+07:00"}
    path = f"/v1/dossiers/{code}/transitions"
    refused = await hub.post(path, old)
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
    received = (await hub.post(path, old, scopes=scopes)).json()
    assert received["received_at"] == "2023-03-01T02:00:00+00:00"
    back = await hub.post(path, {"action": "start", "at": "2023-03-01T08:59:59+07:00"}, scopes=scopes)
    assert (back.status_code, back.json()["code"]) == (409, "time_goes_back")


async def test_another_agencys_dossier_is_404_on_every_route(hub: Hub) -> None:
    code = await hub.file(agency_code="H08.14", external_reference="theirs")
    stranger = {"agencies": ("H08.15",), "role": "desk"}
    path = f"/v1/dossiers/{code}"
    answers = [
        await hub.get(path, **stranger),
        await hub.get(f"{path}/history", **stranger),
        await hub.post(f"{path}/transitions", {"action": "receive"}, **stranger),
        await hub.post("/v1/ratings", {"dossier_code": code, "score": "satisfied"}, **stranger),
    ]
    nobody = [
        await hub.get("/v1/dossiers/H08.14-200101-0001", **stranger),
        await hub.get("/v1/dossiers/H08.14-200101-0001/history", **stranger),
        await hub.post("/v1/dossiers/H08.14-200101-0001/transitions", {"action": "receive"}, **stranger),
        await hub.post("/v1/ratings", {"dossier_code": "H08.14-200101-0001", "score": "satisfied"}, **stranger),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert [answer.content for answer in answers] == [answer.content for answer in nobody]
    for query in ("", "?agency=H08.14", "?agency=H08", "?external_reference=theirs", "?status=submitted"):
        assert (await hub.get(f"/v1/dossiers{query}", **stranger)).json()["items"] == []
    purpose = {"headers": {"hub-purpose": "tra cuu"}}
    found = await hub.post("/v1/dossiers/search", {"personal_id": "052190000123"}, **stranger, **purpose)
    assert found.json()["items"] == []
    tracked = await hub.get(f"/v1/tracking/{code}", **stranger)
    assert tracked.status_code == 200
    assert set(tracked.json()) == {
        "code", "procedure_code", "procedure_name", "agency_code", "agency_name", "status", "status_code",
        "submitted_at", "received_at", "due_at", "finished_at", "returned_at",
    }  # fmt: skip


async def test_the_database_itself_hides_other_agencies(hub: Hub) -> None:
    await hub.file(agency_code="H08.14")
    await hub.file(agency_code="H08.15")
    connection = await asyncpg.connect(hub.urls.api)
    try:
        for table in ("dossier", "transition"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
        async with connection.transaction():
            await connection.execute("SELECT set_config('hub.agencies', 'H08.15', true)")
            rows = await connection.fetch("SELECT agency_code FROM dossier")
            assert [row["agency_code"] for row in rows] == ["H08.15"]
            assert await connection.execute("UPDATE dossier SET abstract = 'x'") == "UPDATE 1"
        async with connection.transaction():
            await connection.execute("SELECT set_config('hub.agencies', 'H08.15', true)")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(
                    "INSERT INTO rating (dossier_code, agency_code, score, at, client_id) "
                    "VALUES ('x', 'H08.14', 'satisfied', now(), 'x')"
                )
        for refused in ("DROP TABLE dossier", "CREATE TABLE t ()", "ALTER TABLE dossier DISABLE ROW LEVEL SECURITY"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(refused)
    finally:
        await connection.close()


async def test_personal_data_is_read_for_a_purpose(hub: Hub) -> None:
    code = await hub.file()
    for without in ({}, {"hub-purpose": " "}):
        plain = (await hub.get(f"/v1/dossiers/{code}", headers=without)).json()
        assert not {"applicant", "form", "attachments"} & set(plain)
    whole = (await hub.get(f"/v1/dossiers/{code}", headers={"hub-purpose": "giai quyet"})).json()
    assert whole["applicant"]["full_name"] == "Nguyễn Thị An"
    assert whole["applicant"]["date_of_birth"] == "1990-04-12"
    refused = await hub.post("/v1/dossiers/search", {"personal_id": "052190000123"})
    assert (refused.status_code, refused.json()["code"]) == (400, "purpose_required")
    found = await hub.post(
        "/v1/dossiers/search", {"personal_id": "052190000123"}, headers={"hub-purpose": "giai quyet"}
    )
    assert [it["code"] for it in found.json()["items"]] == [code]


async def test_lists_filter_and_page(hub: Hub) -> None:
    codes = [await hub.file(channel=channel) for channel in ("online", "counter", "post")]
    await hub.act(codes[1], "receive")
    other = await hub.file(agency_code="H08.14", procedure_code="1.009748", external_reference="one")

    async def listed(query: str) -> list[str]:
        answer = await hub.get(f"/v1/dossiers?{query}")
        assert answer.status_code == 200, answer.text
        return [it["code"] for it in answer.json()["items"]]

    today = datetime.now(UTC).astimezone().date().isoformat()
    assert await listed("") == [other, *codes]
    assert await listed("agency=H08.15") == codes
    assert await listed("agency=H08") == [other, *codes]
    assert await listed("agency=H08.1") == []
    assert await listed("status=received") == await listed("status=2") == [codes[1]]
    assert await listed("channel=post") == [codes[2]]
    assert await listed("procedure=1.009748") == await listed("external_reference=one") == [other]
    assert await listed("received_from=2023-01-01") == [codes[1]]
    assert await listed("received_to=2023-01-01") == []
    assert await listed(f"received_from=2020-01-01T00:00:00Z&received_to={today}") in ([codes[1]], [])
    assert await listed("overdue=true") == []
    assert await listed("overdue=false") == [other, *codes]
    page = (await hub.get("/v1/dossiers?limit=3&include=history")).json()
    assert [len(it["history"]) for it in page["items"]] == [1, 1, 2]
    rest = (await hub.get(f"/v1/dossiers?limit=3&cursor={page['next_cursor']}")).json()
    assert [it["code"] for it in rest["items"]] == codes[2:]
    assert rest["next_cursor"] is None
    for bad in (
        "limit=0",
        "limit=501",
        "status=11",
        "cursor=%00",
        "cursor=abc",
        "received_from=yesterday",
        "channel=x",
    ):
        assert (await hub.get(f"/v1/dossiers?{bad}")).status_code == 422, bad


async def test_a_dossier_is_rated_once(hub: Hub) -> None:
    code = await hub.file()
    body = {"dossier_code": code, "score": "very_satisfied"}
    assert (await hub.post("/v1/ratings", body, key="r")).status_code == 201
    assert (await hub.post("/v1/ratings", body, key="r")).headers["idempotency-replayed"] == "true"
    assert (await hub.post("/v1/ratings", body)).json()["code"] == "already_rated"


async def test_neighbours_read_whole_records(hub: Hub, start_hub: Callable[..., Awaitable[Hub]]) -> None:
    code = await hub.file()
    await hub.act(code, "receive")
    await hub.act(code, "request_payment", fees=FEES)
    own = hub.issuer.internal_headers("sync-national")
    ask = {"codes": [code, "H08.15-200101-0001"], "view": "sync"}
    (record,) = (await hub.client.post("/internal/dossiers/read", json=ask, headers=own)).json()["items"]
    assert record["applicant"]["personal_id"] == "052190000123"
    assert [(row["number"], row["status_code"]) for row in record["progress"]] == [(1, 1), (2, 2), (3, 6)]
    assert record["fees"][0]["amount_vnd"] == 50_000
    assert record["payments"] == {"due_vnd": 50_000, "paid_vnd": 0, "online": False}
    assert record["agency_name"]
    assert record["procedure_name"]
    identity = (await hub.client.post("/internal/dossiers/read", json=ask | {"view": "identity"}, headers=own)).json()
    assert set(identity["items"][0]["applicant"]) == {
        "kind", "full_name", "personal_id", "date_of_birth", "organisation_tax_code",
    }  # fmt: skip
    assert (await hub.client.post("/internal/dossiers/read", json=ask, headers=hub.headers())).status_code == 401
    assert (await hub.get(f"/v1/dossiers/{code}", audience="lgsp-internal")).status_code == 401
