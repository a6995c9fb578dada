"""Ministries' vocabularies: `/v1/events/vocabularies`. A version is added, never changed; no code is needed for it."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request

from dossier import vocabulary_store
from dossier.ministry_answers import NAME, require_operator
from dossier.vocabulary import Declaration, Meaning, kept
from shared import exchanges, web
from shared.auth import Caller
from shared.errors import AgencyNotPermitted, FieldError, InvalidRequest, NotFound
from shared.web import InReading, InTransaction, errors, requires

router = web.router(tags=["events"], prefix="/v1/events/vocabularies")

Reader = Annotated[Caller, requires("sync:read")]
Operator = Annotated[Caller, requires("sync:operate")]
Source = Annotated[str, Query(min_length=1, max_length=500, pattern=NAME)]


class VocabularyAnswer(web.Answer):
    """One version of a source's vocabulary."""

    source: str
    version: int
    name: str
    valid_from: datetime
    valid_to: datetime | None
    types: dict[str, Meaning]
    declared_by: str
    declared_at: datetime


class VocabularyPage(web.Answer):
    """The newest version of each source, or every version of one."""

    items: list[VocabularyAnswer]
    next_cursor: str | None


@router.get("", responses=errors(NotFound, AgencyNotPermitted))
async def list_vocabularies(
    rx: InReading,
    caller: Reader,
    source: Annotated[str | None, Query(min_length=1, max_length=500, pattern=NAME)] = None,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
    limit: web.PageSize = 100,
) -> VocabularyPage:
    """The newest version of each source; of a `source` all its versions, the oldest first."""
    require_operator(caller)
    if source is not None:
        rows = await vocabulary_store.of_sources(rx, [source])
        if not rows:
            raise NotFound
        return VocabularyPage(items=[_shown(row) for row in rows], next_cursor=None)
    place = web.decode_cursor(cursor, 1)
    after = "" if place is None else place[0]
    if not isinstance(after, str):
        raise InvalidRequest("The cursor is not one of ours")
    rows = await vocabulary_store.newest(rx, after, limit + 1)
    more = web.encode_cursor(rows[limit - 1]["source"]) if len(rows) > limit else None
    return VocabularyPage(items=[_shown(row) for row in rows[:limit]], next_cursor=more)


@router.put("", responses=errors(AgencyNotPermitted))
async def declare_vocabulary(
    request: Request, body: Declaration, tx: InTransaction, caller: Operator, source: Source
) -> VocabularyAnswer:
    """Declare a source's vocabulary, or a further version; the same body twice is the same version.

    Events kept so far that were not understood are tried again by themselves, within seconds.
    """
    require_operator(caller)
    if body.valid_to is not None and body.valid_to <= body.valid_from:
        raise InvalidRequest(errors=[FieldError("/valid_to", "must be later than valid_from")])
    row = await vocabulary_store.declare(
        tx, source, body.name, body.valid_from, body.valid_to, kept(body.types), caller.client_id
    )
    await exchanges.keep(tx, web.exchange_id(request), caller.client_id)
    return _shown(row)


def _shown(row: Any) -> VocabularyAnswer:
    return VocabularyAnswer(**dict(row))
