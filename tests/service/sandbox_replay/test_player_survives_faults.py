"""The replay's client against a hub that fails in every way a repeat heals, and in some that none does."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import orjson
import pytest
from fastapi import FastAPI, Request, Response

from sandbox import play_lines
from sandbox.plan import PlannedDossier
from sandbox.plan_procedures import Procedure
from sandbox.play_lines import Line
from sandbox.replay_client import Credentials, GaveUp, HubClient, Refused

Answers = list[Response]


class Hub:
    """A token endpoint, and one route that gives the prepared answers in turn, then 200."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.answers: Answers = []
        self.heard: list[tuple[str | None, bytes]] = []
        self.tokens = 0
        self.app.post("/oauth/token")(self.token)
        self.app.post("/v1/dossiers/batch")(self.batch)
        self.app.post("/v1/payments/counter")(self.single)

    async def token(self) -> dict[str, Any]:
        self.tokens += 1
        return {"access_token": f"token-{self.tokens}", "expires_in": 3600}

    async def single(self, request: Request) -> Response:
        self.heard.append((request.headers.get("Idempotency-Key"), await request.body()))
        return self.answers.pop(0) if self.answers else Response(b"{}", 201)

    async def batch(self, request: Request) -> Response:
        body = await request.body()
        self.heard.append((None, body))
        if self.answers:
            return self.answers.pop(0)
        lines = [orjson.loads(line) for line in body.splitlines()]
        return ndjson({"index": n, "status": 201, "code": line["n"]} for n, line in enumerate(lines))


def ndjson(answers: Any) -> Response:
    return Response(b"".join(orjson.dumps(answer) + b"\n" for answer in answers), 200)


def problem(status: int, code: str, **headers: str) -> Response:
    return Response(orjson.dumps({"status": status, "code": code, "detail": "because"}), status, headers)


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
async def client(hub: Hub, served: Callable[..., Awaitable[str]]) -> Any:
    url = await served(hub.app)
    async with aiohttp.ClientSession() as session:
        yield HubClient(session, url, Credentials("replay", "secret"), patience_seconds=1.5)


PROCEDURE = Procedure("2.000488.H08", "Cấp phiếu", "H08-LV01", "Tư pháp", 10, "working_days")


def a_line(number: int) -> Line:
    dossier = PlannedDossier(number, 15, PROCEDURE, "online", False, "on_time", 1, 2, "match", True, True, (), ())
    return Line(dossier, {"n": number}, f"key-{number}")


async def test_a_busy_hub_is_asked_again_under_the_same_key(hub: Hub, client: HubClient) -> None:
    hub.answers = [
        problem(503, "overloaded", **{"Retry-After": "0"}),
        problem(429, "too_many_requests"),
        problem(500, "internal_error"),
        problem(409, "request_in_progress"),
        problem(401, "unauthenticated"),
    ]
    answer = await client.post("/v1/payments/counter", {"amount_vnd": 1}, "key-1")
    assert answer.status == 201
    assert len(hub.heard) == 6
    assert set(hub.heard) == {("key-1", b'{"amount_vnd":1}')}
    assert hub.tokens == 2
    assert client.tally.repeats == 5


async def test_a_refusal_is_an_answer(hub: Hub, client: HubClient) -> None:
    hub.answers = [problem(409, "receipt_number_taken")]
    assert (await client.post("/v1/payments/counter", {}, "key-1")).status == 409
    assert len(hub.heard) == 1


async def test_a_hub_that_stays_away_is_given_up_in_one_sentence(hub: Hub, client: HubClient) -> None:
    client.patience_seconds = 0.3
    hub.answers = [problem(503, "overloaded")] * 50
    with pytest.raises(GaveUp, match=r"^POST /v1/payments/counter had no good answer for 0 s: 503 overloaded"):
        await client.post("/v1/payments/counter", {}, "key-1")


async def test_a_batch_whose_answer_was_cut_is_sent_again_whole(hub: Hub, client: HubClient) -> None:
    hub.answers = [ndjson([{"index": 0, "status": 201, "code": 0}])]
    accepted: list[int] = []
    await play_lines.send(
        client, "/v1/dossiers/batch", [a_line(n) for n in range(3)], lambda d, _: accepted.append(d.number)
    )
    assert accepted == [0, 1, 2]
    assert [body for _, body in hub.heard] == [hub.heard[0][1]] * 2
    assert b'"idempotency_key":"key-2"' in hub.heard[0][1]


async def test_only_the_lines_that_came_too_early_are_sent_again(hub: Hub, client: HubClient) -> None:
    early = {"status": 409, "code": "identity_pending"}
    hub.answers = [
        ndjson(
            [
                {"index": 0, "status": 201, "code": 0},
                {"index": 1, "status": 409, "problem": early},
                {"index": 2, "status": 503, "problem": {"code": "overloaded"}},
            ]
        )
    ]
    accepted: list[int] = []
    lines = [a_line(n) for n in range(3)]
    await play_lines.send(client, "/v1/dossiers/batch", lines, lambda d, _: accepted.append(d.number), may_wait=True)
    assert accepted == [0, 1, 2]
    assert len(hub.heard[1][1].splitlines()) == 2


async def test_a_line_refused_for_good_ends_the_play_with_its_reason(hub: Hub, client: HubClient) -> None:
    refused = {"status": 409, "code": "identity_pending", "detail": "still being verified"}
    hub.answers = [ndjson([{"index": 0, "status": 409, "problem": refused}])]
    with pytest.raises(Refused, match=r"refused dossier 7 \(key-7\): 409 identity_pending: still being verified"):
        await play_lines.send(client, "/v1/dossiers/batch", [a_line(7)], lambda _d, _a: None)


async def test_wrong_credentials_are_not_repeated(hub: Hub, client: HubClient) -> None:
    async def refuse() -> Response:
        return problem(401, "invalid_client")

    hub.app.router.routes = [route for route in hub.app.router.routes if getattr(route, "path", "") != "/oauth/token"]
    hub.app.post("/oauth/token")(refuse)
    with pytest.raises(Refused, match="The token endpoint answered 401"):
        await client.get("/v1/agencies")
