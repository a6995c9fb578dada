"""How requests that act beside the life of a dossier are answered: once per idempotency key."""

from collections.abc import Mapping
from typing import Any

from fastapi import Response
from pydantic import BaseModel

from shared import idempotency, strict_json
from shared.auth import Caller
from shared.db import Transaction


async def repeated(tx: Transaction, caller: Caller, key: str | None, path: str, body: BaseModel) -> Response | None:
    """The first answer under this key, with its headers, if there is one."""
    if key is None:
        return None
    sha = idempotency.digest_of("POST", path, body.model_dump_json().encode())
    stored = await idempotency.claim(tx, caller.client_id, key, sha)
    if stored is None:
        return None
    headers = {**stored.headers, idempotency.REPLAYED: "true"}
    return Response(stored.body, stored.status, headers, "application/json")


async def answered(
    tx: Transaction,
    caller: Caller,
    key: str | None,
    status: int,
    answer: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer, kept under its key."""
    body = strict_json.dumps(answer)
    if key is not None:
        await idempotency.keep(tx, caller.client_id, key, status, body, headers)
    return Response(body, status, dict(headers or {}), "application/json")
