"""What routes are made of: strict bodies, callers, transactions, declared errors, cursors."""

import base64
import binascii
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator, BaseModel, ConfigDict

from shared import problems, strict_json
from shared.agency_codes import canonical, canonical_dossier
from shared.auth import Caller, TokenVerifier
from shared.db import Database, Reading, Transaction
from shared.errors import (
    HubError,
    InsufficientScope,
    InvalidRequest,
    Overloaded,
    Unauthenticated,
)
from shared.events import Cause

MAX_PAGE = 500
_bearer = HTTPBearer(auto_error=False, scheme_name="oauth2", description="Access token of POST /oauth/token")


class Body(BaseModel):
    """Base of every request body: what it does not name is refused (mass assignment, faults row 24)."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Answer(BaseModel):
    """Base of every answer's model."""

    model_config = ConfigDict(extra="forbid")


class _StrictRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_strict"):
            try:
                self._strict = strict_json.loads(await self.body())
            except HubError as refusal:
                raise problems.RefusedBody(refusal) from refusal
        return self._strict


class StrictRoute(APIRoute):
    """Reads JSON with the strict decoder instead of the framework's."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await inner(_StrictRequest(request.scope, request.receive))

        return strict


class LeanRoute(APIRoute):
    """For the two or three hot routes: declared like any other, but the endpoint takes the request alone.

    Solving three nested dependencies costs FastAPI 120 µs a request; such an endpoint calls `caller_of` itself and
    declares what OpenAPI should know in `openapi_extra`. `service.Edge` calls it before the framework's own search.
    """


def router(*, tags: list[str], prefix: str = "") -> APIRouter:
    """A router with strict JSON, on which every route declares the errors all routes share."""
    common = errors(InvalidRequest, Unauthenticated, InsufficientScope, Overloaded)
    return APIRouter(prefix=prefix, tags=list(tags), route_class=StrictRoute, responses=common)


def errors(*kinds: type[HubError]) -> dict[int | str, dict[str, Any]]:
    """For `responses=`: what a route can refuse, by status, with the codes in the description."""
    declared: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        entry = declared.setdefault(
            kind.status,
            {
                "description": "",
                "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        )
        entry["description"] = ", ".join(filter(None, [entry["description"], kind.code]))
    return declared


async def current_caller(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    """Who calls. Raises `Unauthenticated`."""
    if credentials is None:
        raise Unauthenticated
    verifier: TokenVerifier = request.app.state.verifier
    return await verifier.verify(credentials.credentials)


async def caller_of(request: Request, scope: str) -> Caller:
    """What `requires(scope)` gives, for a `LeanRoute`. Raises `Unauthenticated`, `InsufficientScope`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    verifier: TokenVerifier = request.app.state.verifier
    caller = await verifier.verify(token)
    caller.require_scope(scope)
    return caller


def requires(scope: str) -> Any:
    """`caller: Annotated[Caller, requires("dossier:read")]`."""

    async def scoped(caller: Annotated[Caller, Depends(current_caller)]) -> Caller:
        caller.require_scope(scope)
        return caller

    return Depends(scoped)


def requires_internal() -> Any:
    """Only a service's own token (audience `lgsp-internal`) opens `/internal/*`."""

    async def internal(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Caller:
        if credentials is None:
            raise Unauthenticated
        verifier: TokenVerifier = request.app.state.internal_verifier
        return await verifier.verify(credentials.credentials)

    return Depends(internal)


async def _transaction(
    request: Request, caller: Annotated[Caller, Depends(current_caller)]
) -> AsyncIterator[Transaction]:
    database: Database = request.app.state.api_database
    async with database.transaction(caller.agencies) as tx:
        yield tx


async def _reading(request: Request, caller: Annotated[Caller, Depends(current_caller)]) -> AsyncIterator[Reading]:
    database: Database = request.app.state.api_database
    async with database.reading(caller.agencies) as rx:
        yield rx


# scope="function" is not optional: without it FastAPI answers first and commits afterwards.
InTransaction = Annotated[Transaction, Depends(_transaction, scope="function")]
InReading = Annotated[Reading, Depends(_reading, scope="function")]
AgencyFilter = Annotated[
    str | None, Query(max_length=35), AfterValidator(lambda code: None if code is None else canonical(code))
]
"""Lists narrowed to an agency, in either form of its code."""
PRESENT_FORM = AfterValidator(lambda code: None if code is None else canonical_dossier(code))
"""Annotates a dossier's code: its agency's may come in either form."""
DossierInPath = Annotated[str, Path(min_length=1, max_length=100), PRESENT_FORM]
"""The dossier's code that a route is about."""
Purpose = Annotated[
    str | None, Header(alias="Hub-Purpose", max_length=1000), AfterValidator(lambda text: (text or "").strip() or None)
]
"""What personal data are read for, as the gateway logs it; None: nothing was said, and none are shown."""
PageSize = Annotated[int, Query(ge=1, le=MAX_PAGE)]


def exchange_id(request: Request) -> str | None:
    """The gateway's id of this exchange; services keep it on the transition they make."""
    return request.headers.get("hub-exchange-id")


def cause(request: Request) -> Cause:
    """The exchange that this request is, as the gateway names it: kept beside effects, told on in events."""
    headers = request.headers
    return Cause(headers.get("hub-exchange-id"), headers.get("traceparent"))


def encode_cursor(*parts: Any) -> str:
    """An opaque place in a list."""
    return base64.urlsafe_b64encode(strict_json.dumps(list(parts))).rstrip(b"=").decode()


def decode_cursor(cursor: str | None, length: int) -> list[Any] | None:
    """The parts of a cursor. Raises `InvalidRequest` for one we did not make."""
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = strict_json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
    except (HubError, UnicodeEncodeError, binascii.Error, ValueError):
        parts = None
    if not isinstance(parts, list) or len(parts) != length:
        raise InvalidRequest("The cursor is not one of ours")
    return parts


def time_in_cursor(text: Any) -> datetime:
    """A time that a cursor names, in UTC. Raises `InvalidRequest` for one we did not write."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)  # what has no moment in UTC is kept by no database
    except (TypeError, ValueError, OverflowError):
        pass
    raise InvalidRequest("The cursor is not one of ours")
