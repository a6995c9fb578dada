"""Errors become `application/problem+json` (RFC 9457) here and nowhere else.

A bug answers 500 with an incident number only; the log has the rest. No document ever echoes a value.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from shared import strict_json
from shared.errors import FieldError, HubError, InvalidRequest
from shared.telemetry import COUNTERS, log

MEDIA_TYPE = "application/problem+json"
_CODES = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
}


class ProblemField(BaseModel):
    """One refused field."""

    pointer: str
    message: str


class Problem(BaseModel):
    """An error's document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[ProblemField] | None = None


class RefusedBody(HTTPException):
    """Carries a `HubError` out of FastAPI's body reading, which would swallow any other exception."""

    def __init__(self, refusal: HubError) -> None:
        super().__init__(refusal.status)
        self.refusal = refusal


def document(error: HubError) -> dict[str, Any]:
    """The problem document of an error (also a batch line's `problem`)."""
    problem: dict[str, Any] = {
        "type": f"urn:lgsp:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
    }
    if error.errors:
        problem["errors"] = [{"pointer": field.pointer, "message": field.message} for field in error.errors]
    return problem | error.members


def response(error: HubError) -> Response:
    """The answer an error leaves as."""
    headers = {"Hub-Error": error.code} | error.headers
    if error.status == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
    if error.retry_after_seconds is not None or error.status in {429, 503}:
        headers["Retry-After"] = str(error.retry_after_seconds or 1)
    return Response(strict_json.dumps(document(error)), error.status, headers, MEDIA_TYPE)


def refused(error: HubError) -> Response:
    """The answer to a request that ends with this error; what is ours or a neighbour's fault is logged."""
    if error.status >= 500:
        log.warning("request_failed", code=error.code, internal=error.internal)
    return response(error)


def invalid(failure: ValidationError | RequestValidationError) -> InvalidRequest:
    """What pydantic found, as our error: pointers and messages, never the input."""
    return InvalidRequest(errors=fields(failure.errors(), names_place=isinstance(failure, RequestValidationError)))


def fields(found: Sequence[Any], *, names_place: bool) -> list[FieldError]:
    """pydantic's errors as RFC 6901 pointers into the body (`/applicant/full_name`), or `query:limit`.

    `names_place`: they begin with `body`, `query` and so on; otherwise those are names of members like any other.
    """
    listed = []
    for error in found:
        place, *path = error["loc"] if names_place and error["loc"] else ("body", *error["loc"])
        if place in {"query", "path", "header", "cookie"}:
            pointer = f"{place}:{'/'.join(str(step) for step in path)}"
        else:
            pointer = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
        listed.append(FieldError(pointer, _told(error)))
    return listed


def _told(error: Any) -> str:
    """pydantic's message, unless a parser of the standard library has put the value into it."""
    message, value = str(error["msg"]).removeprefix("Value error, "), error.get("input")
    return "is not valid" if isinstance(value, str) and len(value) > 3 and value in message else message


def bug(fault: BaseException, place: str) -> Response:
    """A 500 with an incident number that the log knows."""
    incident = secrets.token_hex(6)
    COUNTERS.bugs.labels(place).inc()
    log.error("bug", incident=incident, place=place, exc_info=fault)
    error = HubError("An error of ours; please quote the incident number", incident=incident)
    return response(error)


def install(app: FastAPI) -> None:
    """Register the mapping on an application."""

    @app.exception_handler(HubError)
    async def _hub_error(_request: Request, error: HubError) -> Response:
        return refused(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, failure: RequestValidationError) -> Response:
        return response(invalid(failure))

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, fault: HTTPException) -> Response:
        return of_http(fault)


def of_http(fault: HTTPException) -> Response:
    """What the framework itself refuses (unknown path, wrong method, too large)."""
    if isinstance(fault, RefusedBody):
        return response(fault.refusal)
    code = _CODES.get(fault.status_code, "http_error")
    title = code.replace("_", " ").capitalize()
    body = {
        "type": f"urn:lgsp:problem:{code}",
        "title": title,
        "status": fault.status_code,
        "detail": title,
        "code": code,
    }
    headers: Mapping[str, str] = {"Hub-Error": code, **(fault.headers or {})}
    return Response(strict_json.dumps(body), fault.status_code, headers, MEDIA_TYPE)
