"""Registering clients: pending until an administrator approves them; a secret is shown once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from gateway import store_clients
from gateway.client_auth import new_secret
from gateway.store_clients import Client
from gateway.token import check_registration
from shared import clock
from shared.agency_codes import canonical
from shared.db import Reading, Transaction
from shared.errors import Conflict, NotFound
from shared.events import new_id


class ClientNotPending(Conflict):
    """Only a pending client can be approved."""

    code, title = "client_not_pending", "The client is not waiting for approval"


class ClientIdTaken(Conflict):
    """A client with this id exists."""

    code, title = "client_id_taken", "The client id is taken"


async def register(
    tx: Transaction,
    *,
    name: str,
    role: str,
    scopes: Sequence[str],
    agencies: Sequence[str],
    jwks: Mapping[str, Any] | None,
    created_by: str,
    client_id: str | None = None,
) -> tuple[Client, str]:
    """A new pending client and its first secret. Raises `InvalidRequest` or `ClientIdTaken`."""
    check_registration(name=name, role=role, scopes=scopes, agencies=agencies, jwks=jwks)
    client = Client(
        client_id=client_id or _client_id(name),
        name=name,
        role=role,
        scopes=tuple(sorted(set(scopes))),
        agencies=tuple(dict.fromkeys(map(canonical, agencies))),
        state="pending",
        is_public=False,
        redirect_uris=(),
        jwks=jwks,
        created_at=clock.now(),
        approved_at=None,
    )
    if not await store_clients.add_client(tx, client, created_by):
        raise ClientIdTaken
    return client, await add_secret(tx, client.client_id)


async def add_secret(tx: Transaction, client_id: str) -> str:
    """One more secret; the newest of those before goes on beside it, older ones end. Raises `NotFound`."""
    await existing(tx, client_id)
    secret, salt, digest = new_secret()
    await store_clients.add_secret(tx, new_id(), client_id, salt, digest)
    return secret


async def approve(tx: Transaction, client_id: str, approved_by: str) -> Client:
    """Let a pending client have tokens. Raises `NotFound` or `ClientNotPending`."""
    client = await existing(tx, client_id)
    if client.state != "pending":
        raise ClientNotPending
    await store_clients.approve_client(tx, client_id, approved_by)
    return await existing(tx, client_id)


async def change(tx: Transaction, client_id: str, changes: Mapping[str, Any]) -> Client:
    """Change fields; all tokens issued so far end. Raises `NotFound`, `InvalidRequest` or `ClientNotPending`."""
    await store_clients.lock_client(tx, client_id)  # all of it is written: what others change meanwhile would be undone
    before = await existing(tx, client_id)
    if before.state == "pending" and "state" in changes:
        raise ClientNotPending("A pending client is approved or left")
    after = replace(before, **changes)
    check_registration(name=after.name, role=after.role, scopes=after.scopes, agencies=after.agencies, jwks=after.jwks)
    await store_clients.change_client(tx, after)
    return after


async def existing(rx: Reading, client_id: str) -> Client:
    """Raises `NotFound`."""
    client = await store_clients.client(rx, client_id)
    if client is None:
        raise NotFound("There is no such client")
    return client


def _client_id(name: str) -> str:
    """Readable in logs, and nobody's choice."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "client"
    return f"{words}-{uuid4().hex[:8]}"
