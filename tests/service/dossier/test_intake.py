"""Intake: stored before the answer, once per key, refused ones leave nothing."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.service.dossier.conftest import Hub, a_filing

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_a_filing_is_stored_with_its_transition_and_event(hub: Hub) -> None:
    headers = {"hub-exchange-id": "ex-1", "traceparent": TRACE}
    answer = await hub.post("/v1/dossiers", a_filing(), role="portal", headers=headers)
    assert answer.status_code == 201
    record = answer.json()
    assert re.fullmatch(r"H08\.15-\d{6}-\d{4}", record["code"])
    assert answer.headers["location"] == f"/v1/dossiers/{record['code']}"
    assert (record["status"], record["status_code"], record["version"]) == ("submitted", 1, 1)
    assert record["identity"]["outcome"] == "pending"
    assert record["payment"] == {"state": "none", "due_vnd": 0, "paid_vnd": 0, "payment_url": None}
    assert record["received_at"] is record["due_at"] is record["finished_at"] is record["returned_at"] is None
    history = (await hub.get(f"/v1/dossiers/{record['code']}/history")).json()["items"]
    assert [(row["action"], row["from"], row["to"], row["exchange_id"]) for row in history] == [
        ("submit", None, "submitted", "ex-1")
    ]
    (event,) = await hub.events(record["code"])
    assert event["type"] == "vn.lgsp.dossier.submitted.v1"
    assert (event["sequence"], event["traceparent"]) == (1, TRACE)
    assert event["data"]["change"]["from_status"] is None
    assert event["data"]["digitised"] is True
    assert "Nguyễn" not in str(event)


async def test_without_personal_id_no_identity_is_required(hub: Hub) -> None:
    applicant = {"kind": "business", "full_name": "Công ty TNHH Ví Dụ", "organisation_tax_code": "4100000001"}
    record = (await hub.post("/v1/dossiers", a_filing(applicant=applicant), role="desk")).json()
    assert record["identity"]["outcome"] == "not_required"


async def test_a_repeat_gets_the_first_answer(hub: Hub) -> None:
    body = a_filing()
    first = await hub.post("/v1/dossiers", body, role="portal", key="k1")
    again = await hub.post("/v1/dossiers", body, role="portal", key="k1")
    assert again.status_code == 201
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(await hub.rows("SELECT code FROM dossier")) == 1
    other_client = await hub.post("/v1/dossiers", body, role="portal", key="k1", client_id="another")
    assert other_client.json()["code"] != first.json()["code"]


async def test_another_body_under_the_key_is_refused(hub: Hub) -> None:
    await hub.post("/v1/dossiers", a_filing(), role="portal", key="k1")
    answer = await hub.post("/v1/dossiers", a_filing(abstract="khác"), role="portal", key="k1")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


async def test_filings_at_the_same_time_share_a_transaction_and_nothing_else(hub: Hub) -> None:
    """One of them repeats a reference, two are one key with two bodies, some callers see another agency only."""
    await hub.post("/v1/dossiers", a_filing(external_reference="taken"), role="portal")
    right = [hub.post("/v1/dossiers", a_filing(), role="portal", key=f"right-{n}") for n in range(30)]
    elsewhere = [hub.post("/v1/dossiers", a_filing(), role="portal", agencies=("H08.15",)) for _ in range(5)]
    reference = hub.post("/v1/dossiers", a_filing(external_reference="taken"), role="portal")
    rivals = [hub.post("/v1/dossiers", a_filing(abstract=text), role="portal", key="k") for text in ("một", "hai")]
    answers = await asyncio.gather(*right, *elsewhere, reference, *rivals)
    assert {answer.status_code for answer in answers[:35]} == {201}
    assert answers[35].status_code == 409
    assert sorted(answer.status_code for answer in answers[36:]) == [201, 422]
    codes = {answer.json()["code"] for answer in answers if answer.status_code == 201}
    assert len(codes) == 36
    [row] = await hub.rows("SELECT count(*) AS dossiers, count(DISTINCT xmin::text) AS transactions FROM dossier")
    assert row["dossiers"] == 37
    assert row["transactions"] < 37
    for answer in answers[:30]:
        assert (await hub.get(answer.headers["location"])).status_code == 200


async def test_concurrent_repeats_store_one_dossier(hub: Hub) -> None:
    body = a_filing()
    answers = await asyncio.gather(*(hub.post("/v1/dossiers", body, role="portal", key="k") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["code"] for answer in answers}) == 1
    assert len(await hub.rows("SELECT code FROM dossier")) == 1


async def test_a_refused_key_may_be_sent_again(hub: Hub) -> None:
    refused = await hub.post("/v1/dossiers", a_filing(procedure_code="9.999999"), role="portal", key="k")
    assert (refused.status_code, refused.json()["code"]) == (409, "procedure_not_valid")
    assert (await hub.post("/v1/dossiers", a_filing(), role="portal", key="k")).status_code == 201


async def test_an_external_reference_is_taken_once_per_client(hub: Hub) -> None:
    first = await hub.post("/v1/dossiers", a_filing(external_reference="p-1"), role="portal")
    second = await hub.post("/v1/dossiers", a_filing(external_reference="p-1"), role="portal")
    assert (second.status_code, second.json()["code"]) == (409, "external_reference_taken")
    assert second.headers["location"] == first.headers["location"]
    other = await hub.post("/v1/dossiers", a_filing(external_reference="p-1"), role="portal", client_id="x")
    assert other.status_code == 201


@pytest.mark.parametrize(
    ("changes", "who", "status", "code"),
    [
        ({"agency_code": "H08.14"}, {"agencies": ("H08.15",)}, 403, "agency_not_permitted"),
        ({"agency_code": "H09.01"}, {}, 403, "agency_not_permitted"),
        ({"agency_code": "H08.99"}, {}, 409, "agency_not_valid"),
        ({}, {"role": "ministry"}, 403, "action_not_for_role"),
        ({}, {"scopes": "dossier:read"}, 403, "insufficient_scope"),
        ({"submitted_at": "2023-03-01T08:30:00+07:00"}, {}, 403, "insufficient_scope"),
        ({"submitted_at": "2050-03-01T08:30:00+07:00"}, {}, 422, "invalid_request"),
        ({"submitted_at": "2023-03-01T08:30:00"}, {}, 422, "invalid_request"),
        ({"submitted_at": 1700000000}, {}, 422, "invalid_request"),
        ({"status": 9}, {}, 422, "invalid_request"),
        ({"channel": "pigeon"}, {}, 422, "invalid_request"),
        (
            {"applicant": {"kind": "citizen", "full_name": "A", "personal_id": "12345678901"}},
            {},
            422,
            "invalid_request",
        ),
        (
            {"applicant": {"kind": "citizen", "full_name": "A", "personal_id": "०५२१९००००१२३"}},
            {},
            422,
            "invalid_request",
        ),
        ({"attachments": [{"name": "a", "size": -1}]}, {}, 422, "invalid_request"),
        # The portal takes no blank name: what is let in with one could never be shown there.
        ({"attachments": [{"name": "\u00a0\u2003"}]}, {}, 422, "invalid_request"),
        ({"applicant": {"kind": "citizen", "full_name": " "}}, {}, 422, "invalid_request"),
        ({"applicant": {"kind": "citizen", "full_name": "\u001f\n"}}, {}, 422, "invalid_request"),
    ],
)
async def test_refused_filings_store_nothing(
    hub: Hub, changes: dict[str, Any], who: dict[str, Any], status: int, code: str
) -> None:
    answer = await hub.post("/v1/dossiers", a_filing(**changes), **({"role": "portal"} | who))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert await hub.rows("SELECT 1 FROM dossier UNION ALL SELECT 1 FROM outbox") == []


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'\xef\xbb\xbf{}', b'{"a": NaN}', b'{"a": 1, "a": 2}', b'"\\u0000"',
        b'{"abstract": "\\ud800"}', b"\xff\xfe{}", b"[" * 100_000, b'{"a": 1e999}', b'{"a": ' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
async def test_a_malformed_body_stores_nothing(hub: Hub, body: bytes) -> None:
    answer = await hub.post("/v1/dossiers", body, role="portal")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert await hub.rows("SELECT 1 FROM dossier") == []


async def test_an_old_time_is_for_imports(hub: Hub) -> None:
    body = a_filing(submitted_at="2023-03-01T00:30:00+07:00")
    scopes = "dossier:write dossier:import"
    record = (await hub.post("/v1/dossiers", body, role="portal", scopes=scopes)).json()
    # The day is the Vietnamese one, though it is still 28 February in UTC.
    assert record["code"] == "H08.15-230301-0001"


async def test_codes_are_never_given_twice_over_several_processes(
    start_hub: Callable[..., Awaitable[Hub]],
) -> None:
    hubs = [await start_hub(), await start_hub()]
    singles = asyncio.gather(*(hubs[i % 2].post("/v1/dossiers", a_filing(), role="portal") for i in range(40)))
    batches = asyncio.gather(*(h.batch("/v1/dossiers/batch", [a_filing()] * 60, role="portal") for h in hubs))
    codes = [answer.json()["code"] for answer in await singles]
    codes += [line["code"] for lines in await batches for line in lines]
    assert len(set(codes)) == len(codes) == 160
    assert len(await hubs[0].rows("SELECT 1 FROM dossier")) == 160


async def test_a_batch_stores_the_good_lines(hub: Hub) -> None:
    lines: list[Any] = [
        a_filing(),
        b"{nonsense",
        a_filing(agency_code="H08.99"),
        a_filing(idempotency_key="l1"),
        a_filing(idempotency_key="l1"),
        a_filing(idempotency_key="l1", abstract="khác"),
        a_filing(external_reference="r"),
        a_filing(external_reference="r"),
        a_filing(agency_code="H09.01"),
        a_filing(),
    ]
    answers = await hub.batch("/v1/dossiers/batch", lines, role="portal")
    assert [answer["index"] for answer in answers] == list(range(10))
    assert [answer["status"] for answer in answers] == [201, 422, 409, 201, 201, 422, 201, 409, 403, 201]
    assert answers[4]["code"] == answers[3]["code"]
    assert answers[4]["replayed"] is True
    assert answers[5]["problem"]["code"] == "idempotency_key_reused"
    assert answers[7]["problem"]["code"] == "external_reference_taken"
    assert len(await hub.rows("SELECT 1 FROM dossier")) == 4
    again = await hub.batch("/v1/dossiers/batch", lines[3:8], role="portal")
    assert [answer["status"] for answer in again] == [201, 201, 422, 409, 409]
    assert again[0]["code"] == answers[3]["code"]
    assert again[0]["replayed"] is True
    assert len(await hub.rows("SELECT 1 FROM dossier")) == 4


async def test_the_key_of_a_refused_line_is_free_for_the_next_line(hub: Hub) -> None:
    wrong = a_filing(idempotency_key="k", procedure_code="9.999999")
    right = a_filing(idempotency_key="k")
    answers = await hub.batch("/v1/dossiers/batch", [wrong, wrong, right, right, wrong], role="portal")
    assert [answer["status"] for answer in answers] == [409, 409, 201, 201, 409]
    assert answers[3]["code"] == answers[2]["code"]
    assert answers[3]["replayed"] is True
    assert len(await hub.rows("SELECT 1 FROM dossier")) == 1


async def test_concurrent_batches_with_the_same_keys_store_each_line_once(hub: Hub) -> None:
    lines = [a_filing(idempotency_key=f"k{i}", external_reference=f"r{i}") for i in range(100)]
    first, second = await asyncio.gather(
        hub.batch("/v1/dossiers/batch", lines, role="portal"),
        hub.batch("/v1/dossiers/batch", lines, role="portal"),
    )
    assert {answer["status"] for answer in first + second} == {201}
    assert [answer["code"] for answer in first] == [answer["code"] for answer in second]
    assert len(await hub.rows("SELECT 1 FROM dossier")) == 100


async def test_a_batch_is_limited(hub: Hub) -> None:
    answer = await hub.post("/v1/dossiers/batch", b"{}\n" * 5001, role="portal")
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    answer = await hub.post("/v1/dossiers/batch", b" " * (16 * 1024 * 1024 + 1), role="portal")
    assert answer.status_code == 413


async def test_the_answer_of_a_batch_line_covers_only_its_agency(hub: Hub) -> None:
    recent = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
    lines = [a_filing(agency_code=f"H08.{n:02d}", submitted_at=recent) for n in (14, 15)]
    answers = await hub.batch("/v1/dossiers/batch", lines, role="desk", agencies=("H08.15",))
    assert [answer["status"] for answer in answers] == [403, 201]
