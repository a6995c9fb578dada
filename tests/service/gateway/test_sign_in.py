"""Operators sign in: authorization code with PKCE (faults.md row 31)."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from .conftest import PASSWORD, Hub, a_challenge

VERIFIER = "v" * 43


def the_request(hub: Hub, **changes: Any) -> str:
    parameters = {
        "response_type": "code",
        "client_id": "console-web",
        "redirect_uri": f"{hub.url}/console/callback",
        "scope": "openid dossier:read sync:read",
        "state": "st",
        "nonce": "nn",
        "code_challenge": a_challenge(VERIFIER),
        "code_challenge_method": "S256",
        **changes,
    }
    return "/oauth/authorize?" + urlencode({name: value for name, value in parameters.items() if value is not None})


async def signed_in(hub: Hub, path: str, password: str = PASSWORD, username: str = "operator") -> httpx2.Response:
    page = await hub.client.get(path)
    assert page.status_code == 200, page.text
    form = re.search(r'name="form" value="([^"]+)"', page.text)
    assert form
    return await hub.client.post(path, data={"form": form[1], "username": username, "password": password})


async def a_code(hub: Hub, **changes: Any) -> str:
    answer = await signed_in(hub, the_request(hub, **changes))
    assert answer.status_code == 303, answer.text
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


async def exchanged(hub: Hub, good_code: str, **changes: Any) -> httpx2.Response:
    form = {
        "grant_type": "authorization_code",
        "client_id": "console-web",
        "code": good_code,
        "redirect_uri": f"{hub.url}/console/callback",
        "code_verifier": VERIFIER,
        **changes,
    }
    return await hub.client.post(
        "/oauth/token", data={name: value for name, value in form.items() if value is not None}
    )


async def test_an_operator_signs_in_and_reads(hub: Hub) -> None:
    answer = await signed_in(hub, the_request(hub))
    assert answer.status_code == 303
    back = urlsplit(answer.headers["location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == f"{hub.url}/console/callback"
    query = parse_qs(back.query)
    assert (query["state"], query["iss"]) == (["st"], [hub.url])
    tokens = await exchanged(hub, query["code"][0])
    assert tokens.status_code == 200, tokens.text
    assert set(tokens.json()["scope"].split()) == {"dossier:read", "sync:read"}
    assert "refresh_token" not in tokens.json()
    assert tokens.json()["id_token"]
    headers = {"Authorization": f"Bearer {tokens.json()['access_token']}"}
    assert (await hub.client.get("/v1/sync/status", headers=headers)).status_code == 200
    record = (await hub.exchanges())[-1]
    assert (record["client_id"], record["role"]) == ("console-web", "operator")
    assert record["subject"] != "console-web"


async def test_a_name_that_no_database_keeps_is_nobodys(hub: Hub) -> None:
    answer = await signed_in(hub, the_request(hub), username="operator\x00")
    assert answer.status_code == 401
    assert "Tên đăng nhập hoặc mật khẩu không đúng" in answer.text


async def test_the_page_is_vietnamese_and_closed_to_frames_and_scripts(hub: Hub) -> None:
    page = await hub.client.get(the_request(hub))
    assert 'lang="vi"' in page.text
    assert "Mật khẩu" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store"
    cookie = page.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


@pytest.mark.parametrize(("username", "password"), [("operator", "wrong"), ("nobody", PASSWORD), ("", "")])
async def test_a_wrong_name_and_a_wrong_password_look_the_same(hub: Hub, username: str, password: str) -> None:
    answer = await signed_in(hub, the_request(hub), password, username)
    assert answer.status_code == 401
    assert "Tên đăng nhập hoặc mật khẩu không đúng" in answer.text
    assert "location" not in answer.headers


async def test_too_many_tries_are_stopped_even_with_the_right_password(
    start_hub: Callable[..., Awaitable[Hub]],
) -> None:
    hub = await start_hub(sign_in_tries=2)
    for _ in range(2):
        assert (await signed_in(hub, the_request(hub), "wrong")).status_code == 401
    answer = await signed_in(hub, the_request(hub))
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


async def test_a_form_made_elsewhere_is_refused(hub: Hub) -> None:
    path = the_request(hub)
    page = await hub.client.get(path)
    form = re.search(r'name="form" value="([^"]+)"', page.text)
    assert form
    good = {"form": form[1], "username": "operator", "password": PASSWORD}
    other_request = await hub.client.post(the_request(hub, state="other"), data=good)
    assert other_request.status_code == 403
    hub.client.cookies.clear()
    assert (await hub.client.post(path, data=good)).status_code == 403
    assert (await hub.client.post(path, data={**good, "form": "1.x"})).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": None},
        {"client_id": "portal"},
        {"redirect_uri": 'http://x/"'},
    ],
)
async def test_without_a_known_address_nobody_is_sent_anywhere(hub: Hub, changes: dict[str, Any]) -> None:
    answer = await hub.client.get(the_request(hub, **changes))
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_redirect_addresses_are_compared_exactly(hub: Hub) -> None:
    for suffix in ("/", "?x=1", "/../other", "#f"):
        answer = await hub.client.get(the_request(hub, redirect_uri=f"{hub.url}/console/callback{suffix}"))
        assert answer.status_code == 400, suffix


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"scope": "dossier:import"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
async def test_the_application_learns_what_is_wrong(hub: Hub, changes: dict[str, Any], error: str) -> None:
    answer = await hub.client.get(the_request(hub, **changes))
    assert answer.status_code == 303, answer.text
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (query["error"], query["state"]) == ([error], ["st"])


async def test_a_code_works_once_and_a_second_try_ends_its_token(hub: Hub) -> None:
    code = await a_code(hub)
    first = await exchanged(hub, code)
    assert first.status_code == 200
    second = await exchanged(hub, code)
    assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")
    headers = {"Authorization": f"Bearer {first.json()['access_token']}"}
    for _ in range(60):
        if (await hub.client.get("/v1/sync/status", headers=headers)).status_code == 401:
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("the token of the stolen code still works")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1/other"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"code": "junk"}, "invalid_grant"),
    ],
)
async def test_a_code_is_bound_to_its_request(hub: Hub, changes: dict[str, Any], error: str) -> None:
    answer = await exchanged(hub, await a_code(hub), **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_a_code_of_one_client_is_worthless_to_another(hub: Hub) -> None:
    code = await a_code(hub)
    answer = await hub.client.post(
        "/oauth/token",
        data={
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": f"{hub.url}/console/callback",
            "code_verifier": VERIFIER,
        },
        auth=("portal", hub.clients["portal"]["client_secret"]),
    )
    assert answer.json()["error"] in ("unauthorized_client", "invalid_grant")
