"""`POST /v1/persons/documents`: what a person has handed in or got before, so that it is not asked for again.

NĐ 118/2025 Đ4.2a; NĐ 310/2026. Only officers are told, of an agency that has received an open dossier of the person
whose identity is confirmed, for a stated purpose that the gateway's log keeps with the dossiers concerned.
"""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Request, Response
from pydantic import Field, StringConstraints

from dossier import reuse_store, reusing
from dossier.bodies import PersonalId
from dossier.person import PersonKeys
from dossier.refusal import NoOpenDossier, PurposeRequired
from shared import strict_json, web
from shared.auth import Caller
from shared.db import Database
from shared.errors import InvalidRequest
from shared.web import Answer, Body

router = web.router(tags=["persons"])


class PersonDocumentsBody(Body):
    """Whose documents: what must not stand in a URL."""

    personal_id: PersonalId
    cursor: Annotated[str, StringConstraints(max_length=500)] | None = None
    limit: Annotated[int, Field(strict=True, ge=1, le=500)] = 100


class PersonDocument(Answer):
    """A result, or a component that an officer certified. To reuse it, an attachment names `dossier_code` as
    `reused_from`, `kind` as `reused`, and the digest.
    """

    kind: Literal["result", "component"]
    result_code: str | None
    component_code: str | None
    name: str
    number: str | None
    url: str
    sha256: str
    dossier_code: str
    agency_code: str
    procedure_code: str
    at: datetime


class HandledDossier(Answer):
    """The open dossier for which the documents are shown."""

    dossier_code: str


class PersonDocuments(Answer):
    """The newest first."""

    handled: HandledDossier
    items: list[PersonDocument]
    next_cursor: str | None


@router.post(
    "/v1/persons/documents", response_model=PersonDocuments, responses=web.errors(PurposeRequired, NoOpenDossier)
)
async def person_documents(
    *,
    request: Request,
    caller: Annotated[Caller, web.requires("dossier:read")],
    body: PersonDocumentsBody,
    purpose: web.Purpose = None,
) -> Response:
    """Documents of a person in dossiers of all agencies, for officers of an agency that has received an open dossier of
    this person, whose identity is confirmed.
    """
    if not purpose:
        raise PurposeRequired
    keys: PersonKeys = request.app.state.person_keys
    hashes = keys.hashes(body.personal_id)
    place = web.decode_cursor(body.cursor, 1) or [0]
    if not isinstance(place[0], int) or not 0 <= place[0] < 2**31:
        raise InvalidRequest("The cursor is not one of ours")
    database: Database = request.app.state.api_database
    async with database.reading(caller.agencies) as rx:
        code = await reuse_store.handled(rx, hashes)
    if code is None or caller.role not in reusing.OFFICERS:
        raise NoOpenDossier  # the same for a person whom nobody knows
    async with database.reading() as rx:
        rows = await reuse_store.documents(rx, hashes, place[0], body.limit + 1)
    following = web.encode_cursor(place[0] + body.limit) if len(rows) > body.limit else None
    items = [dict(row) for row in rows[: body.limit]]
    answer = {"handled": {"dossier_code": code}, "items": items, "next_cursor": following}
    return Response(strict_json.dumps(answer), media_type="application/json")
