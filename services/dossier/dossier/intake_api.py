"""`POST /v1/dossiers` and its batch. The body is read and validated once, by hand: this is the hot path."""

from typing import Annotated

from fastapi import Request, Response

from dossier import ndjson
from dossier.answers import DossierAnswer, LineAnswer
from dossier.bodies import Filing
from dossier.intake import Intake
from dossier.openapi import json_body, lean, ndjson_body
from dossier.refusal import (
    ActionNotForRole,
    AgencyNotValid,
    ExternalReferenceTaken,
    ProcedureNotValid,
    ReusedDocumentNotFound,
)
from shared import idempotency, web
from shared.auth import Caller
from shared.errors import AgencyNotPermitted, PayloadTooLarge
from shared.idempotency import IdempotencyKeyReused, RequestInProgress

router = web.router(tags=["dossiers"])

_REFUSALS = web.errors(
    ActionNotForRole,
    AgencyNotPermitted,
    AgencyNotValid,
    ProcedureNotValid,
    ExternalReferenceTaken,
    ReusedDocumentNotFound,
    IdempotencyKeyReused,
    RequestInProgress,
)


def _intake(request: Request) -> Intake:
    intake: Intake = request.app.state.intake
    return intake


async def submit(request: Request) -> Response:
    """File a dossier. 201 means stored."""
    caller = await web.caller_of(request, "dossier:write")
    key = idempotency.key_of(request.headers)
    answer = await _intake(request).one(await request.body(), caller, key, web.cause(request))
    return Response(answer.body, answer.status, dict(answer.headers), "application/json")


router.add_api_route(
    "/v1/dossiers",
    submit,
    methods=["POST"],
    status_code=201,
    response_model=DossierAnswer,
    responses=_REFUSALS,
    openapi_extra=json_body(Filing) | lean(),
    route_class_override=web.LeanRoute,
)


@router.post(
    "/v1/dossiers/batch",
    response_class=Response,
    responses=web.errors(PayloadTooLarge) | ndjson_body(LineAnswer),
    openapi_extra={"requestBody": {"required": True, "content": {ndjson.MEDIA_TYPE: {"schema": {"type": "string"}}}}},
)
async def submit_batch(request: Request, caller: Annotated[Caller, web.requires("dossier:write")]) -> Response:
    """File up to 5,000 dossiers, one per line; one answer per line, in order."""
    lines = await ndjson.lines(request)
    return ndjson.response(await _intake(request).batch(lines, caller, web.cause(request)))
