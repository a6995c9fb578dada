"""The first clients and the first operator of a local stack (api.md, OAuth 2). Doing it again changes nothing."""

import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from gateway import registering, store_clients
from gateway.client_auth import secret_digest
from gateway.signing_in import hashed
from gateway.store_clients import Client, Operator
from gateway.token import SCOPES
from shared import clock
from shared.db import Transaction

_BY = "bootstrap"
_PORTAL = ("dossier:write", "dossier:read", "dossier:transition", "payment:read", "catalogue:read")
_DESK = (*_PORTAL, "payment:write", "citizen:verify", "citizen:lookup", "report:read")
_OPERATOR = ("sync:read", "sync:operate", "report:read", "audit:read", "dossier:read", "payment:read")
_ADMINISTRATOR = ("client:admin", "catalogue:read", "catalogue:write")
CONSOLE = "console-web"
USERNAME = "operator"


@dataclass(frozen=True, slots=True)
class First:
    """A client that every local stack has; its name is its id."""

    name: str
    role: str
    scopes: tuple[str, ...]
    agencies: tuple[str, ...]


CLIENTS = (
    First("portal", "portal", _PORTAL, ("H08",)),
    First("desk", "desk", _DESK, ("H08",)),
    First("ministry", "ministry", ("event:push", "dossier:read"), ("H08",)),
    First("one-agency", "desk", _DESK, ("H08.15",)),
    First("operator", "operator", _OPERATOR, ("*",)),
    First("bootstrap", "operator", _ADMINISTRATOR, ("*",)),
)


async def clients(tx: Transaction, known: Mapping[str, Any]) -> dict[str, Any]:
    """Create what is missing; `known` is the credentials file as it is now, the answer as it shall be."""
    return {first.name: await _client(tx, first, known.get(first.name, {})) for first in CLIENTS}


async def _client(tx: Transaction, first: First, known: Mapping[str, Any]) -> dict[str, Any]:
    found = await store_clients.client(tx, first.name)
    secret = str(known.get("client_secret", ""))
    if found is None:
        _, secret = await registering.register(
            tx,
            name=first.name,
            role=first.role,
            scopes=first.scopes,
            agencies=first.agencies,
            jwks=None,
            created_by=_BY,
            client_id=first.name,
        )
        await registering.approve(tx, first.name, _BY)
    elif not _holds(found, secret):
        secret = await registering.add_secret(tx, first.name)
    return {
        "client_id": first.name,
        "client_secret": secret,
        "scope": " ".join(first.scopes),
        "agencies": list(first.agencies),
    }


def _holds(client: Client, secret: str) -> bool:
    return any(hmac.compare_digest(secret_digest(salt, secret), digest) for salt, digest in client.secrets)


async def console(tx: Transaction, redirect_uri: str) -> None:
    """The console's public client; only its redirect address may follow the gateway's."""
    found = await store_clients.client(tx, CONSOLE)
    if found is not None:
        await tx.execute(
            "UPDATE client SET redirect_uris = :uris WHERE client_id = :client_id",
            client_id=CONSOLE,
            uris=[redirect_uri],
        )
        return
    new = Client(
        client_id=CONSOLE,
        name="Console",
        role="operator",
        scopes=_console_scopes(),
        agencies=("*",),
        state="active",
        is_public=True,
        redirect_uris=(redirect_uri,),
        jwks=None,
        created_at=clock.now(),
        approved_at=None,
    )
    await store_clients.add_client(tx, new, _BY)


def _console_scopes() -> tuple[str, ...]:
    """What any operator may do; a token never has more than its operator."""
    return tuple(scope for scope in SCOPES if scope != "dossier:import")


async def operator(tx: Transaction, known: Mapping[str, Any]) -> dict[str, str]:
    """The first operator; a lost password file gets a new password."""
    password = str(known.get("password") or secrets.token_urlsafe(15))
    new = Operator(USERNAME, str(uuid4()), "Cán bộ vận hành", hashed(password), _OPERATOR, ("*",))
    if not await store_clients.add_operator(tx, new) and "password" not in known:
        await store_clients.change_password(tx, USERNAME, new.password_hash)
    return {"username": USERNAME, "password": password}


def kept(path: Path) -> dict[str, Any]:
    """A credentials file; empty when there is none or it is torn."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def keep(path: Path, content: Mapping[str, Any]) -> None:
    """Write a credentials file whole or not at all, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    draft.replace(path)
