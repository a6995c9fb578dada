"""Tokens: who gets one, and which are believed (faults.md rows 18, 29, 30)."""

import asyncio
import hmac
import json
import time
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from joserfc import jwk, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gateway.keys import Keys
from shared import revocations
from shared.auth import JwksSource, TokenVerifier
from shared.copied import Copied
from shared.errors import Unauthenticated
from shared.revocations import Revocations

from .conftest import CODE, Hub

PATH = f"/v1/dossiers/{CODE}"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def a_part(text: str, index: int) -> dict[str, Any]:
    piece = text.split(".")[index]
    decoded: dict[str, Any] = json.loads(urlsafe_b64decode(piece + "=" * (-len(piece) % 4)))
    return decoded


def encoded(part: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


async def test_a_token_says_what_rfc_9068_and_the_contract_ask(hub: Hub) -> None:
    text = await hub.token("portal")
    header, claims = a_part(text, 0), a_part(text, 1)
    assert (header["typ"], header["alg"], header["kid"]) == ("at+jwt", "ES256", "hub-1")
    assert claims["iss"] == hub.url
    assert claims["aud"] == "lgsp-hub"
    assert (claims["client_id"], claims["role"], claims["agencies"]) == ("portal", "portal", ["H08"])
    assert claims["scope"] == "catalogue:read dossier:read dossier:transition dossier:write payment:read"
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["jti"]


async def test_both_ways_of_sending_the_secret_work(hub: Hub) -> None:
    known = hub.clients["desk"]
    form = {
        "grant_type": "client_credentials",
        "client_id": known["client_id"],
        "client_secret": known["client_secret"],
    }
    answer = await hub.client.post("/oauth/token", data=form)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["token_type"] == "Bearer"
    both = await hub.client.post("/oauth/token", data=form, auth=(known["client_id"], known["client_secret"]))
    assert (both.status_code, both.json()["error"]) == (400, "invalid_request")


async def test_wrong_secrets_and_unknown_clients_get_the_same_answer(hub: Hub) -> None:
    form = {"grant_type": "client_credentials"}
    wrong = await hub.client.post("/oauth/token", data=form, auth=("portal", "x"))
    unknown = await hub.client.post("/oauth/token", data=form, auth=("nobody", "x"))
    public = await hub.client.post("/oauth/token", data={**form, "client_id": "console-web"})
    assert wrong.status_code == unknown.status_code == public.status_code == 401
    assert wrong.json() == unknown.json() == public.json()
    assert wrong.json()["error"] == "invalid_client"
    assert wrong.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password", "username": "a", "password": "b"}, "unsupported_grant_type"),
        ({"grant_type": 'x"y'}, "invalid_request"),
        ({}, "invalid_request"),
        ({"grant_type": "client_credentials", "scope": "client:admin"}, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": "internal"}, "invalid_scope"),
        ({"grant_type": "authorization_code", "code": "x"}, "unauthorized_client"),
    ],
)
async def test_refusals_are_rfc_6749_errors(hub: Hub, form: dict[str, str], error: str) -> None:
    known = hub.clients["portal"]
    answer = await hub.client.post("/oauth/token", data=form, auth=(known["client_id"], known["client_secret"]))
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_a_parameter_given_twice_is_refused(hub: Hub) -> None:
    answer = await hub.client.post(
        "/oauth/token",
        content="grant_type=client_credentials&scope=dossier:read&scope=dossier:write",
        headers={"content-type": "application/x-www-form-urlencoded"},
        auth=("portal", hub.clients["portal"]["client_secret"]),
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_service_gets_a_token_that_opens_internal_paths_only(hub: Hub) -> None:
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION, "client_assertion": hub.assertion()}
    answer = await hub.client.post("/oauth/token", data=form)
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    assert a_part(token, 1)["aud"] == "lgsp-internal"
    refused = await hub.client.get(PATH, headers={"Authorization": f"Bearer {token}"})
    assert refused.status_code == 401
    again = await hub.client.post("/oauth/token", data=form)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://elsewhere/oauth/token"},
        {"iss": "dossier"},
        {"sub": "dossier", "iss": "dossier"},
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"exp": int(time.time()) + 86_400},
        {"jti": None},
        {"sub": None},
        {"jti": "x" * 256},
        {"jti": "x\x00"},
    ],
)
async def test_client_assertions_are_checked_in_every_claim(hub: Hub, claims: dict[str, Any]) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": hub.assertion(**claims),
    }
    answer = await hub.client.post("/oauth/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("name", ["\x00", "\ud800", "thanh toán"])
async def test_a_client_that_can_have_no_such_name_is_unknown(hub: Hub, name: str) -> None:
    """PostgreSQL takes no NUL and no half of a surrogate pair: nobody may learn that by a 500."""
    head, _, signature = hub.assertion().split(".")
    assertion = f"{head}.{encoded({'iss': name, 'sub': name})}.{signature}"
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION, "client_assertion": assertion}
    by_key = await hub.client.post("/oauth/token", data=form)
    credentials = b64encode(f"{name}:x".encode("utf-8", "surrogatepass")).decode()
    basic = {"Authorization": f"Basic {credentials}"}
    by_secret = await hub.client.post("/oauth/token", data={"grant_type": "client_credentials"}, headers=basic)
    for answer in (by_key, by_secret):
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_an_assertion_by_another_key_is_refused(hub: Hub) -> None:
    other = ECKey.generate_key("P-256", {"kid": "payment-1"})
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": hub.assertion(other),
    }
    assert (await hub.client.post("/oauth/token", data=form)).status_code == 401


def forged(good: str, signing: ECKey) -> dict[str, str]:
    """Every way of forging a token that the tables of row 29 name."""
    header, claims = a_part(good, 0), a_part(good, 1)
    head, body, signature = good.split(".")
    public_pem = signing.as_pem(private=False)
    now = int(time.time())

    def signed(key: jwk.Key = signing, header_more: dict[str, Any] | None = None, **more: Any) -> str:
        merged = {name: value for name, value in (claims | more).items() if value is not None}
        registry_header = header | (header_more or {})
        return jwt.encode(registry_header, merged, key, algorithms=[str(registry_header["alg"])])

    confused = f"{encoded({**header, 'alg': 'HS256'})}.{body}"
    mac = hmac.new(public_pem, confused.encode(), "sha256").digest()
    return {
        "alg none": f"{encoded({**header, 'alg': 'none'})}.{body}.",
        "alg None": f"{encoded({**header, 'alg': 'None'})}.{body}.",
        "HS256 with the public key": f"{confused}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}",
        "another ES256 key": signed(ECKey.generate_key("P-256")),
        "EdDSA under our kid": signed(OKPKey.generate_key("Ed25519"), {"alg": "EdDSA"}),
        "RS256 under our kid": signed(RSAKey.generate_key(2048), {"alg": "RS256"}),
        "unknown kid": signed(header_more={"kid": "hub-2"}),
        "kid with a path": signed(header_more={"kid": "../../../dev/null"}),
        "no kid": signed(header_more={"kid": ""}),
        "typ JWT": signed(header_more={"typ": "JWT"}),
        "wrong issuer": signed(iss="https://elsewhere"),
        "wrong audience": signed(aud="lgsp-internal"),
        "no audience": signed(aud=None),
        "expired": signed(iat=now - 7200, exp=now - 3600),
        "no expiry": signed(exp=None),
        "expiry as text": signed(exp="9999999999"),
        "from the future": signed(nbf=now + 120),
        "no client": signed(client_id=None),
        "no jti": signed(jti=None),
        "changed body": f"{head}.{encoded({**claims, 'agencies': ['*']})}.{signature}",
        "own key in the header": f"{encoded({**header, 'jwk': {'kty': 'EC'}})}.{body}.{signature}",
        "not a token": "abc",
        "four parts": good + ".x",
        "empty signature": f"{head}.{body}.",
        "8 kB": good + "A" * 8192,
        "not ASCII": "ké",
    }


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
async def test_no_forged_token_is_believed(hub: Hub) -> None:
    signing = ECKey.import_key(json.loads(hub.settings.signing_keys_file.read_text())["keys"][0])
    good = await hub.token()
    assert (await hub.client.get(PATH, headers={"Authorization": f"Bearer {good}"})).status_code == 200
    reached = len(hub.behind.seen)
    for name, token in forged(good, signing).items():
        answer = await hub.client.get(PATH, headers=[(b"Authorization", f"Bearer {token}".encode())])
        assert answer.status_code in (400, 401), name
        assert answer.headers["content-type"] == "application/problem+json", name
        if answer.status_code == 401:
            assert answer.headers["www-authenticate"].startswith("Bearer"), name
    assert len(hub.behind.seen) == reached


@pytest.mark.parametrize("header", ["", "Bearer", "Basic cG9ydGFsOng=", "Token x"])
async def test_without_a_bearer_token_nothing_opens(hub: Hub, header: str) -> None:
    answer = await hub.client.get(PATH, headers={"Authorization": header})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_a_missing_scope_is_403_with_its_name(hub: Hub) -> None:
    answer = await hub.client.get(PATH, headers=await hub.headers("portal", "payment:read"))
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert 'error="insufficient_scope", scope="dossier:read"' in answer.headers["www-authenticate"]
    assert (await hub.exchanges())[-1]["status"] == 403


async def test_a_revoked_token_ends_within_seconds(hub: Hub) -> None:
    token = await hub.token()
    own = ("portal", hub.clients["portal"]["client_secret"])
    headers = {"Authorization": f"Bearer {token}"}
    assert (await hub.client.get(PATH, headers=headers)).status_code == 200
    active = await hub.client.post("/oauth/introspect", data={"token": token}, auth=own)
    assert active.json()["active"] is True
    others = ("desk", hub.clients["desk"]["client_secret"])
    assert (await hub.client.post("/oauth/introspect", data={"token": token}, auth=others)).json() == {"active": False}
    assert (await hub.client.post("/oauth/revoke", data={"token": token}, auth=others)).status_code == 400
    assert (await hub.client.post("/oauth/revoke", data={"token": token}, auth=own)).status_code == 200
    assert (await hub.client.post("/oauth/introspect", data={"token": token}, auth=own)).json() == {"active": False}
    await refused_soon(hub, headers)
    assert (await hub.client.post("/oauth/revoke", data={"token": "junk"}, auth=own)).status_code == 200


async def refused_soon(hub: Hub, headers: dict[str, str]) -> None:
    for _ in range(60):
        if (await hub.client.get(PATH, headers=headers)).status_code == 401:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the token is still accepted")


async def test_services_are_told_what_is_revoked_and_partners_are_not(hub: Hub) -> None:
    token = await hub.token()
    own = ("portal", hub.clients["portal"]["client_secret"])
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION, "client_assertion": hub.assertion()}
    internal = (await hub.client.post("/oauth/token", data=form)).json()["access_token"]

    async def authorization() -> dict[str, str]:
        return {"authorization": f"Bearer {internal}"}

    elsewhere = Revocations()
    copy = Copied(hub.url, revocations.PATH, authorization, elsewhere.take)
    verifier = TokenVerifier(hub.url, JwksSource.over_http(f"{hub.url}/.well-known/jwks.json"), revocations=elsewhere)
    assert (await verifier.verify(token)).client_id == "portal"
    assert (await hub.client.post("/oauth/revoke", data={"token": token}, auth=own)).status_code == 200
    await refused_soon(hub, {"Authorization": f"Bearer {token}"})
    await copy.step()
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)
    await copy.close()
    refused = await hub.client.get("/oauth/revocations", headers=await hub.headers("bootstrap"))
    assert refused.status_code == 401


async def test_clients_are_pending_until_approved_and_secrets_overlap(hub: Hub) -> None:
    admin = await hub.headers("bootstrap")
    body = {"name": "Bộ Tài chính", "role": "ministry", "scope": ["event:push"], "agencies": ["H08"]}
    made = await hub.client.post("/v1/clients", json=body, headers=admin)
    assert made.status_code == 201, made.text
    client_id, secret = made.json()["client_id"], made.json()["client_secret"]
    assert made.json()["state"] == "pending"
    assert made.headers["location"] == f"/v1/clients/{client_id}"

    async def try_token(with_secret: str) -> tuple[int, str]:
        answer = await hub.client.post(
            "/oauth/token", data={"grant_type": "client_credentials"}, auth=(client_id, with_secret)
        )
        return answer.status_code, answer.json().get("error", "")

    assert await try_token(secret) == (400, "unauthorized_client")
    assert (await hub.client.post(f"/v1/clients/{client_id}/approve", headers=admin)).json()["state"] == "active"
    again = await hub.client.post(f"/v1/clients/{client_id}/approve", headers=admin)
    assert (again.status_code, again.json()["code"]) == (409, "client_not_pending")
    assert await try_token(secret) == (200, "")
    second = (await hub.client.post(f"/v1/clients/{client_id}/secrets", headers=admin)).json()["client_secret"]
    assert [await try_token(secret), await try_token(second)] == [(200, ""), (200, "")]
    third = (await hub.client.post(f"/v1/clients/{client_id}/secrets", headers=admin)).json()["client_secret"]
    assert [(await try_token(each))[0] for each in (secret, second, third)] == [401, 200, 200]
    shown = (await hub.client.get(f"/v1/clients/{client_id}", headers=admin)).json()
    assert "client_secret" not in shown
    listed = (await hub.client.get("/v1/clients?limit=2", headers=admin)).json()
    assert [len(listed["items"]), listed["next_cursor"] is not None] == [2, True]


async def test_a_suspended_client_is_out_at_once(start_hub: Callable[..., Awaitable[Hub]]) -> None:
    hub = await start_hub()
    admin, headers = await hub.headers("bootstrap"), await hub.headers("desk")
    assert (await hub.client.get(PATH, headers=headers)).status_code == 200
    changed = await hub.client.patch("/v1/clients/desk", json={"state": "suspended"}, headers=admin)
    assert (changed.status_code, changed.json()["state"]) == (200, "suspended")
    await refused_soon(hub, headers)
    known = hub.clients["desk"]
    answer = await hub.client.post(
        "/oauth/token", data={"grant_type": "client_credentials"}, auth=(known["client_id"], known["client_secret"])
    )
    assert answer.json()["error"] == "unauthorized_client"


async def test_a_repeated_registration_gets_the_first_answer_without_the_secret(hub: Hub) -> None:
    headers = await hub.headers("bootstrap") | {"Idempotency-Key": "k1"}
    body = {"name": "Cổng", "role": "portal", "scope": "dossier:write dossier:read", "agencies": ["H08"]}
    first = await hub.client.post("/v1/clients", json=body, headers=headers)
    again = await hub.client.post("/v1/clients", json=body, headers=headers)
    assert again.status_code == first.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == {name: value for name, value in first.json().items() if name != "client_secret"}
    other = await hub.client.post("/v1/clients", json={**body, "name": "Khác"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "role": "portal", "scope": ["dossier:read"], "agencies": ["H08"], "state": "active"},
        {"name": "x", "role": "root", "scope": ["dossier:read"], "agencies": ["H08"]},
        {"name": "x", "role": "portal", "scope": ["internal"], "agencies": ["H08"]},
        {"name": "x", "role": "portal", "scope": ["dossier:read"], "agencies": []},
    ],
)
async def test_impossible_clients_are_422(hub: Hub, body: dict[str, Any]) -> None:
    answer = await hub.client.post("/v1/clients", json=body, headers=await hub.headers("bootstrap"))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_a_client_with_keys_of_its_own_needs_no_secret(hub: Hub) -> None:
    admin = await hub.headers("bootstrap")
    key = ECKey.generate_key("P-256", {"kid": "own-1"})
    body = {
        "name": "Cổng hai",
        "role": "portal",
        "scope": ["dossier:read"],
        "agencies": ["H08"],
        "jwks": {"keys": [key.as_dict(private=False)]},
    }
    client_id = (await hub.client.post("/v1/clients", json=body, headers=admin)).json()["client_id"]
    await hub.client.post(f"/v1/clients/{client_id}/approve", headers=admin)
    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": hub.url, "exp": now + 60, "iat": now, "jti": "1"}
    assertion = jwt.encode({"alg": "ES256", "kid": "own-1"}, claims, key)
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION, "client_assertion": assertion}
    answer = await hub.client.post("/oauth/token", data=form)
    assert answer.status_code == 200, answer.text
    assert a_part(answer.json()["access_token"], 1)["aud"] == "lgsp-hub"


async def test_metadata_and_keys_are_public(hub: Hub) -> None:
    metadata = (await hub.client.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["issuer"] == hub.url
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    discovery = (await hub.client.get("/.well-known/openid-configuration")).json()
    assert discovery["subject_types_supported"] == ["public"]
    keys = (await hub.client.get("/.well-known/jwks.json")).json()["keys"]
    assert [key["kid"] for key in keys] == ["hub-1"]
    assert not {"d", "p", "q"} & set(keys[0])
    assert all(".well-known" not in record["path"] for record in await hub.exchanges())


async def test_keys_overlap_while_they_are_rotated(hub: Hub) -> None:
    old = json.loads(hub.settings.signing_keys_file.read_text())["keys"][0]
    new = ECKey.generate_key("P-256", {"kid": "hub-2"}).as_dict(private=True)
    keys = Keys({"keys": [new, old]}, hub.url)
    assert [key["kid"] for key in keys.public()["keys"]] == ["hub-2", "hub-1"]
    assert a_part(keys.sign({"a": 1}), 0)["kid"] == "hub-2"
