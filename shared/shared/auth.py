"""Access tokens (RFC 9068): verified again in every service, remembered while they hold.

joserfc's `decode` checks neither expiry nor the claims, so they are checked here; the algorithm list is fixed, and
headers that bring keys of their own (`jwk`, `jku`, `x5u`) are refused.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import uuid_utils
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key
from joserfc.jws import extract_compact

from shared import strict_json
from shared.agency_codes import canonical, covers
from shared.errors import (
    AgencyNotPermitted,
    HubError,
    InsufficientScope,
    Unauthenticated,
    UpstreamUnavailable,
)
from shared.revocations import Revocations

ALGORITHMS = ["ES256", "EdDSA"]
HUB_AUDIENCE = "lgsp-hub"
INTERNAL_AUDIENCE = "lgsp-internal"
MAX_TOKEN_BYTES = 8192
_CLOCK_SKEW_SECONDS = 10
_CACHE_SIZE = 10_000
_REFRESH_SECONDS = 30.0
_KEYS_SECONDS = 300.0
_KEY_HEADERS = {"jwk", "jku", "x5u", "x5c", "crit"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: what the token says, and nothing a header claims."""

    client_id: str
    role: str
    scopes: frozenset[str]
    agencies: tuple[str, ...]
    audience: str
    token_id: str
    expires_at: float
    issued_at: float = 0.0
    subject: str = ""
    """The person who signed in, or the client itself; for the gateway's exchange log."""
    username: str | None = None
    """What the person signs in as."""

    @property
    def name(self) -> str:
        """Who acts, as records name them: the person, else the client."""
        return self.username or self.client_id

    def covers(self, agency_code: str) -> bool:
        """Whether this agency is one of the caller's, or below one of them."""
        return covers(self.agencies, agency_code)

    def require_agency(self, agency_code: str) -> None:
        """Raises `AgencyNotPermitted`."""
        if not self.covers(agency_code):
            raise AgencyNotPermitted

    def require_scope(self, scope: str) -> None:
        """Raises `InsufficientScope` (RFC 6750 §3.1)."""
        if scope not in self.scopes:
            challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
            raise InsufficientScope(headers={"WWW-Authenticate": challenge}, scope=scope)


class JwksSource:
    """The issuer's public keys: fetched when first needed, again for an unknown `kid` (once per 30 s), and when the
    copy is five minutes old: a key may have been taken back.
    """

    def __init__(self, fetch: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        self._fetch = fetch
        self._keys: dict[str, Key] = {}
        self._fetched_at = float("-inf")
        self._lock = asyncio.Lock()
        self.taken_back = 0
        """How often keys have been taken back: what was believed for their sake no longer is."""

    @classmethod
    def over_http(cls, url: str) -> "JwksSource":
        """From the gateway's `/.well-known/jwks.json`."""

        async def fetch() -> dict[str, Any]:
            async with httpx2.AsyncClient(timeout=2.0, trust_env=False) as client:
                document: dict[str, Any] = strict_json.loads((await client.get(url)).content)
                return document

        return cls(fetch)

    @classmethod
    def of(cls, document: dict[str, Any]) -> "JwksSource":
        """From a document in memory (the gateway's own keys; tests)."""

        async def fetch() -> dict[str, Any]:
            return document

        return cls(fetch)

    async def key(self, kid: str) -> Key:
        """The key of this id. Raises `Unauthenticated`, or `UpstreamUnavailable` when no key was ever got."""
        if kid not in self._keys or self._is_due(kid):  # an unknown one may be on its way: wait for who asks just now
            async with self._lock:
                if self._is_due(kid):
                    await self._refresh()
        if kid not in self._keys:
            raise Unauthenticated(internal="unknown kid")
        return self._keys[kid]

    def _is_due(self, kid: str) -> bool:
        pause = _KEYS_SECONDS if kid in self._keys else _REFRESH_SECONDS if self._keys else 0.2
        return time.monotonic() - self._fetched_at > pause

    async def _refresh(self) -> None:
        self._fetched_at = time.monotonic()
        try:
            document = await self._fetch()
            keys = {key["kid"]: JWKRegistry.import_key(key) for key in document["keys"]}
        except (httpx2.HTTPError, HubError, JoseError, KeyError, TypeError, ValueError) as fault:
            if self._keys:
                return  # the keys we have still hold; asked again later
            raise UpstreamUnavailable("The issuer's keys are not available", internal=repr(fault)) from fault
        self.taken_back += bool(self._keys.keys() - keys.keys())
        self._keys = keys


class TokenVerifier:
    """Checks a bearer token against issuer, audience, time and revocations; remembers the good ones."""

    def __init__(
        self,
        issuer: str,
        jwks: JwksSource,
        *,
        audience: str = HUB_AUDIENCE,
        revocations: Revocations | None = None,
    ) -> None:
        """`revocations`: None where nothing is revoked (services' own tokens)."""
        self._issuer = issuer
        self._jwks = jwks
        self._audience = audience
        self._revocations = revocations
        self._verified: dict[str, Caller] = {}
        self._taken_back = 0
        self.widen: Callable[[Caller], Caller] | None = None
        """What a service knows besides of whose dossiers the caller has (agencies that his succeeded)."""

    async def verify(self, token: str) -> Caller:
        """The caller. Raises `Unauthenticated`."""
        caller = await self._believed(token)
        if self._revocations is not None:
            if self._revocations.hits(caller.client_id, caller.token_id, caller.issued_at):
                raise _refused("revoked")
            if self._revocations.is_stale():
                raise _refused("revocations unknown")
        return caller if self.widen is None else self.widen(caller)

    async def _believed(self, token: str) -> Caller:
        if self._taken_back != self._jwks.taken_back:
            self._verified.clear()
            self._taken_back = self._jwks.taken_back
        known = self._verified.get(token)
        if known is not None:
            if known.expires_at + _CLOCK_SKEW_SECONDS > time.time():
                return known
            del self._verified[token]
            raise _refused("expired")
        caller = await self._check(token)
        if len(self._verified) >= _CACHE_SIZE:
            self._verified.clear()
        self._verified[token] = caller
        return caller

    async def _check(self, token: str) -> Caller:
        if len(token) > MAX_TOKEN_BYTES:
            raise _refused("too long")
        try:
            header = extract_compact(token.encode()).headers()
            if header.get("alg") not in ALGORITHMS or header.get("typ") != "at+jwt" or _KEY_HEADERS & set(header):
                raise _refused("header")
            kid = header.get("kid")
            if not isinstance(kid, str):
                raise _refused("no kid")
            decoded = jwt.decode(token, await self._jwks.key(kid), algorithms=ALGORITHMS)
            return self._caller(decoded.claims)
        except (JoseError, KeyError, TypeError, ValueError) as fault:
            raise _refused(type(fault).__name__) from fault

    def _caller(self, claims: dict[str, Any]) -> Caller:
        audience = claims["aud"]
        audiences = audience if isinstance(audience, list) else [audience]
        present = time.time()
        if claims["iss"] != self._issuer or self._audience not in audiences:
            raise _refused("issuer or audience")
        if not isinstance(claims["exp"], int) or claims["exp"] + _CLOCK_SKEW_SECONDS <= present:
            raise _refused("expired")
        if claims.get("nbf", claims["iat"]) > present + _CLOCK_SKEW_SECONDS:
            raise _refused("not yet valid")
        return Caller(
            client_id=str(claims["client_id"]),
            role=str(claims.get("role", "")),
            scopes=frozenset(str(claims.get("scope", "")).split()),
            agencies=tuple(canonical(str(code)) for code in claims.get("agencies", ())),
            audience=self._audience,
            token_id=str(claims["jti"]),
            expires_at=float(claims["exp"]),
            issued_at=float(claims["iat"]),
            subject=str(claims["sub"]),
            username=str(claims["preferred_username"]) if "preferred_username" in claims else None,
        )


class InternalToken:
    """A service's own token (private_key_jwt, RFC 7523) for `/internal/*` of its neighbours."""

    def __init__(self, gateway_url: str, key_file: Path) -> None:
        document = strict_json.loads(key_file.read_bytes())
        self._key = JWKRegistry.import_key(document)
        self._client_id = str(document.get("client_id") or document["kid"])
        self._kid = str(document["kid"])
        self._endpoint = f"{gateway_url}/oauth/token"
        self._token = ""
        self._renew_at = 0.0
        self._lock = asyncio.Lock()

    async def header(self) -> dict[str, str]:
        """`Authorization` for an internal call. Raises `UpstreamUnavailable`."""
        async with self._lock:
            if time.monotonic() >= self._renew_at:
                await self._renew()
        return {"authorization": f"Bearer {self._token}"}

    async def _renew(self) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self._assertion(),
        }
        try:
            async with httpx2.AsyncClient(timeout=5.0, trust_env=False) as client:
                response = await client.post(self._endpoint, data=form)
            answer = strict_json.loads(response.content)
            self._token = answer["access_token"]
        except (httpx2.HTTPError, HubError, KeyError, TypeError) as fault:
            raise UpstreamUnavailable("No internal token", internal=repr(fault)) from fault
        self._renew_at = time.monotonic() + max(1.0, float(answer["expires_in"]) * 0.8)

    def _assertion(self) -> str:
        present = int(time.time())
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": self._endpoint,
            "iat": present,
            "exp": present + 60,
            "jti": str(uuid_utils.uuid7()),
        }
        return jwt.encode({"alg": "ES256", "kid": self._kid}, claims, self._key)


def _refused(reason: str) -> Unauthenticated:
    return Unauthenticated(headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}, internal=reason)
