"""What a token may say, and what a client may be registered for. Rules only: no keys, no clock, no database."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import FieldError, InvalidRequest

SCOPES = (
    "dossier:write",
    "dossier:read",
    "dossier:transition",
    "dossier:import",
    "catalogue:read",
    "catalogue:write",
    "citizen:verify",
    "citizen:lookup",
    "payment:write",
    "payment:read",
    "event:push",
    "sync:read",
    "sync:operate",
    "report:read",
    "client:admin",
    "audit:read",
)
"""Everything a client can be granted (api.md, OAuth 2)."""

IDENTITY_SCOPE = "openid"
"""Asked for by a client that also wants an ID token; opens no route."""

ROLES = ("portal", "desk", "ministry", "post", "operator")
AUDIENCE = "lgsp-hub"
INTERNAL_AUDIENCE = "lgsp-internal"
INTERNAL_SCOPE = "internal"
SERVICE_ROLE = "service"
ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068 §2.1, a media type and no secret
LIFE_SECONDS = 3600

_AGENCY = re.compile(r"\*|[A-Za-z0-9]{1,20}(\.[A-Za-z0-9]{1,20}){0,6}")
_NAME_LENGTH = 200
_PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
_KEY_TYPES = {"EC", "OKP", "RSA"}


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token is issued for. `subject` is the operator who signed in, or the client itself."""

    client_id: str
    subject: str
    role: str
    scopes: frozenset[str]
    agencies: tuple[str, ...]
    audience: str = AUDIENCE
    username: str | None = None
    """Of the person who signed in."""


def claims_of(grant: Grant, *, issuer: str, issued_at: int, jti: str) -> dict[str, Any]:
    """The payload of an access token (RFC 9068 §2.2 and our `role` and `agencies`); times in seconds since 1970."""
    return {
        "iss": issuer,
        "aud": grant.audience,
        "sub": grant.subject,
        "client_id": grant.client_id,
        **({"preferred_username": grant.username} if grant.username else {}),
        "scope": " ".join(sorted(grant.scopes)),
        "role": grant.role,
        "agencies": list(grant.agencies),
        "iat": issued_at,
        "exp": issued_at + LIFE_SECONDS,
        "jti": jti,
    }


def granted(asked: str | None, allowed: Collection[str]) -> frozenset[str] | None:
    """The scopes of a request: all that are allowed when it names none; None when it asks for more."""
    wanted = frozenset((asked or "").split())
    if not wanted:
        return frozenset(allowed) - {IDENTITY_SCOPE}
    return wanted if wanted <= frozenset(allowed) else None


def check_registration(
    *, name: str, role: str, scopes: Collection[str], agencies: Collection[str], jwks: Mapping[str, Any] | None
) -> None:
    """Refuse a client that could never be approved. Raises `InvalidRequest` with one error per field."""
    errors = []
    if not 0 < len(name.strip()) <= _NAME_LENGTH or any(ord(letter) < 32 for letter in name):
        errors.append(FieldError("/name", f"1 to {_NAME_LENGTH} characters"))
    if role not in ROLES:
        errors.append(FieldError("/role", "one of " + ", ".join(ROLES)))
    if unknown := set(scopes) - set(SCOPES):
        errors.append(FieldError("/scope", f"{len(unknown)} unknown scope(s)"))
    if not scopes:
        errors.append(FieldError("/scope", "at least one scope"))
    if not agencies or not all(_AGENCY.fullmatch(code) for code in agencies):
        errors.append(FieldError("/agencies", 'agency codes such as "H08.15", or "*" for all'))
    if jwks is not None and not _public_keys_only(jwks):
        errors.append(FieldError("/jwks", "a JWK set of public EC, OKP or RSA keys"))
    if errors:
        raise InvalidRequest(errors=errors)


def _public_keys_only(jwks: Mapping[str, Any]) -> bool:
    keys = jwks.get("keys")
    return (
        isinstance(keys, list)
        and 0 < len(keys) <= 10
        and all(
            isinstance(key, dict) and key.get("kty") in _KEY_TYPES and not _PRIVATE_MEMBERS & key.keys() for key in keys
        )
    )
