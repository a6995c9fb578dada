"""What crosses the gateway, and what does not."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

import pytest

from .conftest import CODE, Hub

Start = Callable[..., Awaitable[Hub]]
PATH = f"/v1/dossiers/{CODE}"


async def test_a_request_reaches_its_service_and_is_recorded(hub: Hub) -> None:
    answer = await hub.client.get(f"{PATH}?include=history", headers=await hub.headers())
    assert answer.status_code == 200, answer.text
    assert hub.behind.seen[-1]["target"] == f"v1/dossiers/{CODE}?include=history"
    assert hub.behind.header("hub-exchange-id") == answer.headers["hub-exchange-id"]
    record = (await hub.exchanges())[-1]
    assert str(record["id"]) == answer.headers["hub-exchange-id"]
    assert (record["client_id"], record["role"], record["status"]) == ("portal", "portal", 200)
    assert record["dossier_code"] == CODE


async def test_nothing_that_services_believe_comes_from_outside(hub: Hub) -> None:
    forged = {
        "Hub-Exchange-Id": "forged",
        "Hub-Client": "forged",
        "X-Forwarded-For": "forged",
        "X-User-Id": "forged",
        "X_User_Id": "forged",
        "Forwarded": "for=forged",
        "X-Real-IP": "forged",
        "Host": "forged",
        "Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    }
    headers = await hub.headers()
    answer = await hub.client.get(PATH, headers=headers | forged | {"Hub-Purpose": "kiem tra"})
    assert answer.status_code == 200
    arrived = hub.behind.seen[-1]["headers"]
    assert not [pair for pair in arrived if "forged" in pair[1]]
    names = [name for name, _ in arrived]
    assert names.count("hub-exchange-id") == names.count("traceparent") == 1
    assert hub.behind.header("authorization") == headers["Authorization"]
    assert hub.behind.header("hub-purpose") == "kiem tra"
    assert str(hub.behind.header("traceparent")).startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")


async def test_bodies_pass_unchanged_both_ways(hub: Hub) -> None:
    body = '{"tên": "Nguyễn Thị An"}'.encode() * 1000
    hub.behind.answer, hub.behind.status = body, 422
    hub.behind.headers = {"Hub-Error": "invalid_request", "Set-Cookie": "a=1"}
    answer = await hub.client.post("/v1/dossiers", content=body, headers=await hub.headers())
    assert (answer.status_code, answer.content) == (422, body)
    assert answer.headers["hub-error"] == "invalid_request"
    assert answer.headers["set-cookie"] == "a=1"
    assert hub.behind.seen[-1]["body"] == body
    record = (await hub.exchanges())[-1]
    assert record["request_sha256"] == record["response_sha256"] == hashlib.sha256(body).digest()


@pytest.mark.parametrize(
    "path",
    ["/v1/unknown", "/internal/dossiers/read", "/v1/dossiers/a/b", "/console/%2e%2e/internal/x", "/openapi.yaml", "/"],
)
async def test_unknown_paths_do_not_exist_with_or_without_a_token(hub: Hub, path: str) -> None:
    for headers in ({}, await hub.headers("operator")):
        answer = await hub.client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert answer.headers["content-type"] == "application/problem+json"
    assert hub.behind.seen == []


async def test_another_method_is_405_with_those_offered(hub: Hub) -> None:
    answer = await hub.client.delete("/v1/dossiers", headers=await hub.headers())
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


async def test_the_console_and_the_platforms_callback_need_no_token(hub: Hub) -> None:
    hub.behind.headers = {"Set-Cookie": "s=1; HttpOnly", "Location": "/console/x", "Hub-Dossier-Code": CODE}
    hub.behind.status = 303
    page = await hub.client.get("/console/sync", headers={"Cookie": "s=2"})
    assert (page.status_code, page.headers["set-cookie"], page.headers["location"]) == (
        303,
        "s=1; HttpOnly",
        "/console/x",
    )
    assert hub.behind.header("cookie") == "s=2"
    hub.behind.headers, hub.behind.status = {"Hub-Dossier-Code": CODE}, 200
    confirmed = await hub.client.post("/callbacks/payment-platform", json={"MaThamChieu": "1"})
    assert confirmed.status_code == 200
    assert "hub-dossier-code" not in confirmed.headers
    record = (await hub.exchanges())[-1]
    assert (record["client_id"], record["route"], record["dossier_code"]) == (None, "/callbacks/payment-platform", CODE)


async def test_a_list_with_personal_data_names_its_dossiers(hub: Hub) -> None:
    hub.behind.answer = b'{"items":[{"code":"H08.15-230301-0001"},{"code":"H08.15-230301-0002"}]}'
    headers = await hub.headers()
    await hub.client.get("/v1/dossiers", headers=headers)
    assert (await hub.exchanges())[-1]["dossier_count"] == 0
    await hub.client.get("/v1/dossiers", headers=headers | {"Hub-Purpose": "doi soat"})
    assert (await hub.exchanges())[-1]["dossier_count"] == 2


async def test_a_service_that_is_down_is_503_and_one_that_hangs_504(start_hub: Start) -> None:
    hub = await start_hub(upstream_deadline_seconds=0.3, payment_url="http://127.0.0.1:9")
    headers = await hub.headers()
    down = await hub.client.get("/v1/payments", headers=headers)
    assert (down.status_code, down.headers["hub-error"]) == (503, "upstream_unavailable")
    assert (down.headers["retry-after"], down.headers["content-type"]) == ("1", "application/problem+json")
    hub.behind.delay_seconds = 5
    slow = await hub.client.get(PATH, headers=headers)
    assert (slow.status_code, slow.headers["hub-error"]) == (504, "upstream_timeout")
    assert [record["status"] for record in await hub.exchanges()][-2:] == [503, 504]


async def test_more_than_a_service_can_take_is_refused_at_once(start_hub: Start) -> None:
    hub = await start_hub(upstream_most_under_way=3)
    headers = await hub.headers()
    hub.behind.delay_seconds = 1.0
    answers = await asyncio.gather(*(hub.client.get(PATH, headers=headers) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [503] * 7
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("overloaded", "1")
    hub.behind.delay_seconds = 0
    assert (await hub.client.get(PATH, headers=headers)).status_code == 200


async def test_a_client_beyond_its_quota_is_429_and_others_are_not(start_hub: Start) -> None:
    hub = await start_hub(quota_per_second=0.5, quota_burst=3)
    noisy, quiet = await hub.headers("portal"), await hub.headers("desk")
    statuses = [(await hub.client.get(PATH, headers=noisy)).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    refused = await hub.client.get(PATH, headers=noisy)
    assert refused.json()["code"] == "too_many_requests"
    assert int(refused.headers["retry-after"]) >= 1
    assert (await hub.client.get(PATH, headers=quiet)).status_code == 200


async def test_a_large_answer_streams_between_an_opening_and_a_closing_record(start_hub: Start) -> None:
    hub = await start_hub(answer_buffer_bytes=100_000)
    hub.behind.streams = 20
    headers = await hub.headers("desk")
    answer = await hub.client.get("/v1/reports/agencies", headers=headers)
    assert len(answer.content) == 20 * 65_536
    opening, closing = (await hub.exchanges())[-2:]
    assert (opening["kind"], closing["kind"]) == ("opening", "closing")
    assert opening["id"] == closing["id"]
    assert opening["response_sha256"] is None
    assert closing["response_sha256"] == hashlib.sha256(answer.content).digest()
    hub.behind.streams = 0
    assert (await hub.client.get("/v1/reports/agencies", headers=headers)).status_code == 200


async def test_the_union_document_lists_only_what_is_routed(hub: Hub) -> None:
    document = (await hub.client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert "/v1/events" in document["paths"]
    assert document["paths"]["/v1/events"]["post"]["security"] == [{"oauth2": ["event:push"]}]
    page = await hub.client.get("/docs")
    assert (page.status_code, "/v1/events" in page.text, "<script" in page.text) == (200, True, False)
    assert (await hub.client.get("/asyncapi.json")).json()["asyncapi"]
    assert (await hub.client.get("/healthz")).json() == {"status": "ok"}
    assert b"hub_request_seconds" in (await hub.client.get("/metrics")).content
