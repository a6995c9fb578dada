"""`POST /dvcqg/dossiers`: the national portal sends dossiers, supplements and withdrawals; answers in its words.

| error_code | HTTP | |
|---|---|---|
| 0 | 200 | taken in: durable |
| 1 | 200 | everything in it was here before; nothing has changed |
| -1 | 200 | refused, `message` says why; nothing of the message is stored |
| | 401 | not from the portal's addresses (the gateway looks), or without its credential (both look) |
| | 503 | come again: nothing is known to be stored |
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import asyncpg
from fastapi import Depends, Request, Response

from dossier import portal_store, portal_taking
from dossier.cataloguing import Catalogue
from dossier.handling import Procedures
from dossier.intake import Intake
from dossier.portal_message import Message, PortalRefused, read
from dossier.portal_taking import CALLER
from shared import strict_json, web
from shared.crashpoint import crashpoint
from shared.db import Database
from shared.errors import HubError, Overloaded, Unauthenticated
from shared.events import Cause
from shared.partner_key import PORTAL, PartnerKey
from shared.telemetry import log

router = web.router(tags=["national portal"])
_RETRY = (asyncpg.exceptions.LockNotAvailableError, asyncpg.exceptions.UniqueViolationError)


class RecordAnswer(web.Answer):
    """What became of one record. `MaHoSoTiepNhan`: the province's code of the dossier."""

    MaHoSo: str
    MaHoSoTiepNhan: str
    error_code: Literal[0, 1]
    message: str


class PortalAnswer(web.Answer):
    """The answer in the portal's words."""

    error_code: Literal[0, 1, -1]
    message: str
    result: list[RecordAnswer]


def _portal(request: Request) -> None:
    key: PartnerKey = request.app.state.portal_key
    if not key.opens(request.headers.get("authorization")):
        raise Unauthenticated("This credential does not open this path", headers={"WWW-Authenticate": "Basic"})


@router.post(
    f"/{PORTAL}/dossiers",
    response_model=PortalAnswer,
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def take_in(request: Request, _: Annotated[None, Depends(_portal)]) -> Response:
    """New dossiers (`isUpdating` "False"), or supplements and withdrawals ("True"): all of a message or nothing."""
    catalogue: Catalogue = request.app.state.catalogue
    try:
        message = read(await request.body(), lambda code: catalogue.find_agency(code) is not None)
        codes, new = await _taken(request, message)
    except PortalRefused as refusal:
        log.info("portal_message_refused")
        return _answer(-1, refusal.words)
    except _RETRY:
        # The same thing, or another action on the same dossier, is being taken in at this very moment.
        raise Overloaded(retry_after_seconds=1) from None
    return _told(codes, new)


async def _taken(request: Request, message: Message) -> tuple[Mapping[str, str], set[str]]:
    """The codes of all dossiers in the message, and whose news were new."""
    database: Database = request.app.state.api_database
    wanted = [*message.filings, *(it.portal_code for it in message.updates)]
    async with database.reading(CALLER.agencies) as rx:
        codes = await portal_store.codes(rx, wanted)
    cause = web.cause(request)
    if message.updates:
        unknown = next((it.portal_code for it in message.updates if it.portal_code not in codes), None)
        if unknown is not None:
            raise PortalRefused("không tồn tại", unknown)
        procedures: Procedures = request.app.state.procedures
        async with database.transaction(CALLER.agencies) as tx:
            new = await portal_taking.update(tx, message.updates, codes, procedures, cause)
        crashpoint("intake.after_commit")
        return codes, new
    return await _filed(request, database, message, codes, cause)


async def _filed(
    request: Request, database: Database, message: Message, codes: Mapping[str, str], cause: Cause
) -> tuple[Mapping[str, str], set[str]]:
    intake: Intake = request.app.state.intake
    unknown = [code for code in message.filings if code not in codes]
    if not unknown:
        return codes, set()
    try:
        lines = await intake.drafted([message.filings[code] for code in unknown], CALLER, cause)
    except HubError as refusal:
        if refusal.status >= 500:
            raise
        index = refusal.members.get("index")
        raise PortalRefused(portal_taking.words(refusal), unknown[index if isinstance(index, int) else 0]) from None
    async with database.transaction(CALLER.agencies) as tx:
        new = await portal_taking.file(tx, lines, cause.exchange_id)
        codes = await portal_store.codes(tx, [*message.filings])
    crashpoint("intake.after_commit")
    return codes, new


def _told(codes: Mapping[str, str], new: set[str]) -> Response:
    result = [
        {
            "MaHoSo": portal_code,
            "MaHoSoTiepNhan": code,
            "error_code": 0 if portal_code in new else 1,
            "message": "Thành công" if portal_code in new else f"Hồ sơ {portal_code} đã tồn tại",
        }
        for portal_code, code in codes.items()
    ]
    if new:
        return _answer(0, "Thành công", result)
    return _answer(1, "Đã nhận trước đây, không có thay đổi", result)


def _answer(error_code: int, message: str, result: Sequence[Mapping[str, Any]] = ()) -> Response:
    # The gateway takes the dossiers of the exchange from the header, as the body speaks another language.
    told = {"Hub-Dossier-Code": ",".join(it["MaHoSoTiepNhan"] for it in result)} if result else {}
    body = {"error_code": error_code, "message": message, "result": list(result)}
    return Response(strict_json.dumps(body), 200, told, "application/json")
