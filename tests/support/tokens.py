"""Access tokens as the gateway issues them, for tests of a service without a gateway."""

import time
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey

ISSUER = "http://127.0.0.1:8080"
AUDIENCE = "lgsp-hub"
INTERNAL = "lgsp-internal"


class TokenIssuer:
    """A signing key of the test's own, the tokens it signs and the key set that verifies them."""

    def __init__(self, issuer: str = ISSUER, kid: str = "test") -> None:
        """A fresh ES256 key."""
        self.issuer = issuer
        self.kid = kid
        self.key = ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256", "use": "sig"})

    @property
    def jwks(self) -> dict[str, Any]:
        """The public key set, as `/.well-known/jwks.json` answers it."""
        return {"keys": [self.key.as_dict(private=False)]}

    def token(
        self,
        *,
        role: str = "desk",
        scopes: Iterable[str] | str = (),
        agencies: Iterable[str] = ("*",),
        client_id: str = "test-client",
        audience: str = AUDIENCE,
        life_seconds: int = 600,
        **claims: Any,
    ) -> str:
        """A signed token; `life_seconds` may be negative for one that has expired, `claims` override all."""
        now = int(time.time())
        scope = scopes if isinstance(scopes, str) else " ".join(scopes)
        body = {
            "iss": self.issuer,
            "aud": audience,
            "sub": client_id,
            "client_id": client_id,
            "scope": scope,
            "role": role,
            "agencies": list(agencies),
            "iat": now,
            "exp": now + life_seconds,
            "jti": uuid4().hex,
            **claims,
        }
        return jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": self.kid}, body, self.key)

    def headers(self, **arguments: Any) -> dict[str, str]:
        """The Authorization header of `token(…)`."""
        return {"Authorization": f"Bearer {self.token(**arguments)}"}

    def internal_headers(self, client_id: str = "sync-national") -> dict[str, str]:
        """The Authorization header of another service, which opens `/internal/*` only."""
        return self.headers(client_id=client_id, audience=INTERNAL, role="service", agencies=("*",))

    async def internal_authorization(self) -> dict[str, str]:
        """The same, for whoever asks for it anew before each call."""
        return self.internal_headers()
