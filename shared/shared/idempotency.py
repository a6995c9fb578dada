"""A repeated POST gets the first answer (kept ≥ 24 h, scoped to the client), in the transaction of its effect.

`claim` inserts the key first: a concurrent repeat waits on the unique index until the first has committed and then
finds its answer; after 2 s it is told to come back. Only answers of committed transactions (2xx) are kept, because a
refusal rolls the claim back with everything else. `once` does both around what a route does.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import asyncpg
import orjson
from fastapi import Header, Request, Response

from shared.auth import Caller
from shared.db import Transaction
from shared.errors import Conflict, FieldError, InvalidRequest

MAX_KEY_LENGTH = 255
WAIT_MILLISECONDS = 2000
REPLAYED = "Idempotency-Replayed"
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=MAX_KEY_LENGTH)]
"""How a route takes the key."""
_MADE_ANEW = {"content-length", "content-type"}


class IdempotencyKeyReused(InvalidRequest):
    """Another body under a key that was used before."""

    code, title = "idempotency_key_reused", "The idempotency key was used for another request"


class RequestInProgress(Conflict):
    """The first request under this key is still running."""

    code, title = "request_in_progress", "The first request with this key is still running"
    retryable = True


@dataclass(frozen=True, slots=True)
class Stored:
    """A first answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]


def key_of(headers: Mapping[str, str]) -> str | None:
    """The key that came with a request, for routes that read their headers by hand. Raises `InvalidRequest`."""
    key = headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_KEY_LENGTH:
        raise InvalidRequest(errors=[FieldError("header:Idempotency-Key", f"has 1 to {MAX_KEY_LENGTH} characters")])
    return key


def digest(body: bytes) -> str:
    """What tells one body from another."""
    return hashlib.sha256(body).hexdigest()


def digest_of(method: str, path: str, body: bytes) -> str:
    """What tells one request from another: the same (or no) body on two routes is not the same request."""
    return digest(f"{method} {path}\n".encode() + body)


async def once(
    tx: Transaction,
    request: Request,
    caller: Caller,
    key: str | None,
    act: Callable[[], Awaitable[Response]],
    *,
    content: bytes | None = None,
    kept: Callable[[bytes], bytes] = bytes,
) -> Response:
    """The answer of `act` (JSON), or the first one to the same method, path and body under this key.

    `content` stands for the body where that is too large, or not all that tells one request from another; `kept`
    says what of the answer is stored (a secret is not). Raises `IdempotencyKeyReused`, `RequestInProgress`.
    """
    if key is None:
        return await act()
    asked = digest_of(request.method, request.url.path, await request.body() if content is None else content)
    if (stored := await claim(tx, caller.client_id, key, asked)) is not None:
        return repeated(stored)
    answer = await act()
    told = {name: value for name, value in answer.headers.items() if name not in _MADE_ANEW}
    await keep(tx, caller.client_id, key, answer.status_code, kept(bytes(answer.body)), told)
    return answer


def repeated(first: Stored) -> Response:
    """A first answer, given again."""
    return Response(first.body, first.status, {**first.headers, REPLAYED: "true"}, "application/json")


async def claim(tx: Transaction, client_id: str, key: str, body_sha256: str) -> Stored | None:
    """None: the key is ours, go on and `keep` the answer. Otherwise the first answer."""
    await tx.raw.execute(f"SET LOCAL lock_timeout = {WAIT_MILLISECONDS}")
    try:
        claimed = await tx.execute(
            "INSERT INTO idempotency (client_id, key, body_sha256, status, answer) "
            "VALUES (:client_id, :key, :sha, 0, '') ON CONFLICT DO NOTHING",
            client_id=client_id,
            key=key,
            sha=body_sha256,
        )
    except asyncpg.LockNotAvailableError as fault:
        raise RequestInProgress(retry_after_seconds=1) from fault
    await tx.raw.execute("SET LOCAL lock_timeout = 0")
    if claimed:
        return None
    row = await tx.row(
        "SELECT body_sha256, status, answer, headers FROM idempotency WHERE client_id = :client_id AND key = :key",
        client_id=client_id,
        key=key,
    )
    if row is None:
        raise RequestInProgress(retry_after_seconds=1)
    if row["body_sha256"] != body_sha256:
        raise IdempotencyKeyReused
    return Stored(row["status"], row["answer"].encode(), row["headers"])


async def keep(
    tx: Transaction,
    client_id: str,
    key: str,
    status: int,
    body: bytes,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Store the answer under the claimed key, in the same transaction."""
    await tx.execute(
        "UPDATE idempotency SET status = :status, answer = :answer, headers = CAST(:headers AS jsonb) "
        "WHERE client_id = :client_id AND key = :key",
        status=status,
        answer=body.decode(),
        headers=orjson.dumps(dict(headers or {})).decode(),
        client_id=client_id,
        key=key,
    )
