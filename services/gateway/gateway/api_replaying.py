"""A repeated POST gets its first answer (`Idempotency-Key`)."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Header, Request, Response

from shared import idempotency
from shared.auth import Caller
from shared.db import Transaction

IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]


async def once(
    tx: Transaction,
    request: Request,
    caller: Caller,
    key: str | None,
    act: Callable[[], Awaitable[Response]],
    *,
    kept: Callable[[bytes], bytes] = bytes,
    told_in_headers: bytes = b"",
) -> Response:
    """The answer of `act`, or the first one to the same method, path and body (and what headers say of it).

    `kept` says what of the answer is stored (a secret is not).
    """
    if key is None:
        return await act()
    asked = idempotency.digest_of(request.method, request.url.path, told_in_headers + await request.body())
    stored = await idempotency.claim(tx, caller.client_id, key, asked)
    if stored is not None:
        headers = dict(stored.headers) | {idempotency.REPLAYED: "true"}
        return Response(stored.body, stored.status, headers, "application/json")
    answer = await act()
    location = {"Location": answer.headers["location"]} if "location" in answer.headers else {}
    await idempotency.keep(tx, caller.client_id, key, answer.status_code, kept(bytes(answer.body)), location)
    return answer
