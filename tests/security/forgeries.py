"""Tokens that must not open anything, made with everything an attacker could have, the true key included (row 29)."""

import base64
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from joserfc.jws import JWSRegistry

from gateway.token import SCOPES

_LAX = JWSRegistry(algorithms=["ES256", "ES384", "HS256", "RS256"], strict_check_header=False)


def part(content: Any) -> str:
    """One part of a compact token."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Smith:
    """Holds the issuer's own signing key: what it makes is wrong in one point each, and in no other."""

    def __init__(self, keys_file: Path, issuer: str, audience: str) -> None:
        self.public = ECKey.import_key(json.loads(keys_file.read_text())["keys"][0]).as_dict(private=False)
        self._key = ECKey.import_key(json.loads(keys_file.read_text())["keys"][0])
        self.kid = str(self.public["kid"])
        self._issuer, self._audience = issuer, audience
        self._header = {"alg": "ES256", "typ": "at+jwt", "kid": self.public["kid"]}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Of a token that would open everything; a claim given as None is left out."""
        now = int(time.time())
        right = {
            "iss": self._issuer, "aud": self._audience, "sub": "smith", "client_id": "smith", "role": "operator",
            "scope": " ".join(SCOPES), "agencies": ["*"], "iat": now, "exp": now + 600, "jti": uuid4().hex,
        }  # fmt: skip
        return {name: value for name, value in (right | changes).items() if value is not None}

    def signed(self, header: Mapping[str, Any] | None = None, key: Any = None, **claims: Any) -> str:
        """A token with this header and these claims, by the true key or another."""
        told = {name: value for name, value in (self._header | dict(header or {})).items() if value is not None}
        if told.get("alg") != "ES256":
            return jwt.encode(told, self.claims(**claims), key, registry=_LAX)
        # By hand: no library signs every header that an attacker can write.
        text = f"{part(told)}.{part(self.claims(**claims))}"
        private = (key or self._key).private_key
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(private.sign(text.encode(), ec.ECDSA(SHA256())))
        return f"{text}.{part(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def by_hand(self, header: Any, claims: Any, signature: str = "") -> str:
        """A token whose parts are written out."""
        return f"{part(header)}.{part(claims)}.{signature}"

    def forgeries(self) -> dict[str, str]:
        """Each under the name of what is wrong with it."""
        return self._of_algorithm() | self._of_header() | self._of_claims() | self._of_form()

    def _of_algorithm(self) -> dict[str, str]:
        good = self.signed()
        body, signature = good.split(".")[1:]
        pem = self._key.as_pem(private=False)
        rsa = RSAKey.generate_key(2048, {"kid": self.kid})
        none = {"typ": "at+jwt", "kid": self.public["kid"]}
        return {
            **{
                f"alg {name}": self.by_hand(none | {"alg": name}, self.claims())
                for name in ("none", "None", "NONE", "")
            },
            "alg none with the true signature": f"{part(none | {'alg': 'none'})}.{body}.{signature}",
            "HS256 with the public key's JWK": self.signed(
                {"alg": "HS256"}, OctKey.import_key(json.dumps(self.public, sort_keys=True))
            ),
            "HS256 with the public key's PEM": self.signed({"alg": "HS256"}, OctKey.import_key(pem.hex())),
            "HS256 with an empty key's bytes": self.signed({"alg": "HS256"}, OctKey.import_key("0" * 32)),
            "RS256 under our kid": self.signed({"alg": "RS256"}, rsa),
            "a list of algorithms": self.by_hand(self._header | {"alg": ["ES256", "none"]}, self.claims(), signature),
            "no alg": self.by_hand({**none}, self.claims(), signature),
            "another curve": self.signed({"alg": "ES384"}, ECKey.generate_key("P-384", {"kid": self.kid})),
            "no signature": f"{part(self._header)}.{body}.",
            "a signature of zeros": f"{part(self._header)}.{body}.{part(bytes(64))}",
            "a DER signature": f"{part(self._header)}.{body}.{part(bytes([0x30, 6, 2, 1, 1, 2, 1, 1]))}",
        }

    def _of_header(self) -> dict[str, str]:
        other = ECKey.generate_key("P-256", {"kid": "other"})
        mine = other.as_dict(private=False)
        true: dict[str, dict[str, Any]] = {
            "jwk": {"jwk": self.public}, "jku": {"jku": f"{self._issuer}/.well-known/jwks.json"},
            "x5u": {"x5u": f"{self._issuer}/x"}, "x5c": {"x5c": ["MIIB"]}, "crit": {"crit": ["exp"], "exp": 1},
            "b64": {"b64": False, "crit": ["b64"]},
        }  # fmt: skip
        return {
            **{f"{name} even with the true key": self.signed(extra) for name, extra in true.items() if name != "b64"},
            "b64 false": self.by_hand(self._header | true["b64"], self.claims(), "AAAA"),
            "its own jwk": self.signed({"jwk": mine}, other),
            "its own jku": self.signed({"jku": "http://127.0.0.1:1/jwks.json", "kid": "other"}, other),
            "another key under our kid": self.signed({}, other),
            "unknown kid": self.signed({"kid": "other"}),
            "no kid": self.signed({"kid": None}),
            **{
                f"kid {kid!r}": self.signed({"kid": kid})
                for kid in ("../../../../dev/null", "' OR '1'='1", "x\u0000", "http://127.0.0.1:1/", "a" * 4000)
            },
            "kid a number": self.by_hand(self._header | {"kid": 1}, self.claims(), "AAAA"),
            **{f"typ {typ!r}": self.signed({"typ": typ}) for typ in ("JWT", "at+JWT ", "jwt", "logout+jwt", None)},
        }

    def _of_claims(self) -> dict[str, str]:
        now = int(time.time())
        return {
            "expired": self.signed(exp=now - 60, iat=now - 660),
            "expired eleven seconds ago": self.signed(exp=now - 11, iat=now - 600),
            "no exp": self.signed(exp=None),
            "exp as text": self.signed(exp=str(now + 600)),
            "exp as a fraction": self.signed(exp=now + 600.5),
            "exp true": self.signed(exp=True),
            "nbf ahead": self.signed(nbf=now + 120),
            "nbf as text": self.signed(nbf="soon"),
            "issued in the future": self.signed(iat=now + 120),
            "no iat": self.signed(iat=None),
            "another issuer": self.signed(iss="http://evil.example"),
            "the issuer with a slash": self.signed(iss=f"{self._issuer}/"),
            "no issuer": self.signed(iss=None),
            "another audience": self.signed(aud="lgsp-sandbox"),
            "an audience of other case": self.signed(aud=self._audience.upper()),
            "no audience": self.signed(aud=None),
            "an audience that only contains ours": self.signed(aud=f"x{self._audience}x"),
            "no client": self.signed(client_id=None),
            "no subject": self.signed(sub=None),
            "no jti": self.signed(jti=None),
            "agencies a number": self.signed(agencies=5),
            "claims a list": self.by_hand(self._header, [1, 2], "AAAA"),
            "changed claims": self._changed(),
        }

    def _changed(self) -> str:
        header, _, signature = self.signed(scope="dossier:read", agencies=["H08.15"]).split(".")
        return f"{header}.{part(self.claims())}.{signature}"

    def _of_form(self) -> dict[str, str]:
        good = self.signed()
        header, body, signature = good.split(".")
        twice = part(b'{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"%s"}' % str(self.public["kid"]).encode())
        return {
            "garbage": "x",
            "three dots": "...",
            "two parts": f"{header}.{body}",
            "five parts (an encrypted token)": f"{good}.x.y",
            "not base64": f"{header}.{body}.!!!!",
            "padded": f"{header}=.{body}.{signature}",
            "a header that is no JSON": f"{part(b'{')}.{body}.{signature}",
            "a header nested deep": f"{part(b'[' * 3000)}.{body}.{signature}",
            "a header with alg twice": f"{twice}.{body}.{signature}",
            "9 kB": self.signed(agencies=["H08." + "0" * 30] * 250),
            "a letter more": good + "A",
            "a letter changed": good[:-20] + ("A" if good[-20] != "A" else "B") + good[-19:],
        }
