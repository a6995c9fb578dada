"""Adapter: authlib's authorization server core on our requests, sessions and answers.

Its hooks are synchronous; they run in SQLAlchemy's `greenlet_spawn`, where `now(…)` awaits the session without a
thread. Its defaults that we correct: client errors tell whether a client exists, the redirect after a POST is 302,
PKCE may be left out or plain, PKCE's `plain` is the default method, descriptions echo values and refuse quotes.
"""

import re
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidClientError, InvalidRequestError, OAuth2Error
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload, OAuth2Request
from sqlalchemy.util import await_only

from gateway.header import Incoming
from shared import strict_json

T = TypeVar("T")
_SAFE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def now(work: Awaitable[T]) -> T:
    """Await inside one of authlib's synchronous hooks."""
    result: T = await_only(work)
    return result


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the server core."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def location(self) -> str:
        """Where the browser is sent, or nothing."""
        return self.headers.get("Location", "")


class FormRequest(OAuth2Request):  # type: ignore[misc]  # authlib has no types
    """One request: its parameters (each at most once) and headers."""

    def __init__(self, method: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> None:
        # TLS ends before us; whether a deployment has it is not this check's business.
        super().__init__(method, "https://gateway/oauth", headers=headers)
        self.payload = BasicOAuth2Payload(dict(parameters))

    @property
    def form(self) -> dict[str, str]:
        """The parameters."""
        parameters: dict[str, str] = self.payload.data
        return parameters

    @property
    def args(self) -> dict[str, str]:
        """The same: where they came from is settled before."""
        return self.form


def checked(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """The parameters of a request. Raises `InvalidRequestError` for a repeated or malformed one."""
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name in parameters:
            raise InvalidRequestError("A parameter is given twice")
        if name != "state" and not _SAFE.fullmatch(value):
            raise InvalidRequestError("A parameter has characters that none may have")
        if value:
            parameters[name] = value
    return parameters


def one_authentication(parameters: Mapping[str, str], incoming: Incoming) -> None:
    """RFC 6749 §2.3: never more than one method in a request."""
    methods = [
        incoming.authorization is not None,
        "client_secret" in parameters,
        "client_assertion" in parameters,
    ]
    if sum(methods) > 1:
        raise InvalidRequestError("More than one way of client authentication")


class ServerCore(AuthorizationServer):  # type: ignore[misc]  # authlib has no types
    """What authlib asks of a framework."""

    def authenticate_client(self, request: FormRequest, methods: list[str], endpoint: str = "token") -> Any:
        """The client that the request proves to be. Raises `InvalidClientError`."""
        try:
            return super().authenticate_client(request, methods, endpoint)
        except UnicodeDecodeError as fault:  # Basic credentials that are no text
            raise InvalidClientError from fault

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: FormRequest) -> FormRequest:
        """It already is one."""
        return request

    def save_token(self, token: object, request: object) -> None:
        """Access tokens are not stored: they verify by themselves."""

    def handle_response(self, status: int, body: Any, headers: Any) -> Reply:
        """Of what authlib says to our answer; 303 so that a browser does not repeat the password's POST."""
        content = strict_json.dumps(dict(body)) if isinstance(body, dict | list) else str(body or "").encode()
        return Reply(303 if status == 302 else status, content, _NO_STORE | dict(headers))

    def handle_error_response(self, request: FormRequest, error: OAuth2Error) -> Reply:
        """One answer for every way of failing client authentication: it tells nobody which clients exist."""
        if isinstance(error, InvalidClientError):
            error = InvalidClientError(description="Client authentication failed", status_code=401)
        reply: Reply = super().handle_error_response(request, error)
        return reply


def refusal(error: OAuth2Error) -> Reply:
    """The error of a request that did not reach the server core."""
    status, body, headers = error()
    return Reply(status, strict_json.dumps(dict(body)), _NO_STORE | dict(headers))
