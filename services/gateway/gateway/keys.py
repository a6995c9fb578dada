"""The keys that sign tokens, and the services' public keys. The first private key signs; all of them are published."""

import json
from hashlib import blake2b
from pathlib import Path
from typing import Any

from joserfc import jwk, jwt
from joserfc.jwk import ECKey, KeySet, OKPKey

from gateway import token

ALGORITHMS = ["ES256", "EdDSA"]


class Keys:
    """Signs in memory (ES256 or EdDSA)."""

    def __init__(self, private_jwks: dict[str, Any], issuer: str) -> None:
        self.issuer = issuer
        self._keys = {_kid(key): key for key in KeySet.import_key_set(private_jwks)}  # type: ignore[arg-type]  # read from JSON
        if not self._keys:
            raise ValueError("the signing keys file holds no key")
        self._signer_id, self._signer = next(iter(self._keys.items()))

    @classmethod
    def from_file(cls, path: Path, issuer: str) -> "Keys":
        """Read a private JWK set."""
        return cls(json.loads(path.read_text()), issuer)

    def sign(self, claims: dict[str, Any], typ: str = token.ACCESS_TOKEN_TYPE) -> str:
        """A compact JWS by the first key."""
        header = {"alg": _algorithm(self._signer), "kid": self._signer_id, "typ": typ}
        return jwt.encode(header, claims, self._signer, algorithms=ALGORITHMS)

    def public(self) -> dict[str, Any]:
        """The JWK set for everybody."""
        return {
            "keys": [
                {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": _algorithm(key)}
                for kid, key in self._keys.items()
            ]
        }

    def derived(self, use: str) -> bytes:
        """A symmetric key for another use, derived from the signer: every process has the same."""
        secret = json.dumps(self._signer.as_dict(private=True), sort_keys=True).encode()
        return blake2b(secret, person=use.encode()[:16], digest_size=32).digest()


def _kid(key: jwk.Key) -> str:
    return key.kid or key.thumbprint()


def _algorithm(key: jwk.Key) -> str:
    if isinstance(key, ECKey) and key.curve_name == "P-256":
        return "ES256"
    if isinstance(key, OKPKey) and key.curve_name == "Ed25519":
        return "EdDSA"
    raise ValueError("signing keys are EC P-256 or OKP Ed25519")


def service_keys(path: Path) -> dict[str, dict[str, Any]]:
    """`{client_id: public JWK}` of the hub's own services."""
    keys: dict[str, dict[str, Any]] = json.loads(path.read_text())
    return keys
