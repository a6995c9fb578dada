"""Tokens: what holds is remembered, everything else is refused (faults row 29)."""

import asyncio
import base64
import json
import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from joserfc.jws import JWSRegistry

from shared.auth import Caller, JwksSource, TokenVerifier
from shared.errors import AgencyNotPermitted, InsufficientScope, Unauthenticated, UpstreamUnavailable
from tests.support.tokens import TokenIssuer


@pytest.fixture
def verifier(token_issuer: TokenIssuer) -> TokenVerifier:
    return TokenVerifier(token_issuer.issuer, JwksSource.of(token_issuer.jwks))


async def test_a_good_token_names_its_caller(verifier: TokenVerifier, token_issuer: TokenIssuer) -> None:
    token = token_issuer.token(role="desk", scopes=["dossier:read"], agencies=["H08.15"], client_id="desk-1")
    for _ in range(2):
        caller = await verifier.verify(token)
        assert (caller.client_id, caller.role, caller.agencies) == ("desk-1", "desk", ("H08.15",))
        assert caller.scopes == {"dossier:read"}


def _part(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def _forgeries(issuer: TokenIssuer) -> dict[str, str]:
    good = issuer.token()
    header, claims, signature = good.split(".")
    body = json.loads(base64.urlsafe_b64decode(claims + "=="))
    public = issuer.jwks["keys"][0]
    other = ECKey.generate_key("P-256", {"kid": "test"})

    def signed(extra: dict[str, Any], key: Any = issuer.key, content: dict[str, Any] | None = None) -> str:
        base = {"alg": "ES256", "typ": "at+jwt", "kid": "test"}
        registry = JWSRegistry(algorithms=["ES256", "HS256"], strict_check_header=False)
        return jwt.encode({**base, **extra}, content or body, key, registry=registry)

    secret = OctKey.import_key(json.dumps(public, sort_keys=True).encode())
    return {
        "nothing": "",
        "not a token": "x.y.z",
        "two parts": f"{header}.{claims}",
        "alg none": f"{_part({'alg': 'none', 'typ': 'at+jwt', 'kid': 'test'})}.{claims}.",
        "HS256 with the public key": signed({"alg": "HS256"}, secret),
        "another key under our kid": signed({}, other),
        "unknown kid": signed({"kid": "other"}),
        "kid with a path": signed({"kid": "../../../etc/passwd"}),
        "no kid": f"{_part({'alg': 'ES256', 'typ': 'at+jwt'})}.{claims}.{signature}",
        "its own key in the header": signed({"jwk": other.as_dict(private=False)}, other),
        "jku": signed({"jku": "http://127.0.0.1:1/jwks"}),
        "crit": f"{_part({**json.loads(base64.urlsafe_b64decode(header + '==')), 'crit': ['x']})}.{claims}.{signature}",
        "typ JWT": signed({"typ": "JWT"}),
        "changed claims": f"{header}.{_part({**body, 'agencies': ['*'], 'scope': 'client:admin'})}.{signature}",
        "expired": issuer.token(life_seconds=-11),
        "no exp": signed({}, content={k: v for k, v in body.items() if k != "exp"}),
        "exp as text": issuer.token(exp="9999999999"),
        "issued in the future": issuer.token(iat=int(time.time()) + 61),
        "another audience": issuer.token(audience="lgsp-internal"),
        "another issuer": issuer.token(iss="http://evil.example"),
        "no client": signed({}, content={k: v for k, v in body.items() if k != "client_id"}),
        "no jti": signed({}, content={k: v for k, v in body.items() if k != "jti"}),
        "9 kB": issuer.token(agencies=["H08." + "0" * 30] * 300),
    }


@pytest.mark.parametrize("name", _forgeries(TokenIssuer()).keys())
async def test_a_forgery_is_refused(name: str, verifier: TokenVerifier, token_issuer: TokenIssuer) -> None:
    with pytest.raises(Unauthenticated):
        await verifier.verify(_forgeries(token_issuer)[name])


async def test_a_remembered_token_ends_with_its_time(
    verifier: TokenVerifier, token_issuer: TokenIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_issuer.token(life_seconds=30)
    await verifier.verify(token)
    real = time.time
    monkeypatch.setattr("shared.auth.time.time", lambda: real() + 41)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await verifier.verify(token)


async def test_an_unknown_kid_asks_the_issuer_once_in_thirty_seconds(token_issuer: TokenIssuer) -> None:
    asked = 0

    async def fetch() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return token_issuer.jwks

    verifier = TokenVerifier(token_issuer.issuer, JwksSource(fetch))
    await verifier.verify(token_issuer.token())
    stranger = TokenIssuer(token_issuer.issuer)
    forged = jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": "new"}, {"iss": "x"}, stranger.key)
    for _ in range(20):
        with pytest.raises(Unauthenticated):
            await verifier.verify(forged)
    assert asked == 1


async def test_callers_who_come_while_the_first_keys_are_fetched_wait_for_them(token_issuer: TokenIssuer) -> None:
    asked = 0

    async def fetch() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.05)
        return token_issuer.jwks

    verifier = TokenVerifier(token_issuer.issuer, JwksSource(fetch))
    callers = await asyncio.gather(*(verifier.verify(token_issuer.token()) for _ in range(5)))
    assert (len(callers), asked) == (5, 1)


async def test_without_any_key_the_answer_is_not_401(token_issuer: TokenIssuer) -> None:
    verifier = TokenVerifier(token_issuer.issuer, JwksSource.over_http("http://127.0.0.1:9/jwks.json"))
    with pytest.raises(UpstreamUnavailable):
        await verifier.verify(token_issuer.token())


def a_caller(*agencies: str) -> Caller:
    return Caller("c", "desk", frozenset({"dossier:read"}), agencies, "lgsp-hub", "t", 0.0)


def test_a_province_covers_its_agencies_and_nothing_else() -> None:
    assert a_caller("H08").covers("H08.15")
    assert a_caller("H08").covers("H08")
    assert a_caller("*").covers("H99")
    assert not a_caller("H08.1").covers("H08.15")
    assert not a_caller("H08.15").covers("H08")
    assert not a_caller().covers("H08")
    with pytest.raises(AgencyNotPermitted):
        a_caller("H08.15").require_agency("H08.16")
    with pytest.raises(InsufficientScope):
        a_caller("H08").require_scope("dossier:write")
