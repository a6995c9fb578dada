"""Issuing, introspecting and revoking tokens: which client may have which token.

| grant | client | token |
|---|---|---|
| client_credentials | approved, by secret or private_key_jwt | its role, agencies and (asked) scopes, aud lgsp-hub |
| client_credentials | a service of ours, by private_key_jwt | aud lgsp-internal: opens `/internal/*` only |
| authorization_code, PKCE S256 | with this exact redirect URI | the operator's, never beyond the client's scopes |
"""

import hashlib
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from authlib.oauth2.rfc6749 import InvalidRequestError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, ClientCredentialsGrant
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from gateway import store_clients, token
from gateway.client_auth import CLIENT_METHODS, Assertion, Registered
from gateway.keys import Keys
from gateway.oauth import FormRequest, ServerCore, now
from gateway.store_clients import Client, Operator
from gateway.token import Grant
from shared.auth import Caller, TokenVerifier
from shared.db import Transaction
from shared.errors import Unauthenticated
from shared.events import new_id

CODE_SECONDS = 60


def code_digest(code: str) -> bytes:
    """What is kept of an authorization code."""
    return hashlib.sha256(code.encode()).digest()


class _Credentials(ClientCredentialsGrant):  # type: ignore[misc]  # authlib has no types
    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_METHODS

    def validate_requested_scope(self) -> None:
        if self.request.client.get_allowed_scope(self.request.payload.scope) is None:
            raise InvalidScopeError("The client may not have this scope")


class _Code(AuthorizationCodeGrant):  # type: ignore[misc]  # authlib has no types
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = [*CLIENT_METHODS, "none"]

    def validate_requested_scope(self) -> None:
        """Done against the client by `get_allowed_scope`."""

    def generate_authorization_code(self) -> str:
        return secrets.token_urlsafe(32)

    def save_authorization_code(self, code: str, request: FormRequest) -> None:
        parameters = request.form
        kept = {
            "client_id": request.client.client_id,
            "username": request.user.username,
            "redirect_uri": parameters["redirect_uri"],
            "scope": request.scope,
            "nonce": parameters.get("nonce"),
            "code_challenge": parameters["code_challenge"],
        }
        now(store_clients.add_code(self.server.tx, code_digest(code), kept, CODE_SECONDS))

    def query_authorization_code(self, code: str, client: Registered) -> "_KeptCode | None":
        """Uses the code up, whatever comes after: a second try is always refused, and ends the first token."""
        tx, digest = self.server.tx, code_digest(code)
        row = now(store_clients.use_code(tx, digest, self.server.jti))
        if row is None:
            spent = now(store_clients.token_of_used_code(tx, digest))
            if spent:
                now(store_clients.revoke(tx, spent, datetime.fromtimestamp(time.time() + token.LIFE_SECONDS, UTC)))
            return None
        return _KeptCode(row) if row["client_id"] == client.client_id else None

    def delete_authorization_code(self, authorization_code: "_KeptCode") -> None:
        """Used up already."""

    def authenticate_user(self, authorization_code: "_KeptCode") -> Operator | None:
        self.server.nonce = authorization_code.row["nonce"]
        return now(store_clients.operator(self.server.tx, authorization_code.row["username"]))


class _KeptCode:
    def __init__(self, row: Mapping[str, Any]) -> None:
        self.row = row
        self.code_challenge = row["code_challenge"]
        self.code_challenge_method = "S256"

    def get_redirect_uri(self) -> str:
        return str(self.row["redirect_uri"])

    def get_scope(self) -> str:
        return str(self.row["scope"])


class _S256(CodeChallenge):  # type: ignore[misc]  # authlib has no types
    SUPPORTED_CODE_CHALLENGE_METHOD: ClassVar = ["S256"]

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        parameters = grant.request.form
        if "code_challenge" not in parameters or parameters.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE with S256 is required")
        super().validate_code_challenge(grant, redirect_uri)


class _Revocation(RevocationEndpoint):  # type: ignore[misc]  # authlib has no types
    CLIENT_AUTH_METHODS: ClassVar = [*CLIENT_METHODS, "none"]

    def query_token(self, text: str, _hint: str | None) -> "_Issued | None":
        server: Server = self.server
        return now(server.issued(text))

    def revoke_token(self, issued: "_Issued", _request: FormRequest) -> None:
        caller = issued.caller
        now(store_clients.revoke(self.server.tx, caller.token_id, datetime.fromtimestamp(caller.expires_at, UTC)))


class _Introspection(IntrospectionEndpoint):  # type: ignore[misc]  # authlib has no types
    CLIENT_AUTH_METHODS = CLIENT_METHODS

    def query_token(self, text: str, _hint: str | None) -> "_Issued | None":
        server: Server = self.server
        return now(server.issued(text))

    def check_permission(self, issued: "_Issued", client: Registered, _request: FormRequest) -> bool:
        """A client asks about its own tokens; operators' clients about all."""
        return issued.check_client(client) or client.client.role == "operator"

    def introspect_token(self, issued: "_Issued") -> dict[str, Any]:
        caller = issued.caller
        return {
            "active": True,
            "token_type": "Bearer",
            "iss": self.server.keys.issuer,
            "aud": caller.audience,
            "client_id": caller.client_id,
            "sub": caller.subject,
            "scope": " ".join(sorted(caller.scopes)),
            "role": caller.role,
            "agencies": list(caller.agencies),
            "jti": caller.token_id,
            "iat": int(caller.issued_at),
            "exp": int(caller.expires_at),
        }


class _Issued:
    """A token that verifies."""

    def __init__(self, caller: Caller, is_revoked: bool) -> None:
        self.caller = caller
        self._is_revoked = is_revoked

    def check_client(self, client: Registered) -> bool:
        return client.client_id == self.caller.client_id

    def is_expired(self) -> bool:
        return self.caller.expires_at <= time.time()

    def is_revoked(self) -> bool:
        return self._is_revoked


class Server(ServerCore):
    """The authorization server for one request, in that request's transaction."""

    def __init__(
        self, tx: Transaction, keys: Keys, verifier: TokenVerifier, services: Mapping[str, Mapping[str, Any]]
    ) -> None:
        super().__init__()
        self.tx = tx
        self.keys = keys
        self.jti = new_id()
        self.nonce: str | None = None
        self._verifier = verifier
        self._services = services
        self.register_client_auth_method("private_key_jwt", Assertion(keys.issuer, self._first_use))
        self.register_grant(_Credentials)
        self.register_grant(_Code, [_S256(required=True)])
        self.register_endpoint(_Introspection)
        self.register_endpoint(_Revocation)
        self.register_token_generator("default", self._token)

    def query_client(self, client_id: str) -> Registered | None:
        """A registered client (of any state), or one of our services."""
        if client_id in self._services:
            return Registered(_service(client_id, self._services[client_id]), is_service=True)
        # RFC 6749 A.1: visible ASCII; what an assertion or Basic credentials name could be anything.
        known = client_id.isascii() and client_id.isprintable()
        client = now(store_clients.client(self.tx, client_id)) if known else None
        return Registered(client) if client else None

    async def _first_use(self, client_id: str, jti: str, until: datetime) -> bool:
        return await store_clients.first_use(self.tx, client_id, jti, until)

    async def issued(self, text: str) -> _Issued | None:
        """The token in `text`, if it is one of ours that holds."""
        try:
            caller = await self._verifier.verify(text)
        except Unauthenticated:
            return None
        tokens, clients = await store_clients.revoked(self.tx)
        return _Issued(caller, caller.token_id in tokens or caller.issued_at < clients.get(caller.client_id, 0.0))

    def _token(
        self, client: Registered, user: Operator | None = None, scope: str | None = None, **_: Any
    ) -> dict[str, Any]:
        grant = _grant(client, user, scope)
        issued_at = int(time.time())
        claims = token.claims_of(grant, issuer=self.keys.issuer, issued_at=issued_at, jti=self.jti)
        answer = {
            "access_token": self.keys.sign(claims),
            "token_type": "Bearer",
            "expires_in": token.LIFE_SECONDS,
            "scope": claims["scope"],
        }
        if user is not None and token.IDENTITY_SCOPE in (scope or "").split():
            answer["id_token"] = self.keys.sign(self._identity(client, user, issued_at), typ="JWT")
        return answer

    def _identity(self, client: Registered, user: Operator, issued_at: int) -> dict[str, Any]:
        """OpenID Connect Core §2."""
        claims = {
            "iss": self.keys.issuer,
            "sub": user.subject,
            "aud": client.client_id,
            "iat": issued_at,
            "exp": issued_at + token.LIFE_SECONDS,
            "name": user.full_name,
            "preferred_username": user.username,
        }
        return claims | ({"nonce": self.nonce} if self.nonce else {})


def _service(client_id: str, jwk: Mapping[str, Any]) -> Client:
    return Client(
        client_id=client_id,
        name=client_id,
        role=token.SERVICE_ROLE,
        scopes=(token.INTERNAL_SCOPE,),
        agencies=("*",),
        state="active",
        is_public=False,
        redirect_uris=(),
        jwks={"keys": [dict(jwk)]},
        created_at=datetime.fromtimestamp(0, UTC),
        approved_at=None,
    )


def _grant(client: Registered, user: Operator | None, scope: str | None) -> Grant:
    kept = client.client
    scopes = frozenset((client.get_allowed_scope(scope) or "").split()) - {token.IDENTITY_SCOPE}
    if user is not None:
        allowed = scopes & frozenset(user.scopes)
        return Grant(kept.client_id, user.subject, "operator", allowed, user.agencies, username=user.username)
    audience = token.INTERNAL_AUDIENCE if client.is_service else token.AUDIENCE
    return Grant(kept.client_id, kept.client_id, kept.role, scopes, kept.agencies, audience)
