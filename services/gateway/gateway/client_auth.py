"""Who a client is: its secrets, its keys, and what it may ask for, as authlib's server core asks about it."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from authlib.oauth2.rfc6749 import InvalidClientError
from authlib.oauth2.rfc6749.models import ClientMixin
from authlib.oauth2.rfc7523.client import JWTBearerClientAssertion
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gateway import token
from gateway.oauth import now
from gateway.store_clients import Client

ASSERTION_ALGORITHMS = ["ES256", "EdDSA", "ES384", "PS256", "RS256"]
SECRET_METHODS = ["client_secret_basic", "client_secret_post"]
CLIENT_METHODS = [*SECRET_METHODS, "private_key_jwt"]
_ASSERTION_SECONDS = 600
_CLOCK_SECONDS = 10
"""How far a client's clock may be off."""

FirstUse = Callable[[str, str, datetime], Awaitable[bool]]
"""Whether (client, jti, until) is used for the first time."""


def secret_digest(salt: bytes, secret: str) -> bytes:
    """Keyed digest of a generated secret: 256 bits of chance need no slow hash."""
    return hashlib.blake2b(secret.encode(), key=salt, digest_size=32).digest()


def new_secret() -> tuple[str, bytes, bytes]:
    """A client secret (shown once), its salt and its digest (kept)."""
    secret, salt = secrets.token_urlsafe(32), secrets.token_bytes(32)
    return secret, salt, secret_digest(salt, secret)


class Registered(ClientMixin):  # type: ignore[misc]  # authlib has no types
    """A client as authlib asks about it."""

    def __init__(self, client: Client, *, is_service: bool = False) -> None:
        self.client = client
        self.client_id = client.client_id
        self.is_service = is_service

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """None: the URI is always named, and compared exactly."""

    def get_allowed_scope(self, scope: str | None) -> str | None:
        allowed = (*self.client.scopes, token.IDENTITY_SCOPE) if self.client.redirect_uris else self.client.scopes
        granted = token.granted(scope, allowed)
        return None if granted is None else " ".join(sorted(granted))

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.client.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        matches = [
            hmac.compare_digest(secret_digest(salt, client_secret), digest) for salt, digest in self.client.secrets
        ]
        return any(matches)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002 - authlib's signature
        if method == "none":
            return self.client.is_public
        if method == "private_key_jwt":
            return self.client.jwks is not None
        return bool(self.client.secrets)

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and bool(self.client.redirect_uris)

    def check_grant_type(self, grant_type: str) -> bool:
        if self.client.state != "active":
            return False
        if grant_type == "authorization_code":
            return bool(self.client.redirect_uris)
        return grant_type == "client_credentials" and not self.client.is_public


class Assertion(JWTBearerClientAssertion):  # type: ignore[misc]  # authlib has no types
    """private_key_jwt (RFC 7523) with a fixed list of algorithms, one use, and a short life."""

    CLIENT_AUTH_METHOD = "private_key_jwt"

    def __init__(self, issuer: str, first_use: FirstUse) -> None:
        super().__init__(leeway=_CLOCK_SECONDS)
        self._issuer = issuer
        self._first_use = first_use

    def get_audiences(self) -> list[str]:
        return [self._issuer, f"{self._issuer}/oauth/token"]

    def resolve_client_public_key(self, client: Registered) -> KeySet:
        if client.client.jwks is None:
            raise InvalidClientError
        try:
            return KeySet.import_key_set(client.client.jwks)  # type: ignore[arg-type]  # checked at registration
        except (JoseError, KeyError, ValueError) as fault:
            raise InvalidClientError from fault

    def process_assertion_claims(self, assertion: str, resolve_key: KeySet) -> Any:
        try:
            decoded = jwt.decode(assertion, resolve_key, algorithms=ASSERTION_ALGORITHMS)
        except (JoseError, ValueError) as fault:
            raise InvalidClientError from fault
        self.verify_claims(decoded.claims)
        return decoded.claims

    def validate_jti(self, claims: Mapping[str, Any], jti: Any) -> bool:
        expires_at = claims["exp"]
        if not isinstance(jti, str) or not 0 < len(jti) <= 255 or not jti.isprintable():
            return False
        if expires_at > time.time() + _ASSERTION_SECONDS:
            return False
        moment = datetime.fromtimestamp(expires_at, UTC)
        return now(self._first_use(claims["sub"], jti, moment))
