"""Clients: registered, approved, changed, given further secrets (scope client:admin)."""

from typing import Annotated, Any, Literal

from fastapi import Request, Response
from pydantic import Field

from gateway import registering, store_clients
from gateway.call import CALL, Call
from gateway.registering import ClientNotPending
from gateway.store_clients import Client
from shared import exchanges, idempotency, strict_json, web
from shared.agency_codes import canonical
from shared.auth import Caller
from shared.db import Transaction
from shared.errors import InvalidRequest, NotFound
from shared.idempotency import Key, RequestInProgress

router = web.router(tags=["clients"])
Admin = Annotated[Caller, web.requires("client:admin")]
Codes = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=1000)]


class ClientBody(web.Body):
    """A new client. `scope` is a list or, as OAuth writes it, one string with spaces."""

    name: Annotated[str, Field(max_length=200)]
    role: str
    scope: str | Codes
    agencies: Codes
    jwks: dict[str, Any] | None = None


class ClientChange(web.Body):
    """What is named is changed; tokens issued before end at once."""

    name: Annotated[str, Field(max_length=200)] | None = None
    role: str | None = None
    scope: str | Codes | None = None
    agencies: Codes | None = None
    jwks: dict[str, Any] | None = None
    state: Literal["active", "suspended"] | None = None


class ClientAnswer(web.Answer):
    """A client; never its secrets."""

    client_id: str
    name: str
    role: str
    scope: str
    agencies: list[str]
    state: Literal["pending", "active", "suspended"]
    jwks: dict[str, Any] | None
    created_at: str
    approved_at: str | None


class NewClientAnswer(ClientAnswer):
    """A client and its secret, shown this once (a replayed answer leaves it out)."""

    client_secret: str | None = None


class SecretAnswer(web.Answer):
    """A further secret, shown this once."""

    client_id: str
    client_secret: str | None = None


class ClientPage(web.Answer):
    """Clients in order of their ids."""

    items: list[ClientAnswer]
    next_cursor: str | None


@router.post("/v1/clients", status_code=201, response_model=NewClientAnswer, responses=web.errors(RequestInProgress))
async def register(
    request: Request, body: ClientBody, tx: web.InTransaction, caller: Admin, key: Key = None
) -> Response:
    """Register a client; it is pending, and has no tokens, until approved."""

    async def act() -> Response:
        client, secret = await registering.register(
            tx,
            name=body.name,
            role=body.role,
            scopes=_scopes(body.scope),
            agencies=body.agencies,
            jwks=body.jwks,
            created_by=caller.client_id,
        )
        await _keep(request, tx, caller)
        answer = _shown(client) | {"client_secret": secret}
        location = {"Location": f"/v1/clients/{client.client_id}"}
        return Response(strict_json.dumps(answer), 201, location, "application/json")

    return await idempotency.once(tx, request, caller, key, act, kept=_without_secret)


@router.get("/v1/clients", response_model=ClientPage)
async def clients(
    rx: web.InReading, _caller: Admin, cursor: str | None = None, limit: web.PageSize = 100
) -> dict[str, Any]:
    """All clients."""
    parts = web.decode_cursor(cursor, 1)
    if parts and not isinstance(parts[0], str):
        raise InvalidRequest("The cursor is not one of ours")
    found = await store_clients.clients(rx, parts[0] if parts else "", limit + 1)
    after = web.encode_cursor(found[limit - 1].client_id) if len(found) > limit else None
    return {"items": [_shown(client) for client in found[:limit]], "next_cursor": after}


@router.get("/v1/clients/{client_id}", response_model=ClientAnswer, responses=web.errors(NotFound))
async def client(client_id: str, rx: web.InReading, _caller: Admin) -> dict[str, Any]:
    """One client."""
    return _shown(await registering.existing(rx, client_id))


@router.patch("/v1/clients/{client_id}", response_model=ClientAnswer, responses=web.errors(NotFound, ClientNotPending))
async def change(
    client_id: str, body: ClientChange, request: Request, tx: web.InTransaction, caller: Admin
) -> dict[str, Any]:
    """Change or suspend a client."""
    changes = body.model_dump(exclude_unset=True)
    if any(value is None for name, value in changes.items() if name != "jwks"):
        raise InvalidRequest("Only jwks can be null")
    if "scope" in changes:
        changes["scopes"] = tuple(_scopes(changes.pop("scope")))
    if "agencies" in changes:
        changes["agencies"] = tuple(dict.fromkeys(map(canonical, changes["agencies"])))
    changed = await registering.change(tx, client_id, changes)
    await _keep(request, tx, caller)
    return _shown(changed)


@router.post(
    "/v1/clients/{client_id}/secrets",
    status_code=201,
    response_model=SecretAnswer,
    responses=web.errors(NotFound, RequestInProgress),
)
async def add_secret(
    client_id: str, request: Request, tx: web.InTransaction, caller: Admin, key: Key = None
) -> Response:
    """A further secret; at most two hold at a time, the newest."""

    async def act() -> Response:
        secret = await registering.add_secret(tx, client_id)
        await _keep(request, tx, caller)
        answer = {"client_id": client_id, "client_secret": secret}
        return Response(strict_json.dumps(answer), 201, media_type="application/json")

    return await idempotency.once(tx, request, caller, key, act, kept=_without_secret)


@router.post(
    "/v1/clients/{client_id}/approve",
    response_model=ClientAnswer,
    responses=web.errors(NotFound, ClientNotPending, RequestInProgress),
)
async def approve(client_id: str, request: Request, tx: web.InTransaction, caller: Admin, key: Key = None) -> Response:
    """Let a pending client have tokens."""

    async def act() -> Response:
        approved = await registering.approve(tx, client_id, caller.client_id)
        await _keep(request, tx, caller)
        return Response(strict_json.dumps(_shown(approved)), media_type="application/json")

    return await idempotency.once(tx, request, caller, key, act)


async def _keep(request: Request, tx: Transaction, caller: Caller) -> None:
    call: Call = request.scope[CALL]
    await exchanges.keep(tx, call.exchange_id, caller.client_id)


def _scopes(scope: str | list[str]) -> list[str]:
    return scope.split() if isinstance(scope, str) else scope


def _shown(client: Client) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        "name": client.name,
        "role": client.role,
        "scope": " ".join(client.scopes),
        "agencies": list(client.agencies),
        "state": client.state,
        "jwks": client.jwks,
        "created_at": client.created_at.isoformat(),
        "approved_at": client.approved_at.isoformat() if client.approved_at else None,
    }


def _without_secret(answer: bytes) -> bytes:
    return strict_json.dumps(
        {name: value for name, value in strict_json.loads(answer).items() if name != "client_secret"}
    )
