"""`GET /v1/sync/stream`: server-sent events of state changes, as far as the caller's agencies go.

What the service has published of a dossier (acknowledged, parked, unparked) comes in that order, each with where the
dossier stands when it is told. The id is the position: whoever comes back with `Last-Event-ID` misses nothing of the
last 35 days. A stream ends by itself after some minutes, or when its token does; browsers and clients come back.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import orjson
from fastapi import Header, Request
from fastapi.responses import StreamingResponse

from shared import web
from shared.auth import Caller
from shared.db import Reading
from shared.errors import HubError, Overloaded
from shared.published import PositionGone, Published, Tail
from shared.web import errors, requires

router = web.router(tags=["synchronisation"], prefix="/v1/sync")

Reader = Annotated[Caller, requires("sync:read")]
Position = Annotated[str | None, Header(alias="Last-Event-ID", pattern=r"^[0-9]{0,18}$")]
MOST_STREAMS = 1000
"""Of one copy at once."""
_BEAT_SECONDS = 15.0
_LONGEST_SECONDS = 900.0
_STANDINGS = """
SELECT dossier_code, agency_code, state, desired_version, acknowledged_version FROM standing
WHERE dossier_code = ANY($1::text[])
"""


class Streams:
    """The streams of this copy."""

    def __init__(self, tail: Tail) -> None:
        self.tail = tail
        self.open = 0
        self.closing = asyncio.Event()

    async def close(self) -> None:
        """Let everybody go; they come back to another copy."""
        self.closing.set()
        await self.tail.close()


@router.get("/stream", response_class=StreamingResponse, responses=errors(PositionGone, Overloaded))
async def stream_changes(request: Request, caller: Reader, last_event_id: Position = None) -> StreamingResponse:
    """Server-sent events `change`: `{change, dossier_code, destination, agency_code, state, …}`; without
    `Last-Event-ID` from now on. A comment comes every 15 s.
    """
    streams: Streams = request.app.state.streams
    if streams.open >= MOST_STREAMS:
        raise Overloaded(retry_after_seconds=5)
    position = int(last_event_id) if last_event_id else await streams.tail.newest()
    await streams.tail.require_kept(position)
    token = request.headers.get("authorization", "").partition(" ")[2]
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    told = _told(request, streams, caller, token, position)
    return StreamingResponse(told, media_type="text/event-stream", headers=headers)


async def _told(request: Request, streams: Streams, caller: Caller, token: str, position: int) -> AsyncIterator[bytes]:
    streams.open += 1
    ends = time.monotonic() + _LONGEST_SECONDS
    try:
        yield b"retry: 2000\nid: %d\n: begin\n\n" % position
        while time.monotonic() < ends and not streams.closing.is_set():
            if not await streams.tail.wait_beyond(position, _BEAT_SECONDS):
                await request.app.state.verifier.verify(token)  # revoked or over by now?
                yield b": beat\n\n"
                continue
            rows = await streams.tail.after(position)
            frames = [row.text.encode() for row in rows if caller.covers(row.agency_code)]
            if rows:
                position = rows[-1].number
            if frames:
                yield b"".join(frames)
    except HubError:
        return  # the token is over, or the database away: come back with the position
    finally:
        streams.open -= 1


async def told(rx: Reading, rows: Sequence[tuple[int, str]]) -> list[Published]:
    """Ready frames, once for all who listen."""
    events = [(number, orjson.loads(text)) for number, text in rows]
    codes = list({event["data"]["dossier_code"] for _, event in events})
    standings = {row["dossier_code"]: row for row in await rx.raw.fetch(_STANDINGS, codes)}
    return [_frame(number, event, standings.get(event["data"]["dossier_code"])) for number, event in events]


def _frame(number: int, event: dict[str, Any], standing: Any) -> Published:
    agency = standing["agency_code"] if standing else "*"
    change = {
        "change": event["type"].removeprefix("vn.lgsp.sync.").rpartition(".")[0],
        **event["data"],
        "agency_code": agency,
        "state": standing["state"] if standing else None,
        "desired_version": standing["desired_version"] if standing else None,
        "acknowledged_version": standing["acknowledged_version"] if standing else None,
    }
    return Published(number, agency, f"id: {number}\nevent: change\ndata: {orjson.dumps(change).decode()}\n\n")
