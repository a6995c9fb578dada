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

    async def answered() -> Response:
        done = await act()
        await exchanges.keep(tx, web.exchange_id(request), caller.client_id, dossier_codes)
        told = dict(headers(done)) if headers else None
        return Response(done.model_dump_json(), status, told, "application/json")

    return await idempotency.once(tx, request, caller, key, answered, content=signed)


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
