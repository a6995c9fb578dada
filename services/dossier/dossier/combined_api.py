"""`POST /v1/dossiers/combined`: one intake, several dossiers of linked procedures (liên thông), all of them or none."""

from collections import Counter
from typing import Annotated

import asyncpg
from fastapi import Request, Response
from pydantic import Field

from dossier import combining
from dossier.answers import CombinedAnswer
from dossier.bodies import Filing
from dossier.intake import Intake
from dossier.refusal import (
    ActionNotForRole,
    AgencyNotValid,
    ExternalReferenceTaken,
    ProcedureNotValid,
    ReusedDocumentNotFound,
)
from shared import idempotency, strict_json, web
from shared.auth import Caller
from shared.db import Database
from shared.errors import AgencyNotPermitted, FieldError, InvalidRequest
from shared.idempotency import IdempotencyKeyReused, Key, RequestInProgress
from shared.web import Body

router = web.router(tags=["dossiers"])


class CombinedBody(Body):
    """What is filed together, the leading procedure first."""

    dossiers: Annotated[list[Filing], Field(min_length=2, max_length=10)]


@router.post(
    "/v1/dossiers/combined",
    status_code=201,
    response_model=CombinedAnswer,
    responses=web.errors(
        ActionNotForRole, AgencyNotPermitted, AgencyNotValid, ProcedureNotValid, ExternalReferenceTaken,
        ReusedDocumentNotFound, IdempotencyKeyReused, RequestInProgress,
    ),
)  # fmt: skip
async def file_together(
    *,
    request: Request,
    caller: Annotated[Caller, web.requires("dossier:write")],
    body: CombinedBody,
    key: Key = None,
) -> Response:
    """File linked dossiers at once. A refusal names the one it is about (`index`), and nothing is stored."""
    _refuse_repeats(body)
    intake: Intake = request.app.state.intake
    database: Database = request.app.state.api_database
    # Before the transaction: both may need a connection of their own.
    lines = await intake.drafted(body.dossiers, caller, web.cause(request))
    try:
        # What is taken in for another agency is that one's, too.
        agencies = (*caller.agencies, *(line.dossier.agency_code for line in lines))
        async with database.transaction(agencies) as tx:

            async def act() -> Response:
                answer = await combining.file_together(tx, lines, body.dossiers)
                return Response(strict_json.dumps(answer), 201, media_type="application/json")

            return await idempotency.once(tx, request, caller, key, act)
    except asyncpg.UniqueViolationError:
        # Filed by another request in this very moment.
        raise ExternalReferenceTaken from None


def _refuse_repeats(body: CombinedBody) -> None:
    references = Counter(it.external_reference for it in body.dossiers)
    repeated = [
        FieldError(f"/dossiers/{index}/external_reference", "stands twice in this request")
        for index, it in enumerate(body.dossiers)
        if it.external_reference is not None and references[it.external_reference] > 1
    ]
    if repeated:
        raise InvalidRequest(errors=repeated)
