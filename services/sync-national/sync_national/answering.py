"""How this service answers a request that acts: once per idempotency key, with the asker's reason for the log."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote
from uuid import UUID

from fastapi import Request, Response

from shared import exchanges, idempotency, web
from shared.auth import Caller
from shared.db import Transaction
from shared.errors import AgencyNotPermitted, InvalidRequest

A = TypeVar("A", bound=web.Answer | web.Body)
PURPOSE = "Hub-Purpose"
"""In an answer: why it was done, as the body said; the gateway keeps it in the exchange log."""


async def once(
    request: Request,
    tx: Transaction,
    caller: Caller,
    key: str | None,
    act: Callable[[], Awaitable[A]],
    dossier_codes: Sequence[str] = (),
    *,
    status: int = 200,
    headers: Callable[[A], Mapping[str, str]] | None = None,
    signed: bytes | None = None,
) -> Response:
    """Act, or give the first answer again when the key was used before. `signed`: what stands for a large body."""
    if key is not None:
        body = await request.body() if signed is None else signed
        digest = idempotency.digest_of(request.method, request.url.path, body)
        stored = await idempotency.claim(tx, caller.client_id, key, digest)
        if stored is not None:
            again = {**stored.headers, idempotency.REPLAYED: "true"}
            return Response(stored.body, stored.status, headers=again, media_type="application/json")
    done = await act()
    answer = done.model_dump_json().encode()
    await exchanges.keep(tx, web.exchange_id(request), caller.client_id, dossier_codes)
    told = dict(headers(done)) if headers else {}
    if key is not None:
        await idempotency.keep(tx, caller.client_id, key, status, answer, told)
    return Response(answer, status, headers=told, media_type="application/json")


def place_of(cursor: str | None) -> str | None:
    """The id that a list's cursor names. Raises `InvalidRequest` for one we did not make."""
    place = web.decode_cursor(cursor, 1)
    if place is None:
        return None
    try:
        return str(UUID(str(place[0])))
    except ValueError:
        raise InvalidRequest("The cursor is not one of ours") from None


def because(reason: str) -> dict[str, str]:
    """The header that tells why; none without a reason."""
    return {PURPOSE: quote(reason)} if reason else {}


def require_all_agencies(caller: Caller) -> None:
    """What concerns every agency's dossiers is for those who cover all of them. Raises `AgencyNotPermitted`."""
    if "*" not in caller.agencies:
        raise AgencyNotPermitted
