"""`GET /v1/feed`: the events of dossiers for partners, who keep their own position and wait for what is next."""

import time
from collections.abc import Sequence
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response

from shared import web
from shared.auth import Caller
from shared.db import Reading
from shared.errors import FieldError, InvalidRequest
from shared.published import PositionGone, Published, Tail
from shared.web import errors

router: APIRouter = web.router(tags=["dossiers"])

Reader = Annotated[Caller, web.requires("dossier:read")]
TOPIC = "lgsp.dossier"
_LONGEST_WAIT_SECONDS = 30.0
_MOST_LOOKED_AT = 20_000
"""Events of others passed over in one request; then the caller goes on from there."""
_PREFIX, _SUFFIX = "vn.lgsp.", ".v1"


@router.get("/v1/feed", response_class=Response, responses=errors(PositionGone))
async def read_feed(
    request: Request,
    caller: Reader,
    after: Annotated[str | None, Query(pattern=r"^[0-9]{1,18}$")] = None,
    types: Annotated[str | None, Query(max_length=1000)] = None,
    wait: Annotated[float, Query(ge=0, le=_LONGEST_WAIT_SECONDS)] = _LONGEST_WAIT_SECONDS,
    limit: web.PageSize = 100,
) -> Response:
    """The next CloudEvents of your agencies after the position `after`, waiting for one at most `wait` seconds.

    Keep `next_cursor` and pass it as `after`; without `after` the feed begins with the oldest event kept (35 days).
    `types`: names separated by commas, `dossier.finished` or in full. Events come at least once, in the order of
    publication, one dossier's in the order of its versions; what commits late comes late and is never skipped.
    """
    tail: Tail = request.app.state.tail
    wanted = _wanted(types)
    position = int(after or 0)
    await tail.require_kept(position)
    ends = time.monotonic() + wait
    found: list[str] = []
    passed = 0
    while not found and passed < _MOST_LOOKED_AT:
        rows = await tail.after(position)
        if not rows and not await tail.wait_beyond(position, ends - time.monotonic()):
            break
        passed += len(rows)
        for row in rows:
            position = row.number
            if caller.covers(row.agency_code) and (wanted is None or orjson.loads(row.text)["type"] in wanted):
                found.append(row.text)
                if len(found) == limit:
                    break
    body = f'{{"items":[{",".join(found)}],"next_cursor":"{position}"}}'
    return Response(body, media_type="application/json")


async def told(_rx: Reading, rows: Sequence[tuple[int, str]]) -> list[Published]:
    """An event of a dossier says whose it is."""
    return [Published(number, orjson.loads(text)["data"]["agency_code"], text) for number, text in rows]


def _wanted(types: str | None) -> frozenset[str] | None:
    if not types:
        return None
    names = [name.strip() for name in types.split(",")]
    if not all(names):
        raise InvalidRequest(errors=[FieldError("query:types", "names separated by commas")])
    return frozenset(name if name.startswith(_PREFIX) else f"{_PREFIX}{name}{_SUFFIX}" for name in names)
