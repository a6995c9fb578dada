"""Routes that go past the framework's search answer like any other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from fastapi import FastAPI, Request, Response

from shared import service, web
from shared.errors import NotFound, Overloaded

router = web.router(tags=["things"])


async def _thing(request: Request) -> Response:
    match request.path_params["name"]:
        case "missing":
            raise NotFound
        case "busy":
            raise Overloaded(retry_after_seconds=3)
        case "bug":
            raise ZeroDivisionError
    return Response(await request.body() + request.path_params["name"].encode())


router.add_api_route("/v1/things/{name}", _thing, methods=["POST"], route_class_override=web.LeanRoute)


@router.get("/v1/things/{name}")
async def _ordinary(name: str) -> dict[str, str]:
    return {"name": name}


@asynccontextmanager
async def _opening(_app: FastAPI) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/things/it", 200, None),
        ("GET", "/v1/things/it", 200, None),
        ("POST", "/v1/things/missing", 404, "not_found"),
        ("POST", "/v1/things/busy", 503, "overloaded"),
        ("POST", "/v1/things/bug", 500, "internal_error"),
        ("PUT", "/v1/things/it", 405, "method_not_allowed"),
        ("POST", "/v1/things/it/more", 404, "not_found"),
    ],
)
async def test_a_lean_route_answers_like_any_other(method: str, path: str, status: int, code: str | None) -> None:
    app = service.create("things", [router], _opening)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://things") as client:
        answer = await client.request(method, path, content=b"body of ")
        assert answer.status_code == status
        if code is not None:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == code
        elif method == "POST":
            assert answer.content == b"body of it"
            assert 'route="/v1/things/{name}"' in (await client.get("/metrics")).text
