"""`POST /v1/dossiers` and its batch. The body is read and validated once, by hand: this is the hot path."""

from typing import Annotated

from fastapi import Header, Request, Response

from dossier import ndjson
from dossier.answers import DossierAnswer, LineAnswer
from dossier.bodies import Filing, Key
from dossier.intake import Intake
from dossier.openapi import json_body, ndjson_body
from dossier.refusal import (
    ActionNotForRole,
    AgencyNotValid,
    ExternalReferenceTaken,
    ProcedureNotValid,
)
from shared import web
from shared.auth import Caller
from shared.errors import AgencyNotPermitted, PayloadTooLarge
from shared.idempotency import IdempotencyKeyReused, RequestInProgress

router = web.router(tags=["dossiers"])
IdempotencyKey = Annotated[Key | None, Header(alias="Idempotency-Key")]

_REFUSALS = web.errors(
    ActionNotForRole,
    AgencyNotPermitted,
    AgencyNotValid,
    ProcedureNotValid,
    ExternalReferenceTaken,
    IdempotencyKeyReused,
    RequestInProgress,
)


def _intake(request: Request) -> Intake:
    intake: Intake = request.app.state.intake
    return intake


@router.post(
    "/v1/dossiers",
    status_code=201,
    response_model=DossierAnswer,
    responses=_REFUSALS,
    openapi_extra=json_body(Filing),
)
async def submit(
    request: Request,
    caller: Annotated[Caller, web.requires("dossier:write")],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """File a dossier. 201 means stored."""
    answer = await _intake(request).one(await request.body(), caller, idempotency_key, web.exchange_id(request))
    return Response(answer.body, answer.status, dict(answer.headers), "application/json")


@router.post(
    "/v1/dossiers/batch",
    response_class=Response,
    responses=web.errors(PayloadTooLarge) | ndjson_body(LineAnswer),
    openapi_extra={"requestBody": {"required": True, "content": {ndjson.MEDIA_TYPE: {"schema": {"type": "string"}}}}},
)
async def submit_batch(request: Request, caller: Annotated[Caller, web.requires("dossier:write")]) -> Response:
    """File up to 5,000 dossiers, one per line; one answer per line, in order."""
    lines = await ndjson.lines(request)
    return ndjson.response(await _intake(request).batch(lines, caller, web.exchange_id(request)))
