"""Operators sign in at the gateway: authorization code with PKCE S256 (RFC 7636), the console a public client.

```
/console/sign-in ─▶ /oauth/authorize (form, password) ─▶ /console/callback?code&state ─▶ POST /oauth/token
```
`state` and the verifier wait in a sealed cookie of ten minutes; the token lives in a sealed session cookie as long
as it holds. Nothing is kept on the server, so any copy of the console can answer.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from console.cookie import Cookies
from shared import strict_json
from shared.errors import Forbidden, HubError, UpstreamInvalid
from shared.http import Peer

SCOPE = "openid sync:read sync:operate report:read audit:read dossier:read payment:read"
HOME = "/console"
ATTEMPT_COOKIE, SESSION_COOKIE = "hub_console_sign_in", "hub_console"
ATTEMPT_SECONDS = 600
_LONGEST_RETURN = 1500


class SignInFailed(Forbidden):
    """The gateway refused, or the answer does not belong to a sign-in begun in this browser."""

    code, title = "sign_in_failed", "Đăng nhập không thành công"


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in operator: the access token, sealed in the browser's cookie."""

    cookie: str
    life_seconds: int
    return_to: str


class SigningIn:
    """The console as an OAuth client of the gateway."""

    def __init__(self, gateway: Peer, cookies: Cookies, public_url: str, client_id: str) -> None:
        self._gateway = gateway
        self._cookies = cookies
        self._public_url = public_url
        self._client_id = client_id

    @property
    def _redirect_uri(self) -> str:
        return f"{self._public_url}{HOME}/callback"

    def begin(self, return_to: str) -> tuple[str, str]:
        """Where to send the browser, and the cookie that must come back with it."""
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        attempt = {"state": state, "verifier": verifier, "return_to": inside(return_to)}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        question = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "scope": SCOPE,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        cookie = self._cookies.seal(ATTEMPT_COOKIE, attempt, ATTEMPT_SECONDS)
        return f"{self._public_url}/oauth/authorize?{urlencode(question)}", cookie

    async def finish(self, attempt_cookie: str | None, state: str, code: str) -> Session:
        """Exchange the code. Raises `SignInFailed`, or an upstream error when the gateway is away."""
        attempt = self._cookies.open(ATTEMPT_COOKIE, attempt_cookie)
        if attempt is None or not hmac.compare_digest(attempt["state"].encode(), state.encode()):
            raise SignInFailed("Phiên đăng nhập đã hết hạn hoặc không bắt đầu từ trình duyệt này")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "client_id": self._client_id,
            "code_verifier": attempt["verifier"],
        }
        answer = await self._gateway.send(
            "POST",
            "/oauth/token",
            content=urlencode(form).encode(),
            headers={"content-type": "application/x-www-form-urlencoded", "accept": "application/json"},
        )
        if answer.status != 200:
            raise SignInFailed("Cổng xác thực không chấp nhận mã đăng nhập")
        return self._session(answer.json(), attempt["return_to"])

    def signed_in(self, session_cookie: str | None) -> tuple[str, str] | None:
        """The operator's access token and name, or None when nobody is signed in."""
        session = self._cookies.open(SESSION_COOKIE, session_cookie)
        return None if session is None else (session["token"], session["name"])

    def _session(self, granted: Any, return_to: str) -> Session:
        try:
            token, life_seconds = str(granted["access_token"]), int(granted["expires_in"])
        except (KeyError, TypeError, ValueError) as fault:
            raise UpstreamInvalid(internal="token answer without access_token or expires_in") from fault
        name = _name_in(str(granted.get("id_token", "")))
        cookie = self._cookies.seal(SESSION_COOKIE, {"token": token, "name": name}, life_seconds)
        return Session(cookie, life_seconds, return_to)


def _name_in(id_token: str) -> str:
    """Only shown, and fresh from the token endpoint: no need to check its signature (OIDC Core §3.1.3.7)."""
    try:
        payload = id_token.split(".")[1]
        claims = strict_json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims.get("name") or claims["preferred_username"])[:100]
    except (HubError, AttributeError, IndexError, KeyError, ValueError):
        return "Người dùng"


def inside(return_to: str) -> str:
    """A path of the console that its cookie can hold, whatever was asked for: no open redirect."""
    own = return_to == HOME or return_to.startswith((f"{HOME}/", f"{HOME}?"))
    is_plain = return_to.isprintable() and "\\" not in return_to
    return return_to if own and is_plain and len(quote(return_to)) <= _LONGEST_RETURN else HOME
