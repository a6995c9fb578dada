"""Clients, operators, codes and revocations in PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared import strict_json
from shared.db import Reading, Transaction


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client. `secrets` are (salt, digest) of those that hold; a public client has none."""

    client_id: str
    name: str
    role: str
    scopes: tuple[str, ...]
    agencies: tuple[str, ...]
    state: str
    is_public: bool
    redirect_uris: tuple[str, ...]
    jwks: Mapping[str, Any] | None
    created_at: datetime
    approved_at: datetime | None
    secrets: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Operator:
    """A person who signs in."""

    username: str
    subject: str
    full_name: str
    password_hash: str = field(repr=False)
    scopes: tuple[str, ...] = ()
    agencies: tuple[str, ...] = ()


_CLIENT = """
SELECT c.*, ARRAY(SELECT ARRAY[s.salt, s.digest] FROM client_secret AS s WHERE s.client_id = c.client_id
  AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp())) AS secrets
FROM client AS c
"""


def _client(row: Mapping[str, Any]) -> Client:
    return Client(
        client_id=row["client_id"],
        name=row["name"],
        role=row["role"],
        scopes=tuple(row["scope"]),
        agencies=tuple(row["agencies"]),
        state=row["state"],
        is_public=row["public"],
        redirect_uris=tuple(row["redirect_uris"]),
        jwks=row["jwks"],
        created_at=row["created_at"],
        approved_at=row["approved_at"],
        secrets=tuple((bytes(salt), bytes(digest)) for salt, digest in row["secrets"]),
    )


async def client(rx: Reading, client_id: str) -> Client | None:
    """A client with the secrets that hold now."""
    row = await rx.row(_CLIENT + "WHERE c.client_id = :client_id", client_id=client_id)
    return _client(row) if row else None


async def clients(rx: Reading, after: str, limit: int) -> list[Client]:
    """A page in order of `client_id`."""
    rows = await rx.rows(
        _CLIENT + "WHERE c.client_id > :after ORDER BY c.client_id LIMIT :limit", after=after, limit=limit
    )
    return [_client(row) for row in rows]


async def add_client(tx: Transaction, new: Client, created_by: str) -> bool:
    """Insert a client; False when the id is taken."""
    return bool(
        await tx.execute(
            "INSERT INTO client (client_id, name, role, scope, agencies, state, public, redirect_uris, jwks, "
            "created_by) VALUES (:client_id, :name, :role, :scope, :agencies, :state, :public, :uris, "
            "CAST(:jwks AS jsonb), :created_by) ON CONFLICT DO NOTHING",
            client_id=new.client_id,
            name=new.name,
            role=new.role,
            scope=list(new.scopes),
            agencies=list(new.agencies),
            state=new.state,
            public=new.is_public,
            uris=list(new.redirect_uris),
            jwks=_json(new.jwks),
            created_by=created_by,
        )
    )


async def lock_client(tx: Transaction, client_id: str) -> None:
    """Whoever else changes this client waits until this transaction has ended."""
    await tx.execute("SELECT FROM client WHERE client_id = :client_id FOR UPDATE", client_id=client_id)


async def change_client(tx: Transaction, changed: Client) -> None:
    """Replace what can be changed; tokens issued so far no longer count."""
    await tx.execute(
        "UPDATE client SET name = :name, role = :role, scope = :scope, agencies = :agencies, state = :state, "
        "jwks = CAST(:jwks AS jsonb), redirect_uris = :uris, "
        "tokens_not_before = date_trunc('second', clock_timestamp()) + interval '1 second' "
        "WHERE client_id = :client_id",
        client_id=changed.client_id,
        name=changed.name,
        role=changed.role,
        scope=list(changed.scopes),
        agencies=list(changed.agencies),
        state=changed.state,
        jwks=_json(changed.jwks),
        uris=list(changed.redirect_uris),
    )


async def approve_client(tx: Transaction, client_id: str, approved_by: str) -> None:
    """From pending to active."""
    await tx.execute(
        "UPDATE client SET state = 'active', approved_at = clock_timestamp(), approved_by = :approved_by "
        "WHERE client_id = :client_id AND state = 'pending'",
        client_id=client_id,
        approved_by=approved_by,
    )


async def add_secret(tx: Transaction, secret_id: str, client_id: str, salt: bytes, digest: bytes) -> None:
    """Add a secret; of those before, only the newest goes on beside it."""
    await tx.execute(
        "UPDATE client_secret SET expires_at = clock_timestamp() WHERE client_id = :client_id "
        "AND expires_at IS NULL AND id NOT IN (SELECT id FROM client_secret WHERE client_id = :client_id "
        "AND expires_at IS NULL ORDER BY created_at DESC, id DESC LIMIT 1)",
        client_id=client_id,
    )
    await tx.execute(
        "INSERT INTO client_secret (id, client_id, salt, digest) VALUES (:id, :client_id, :salt, :digest)",
        id=secret_id,
        client_id=client_id,
        salt=salt,
        digest=digest,
    )


async def operator(rx: Reading, username: str) -> Operator | None:
    """An active operator."""
    row = await rx.row("SELECT * FROM operator WHERE username = :username AND active", username=username)
    if row is None:
        return None
    return Operator(
        row["username"],
        str(row["subject"]),
        row["full_name"],
        row["password_hash"],
        tuple(row["scope"]),
        tuple(row["agencies"]),
    )


async def add_operator(tx: Transaction, new: Operator) -> bool:
    """Insert an operator; False when the name is taken."""
    return bool(
        await tx.execute(
            "INSERT INTO operator (username, subject, full_name, password_hash, scope, agencies) VALUES "
            "(:username, :subject, :full_name, :hash, :scope, :agencies) ON CONFLICT DO NOTHING",
            username=new.username,
            subject=new.subject,
            full_name=new.full_name,
            hash=new.password_hash,
            scope=list(new.scopes),
            agencies=list(new.agencies),
        )
    )


async def change_password(tx: Transaction, username: str, password_hash: str) -> None:
    """Replace an operator's password."""
    await tx.execute(
        "UPDATE operator SET password_hash = :hash WHERE username = :username", username=username, hash=password_hash
    )


async def add_code(tx: Transaction, digest: bytes, code: Mapping[str, Any], life_seconds: int) -> None:
    """Keep an authorization code (its digest only), and forget those long past."""
    await tx.execute("DELETE FROM authorization_code WHERE expires_at < clock_timestamp() - interval '1 day'")
    await tx.execute(
        "INSERT INTO authorization_code (digest, client_id, username, redirect_uri, scope, nonce, code_challenge, "
        "expires_at) VALUES (:digest, :client_id, :username, :redirect_uri, :scope, :nonce, :code_challenge, "
        "clock_timestamp() + make_interval(secs => :life))",
        digest=digest,
        life=life_seconds,
        **code,
    )


async def use_code(tx: Transaction, digest: bytes, jti: str) -> Mapping[str, Any] | None:
    """Use a code up; None when there is none that holds. `jti` is the token that will come of it."""
    return await tx.row(
        "UPDATE authorization_code SET used_jti = :jti WHERE digest = :digest AND used_jti IS NULL "
        "AND expires_at > clock_timestamp() RETURNING *",
        digest=digest,
        jti=jti,
    )


async def token_of_used_code(tx: Transaction, digest: bytes) -> str | None:
    """The token a code was already used for: whoever uses it again makes that token suspect (RFC 6749 §4.1.2)."""
    found: str | None = await tx.value("SELECT used_jti FROM authorization_code WHERE digest = :digest", digest=digest)
    return found


async def first_use(tx: Transaction, client_id: str, jti: str, expires_at: datetime) -> bool:
    """Whether a client assertion is used for the first time (RFC 7523 §3)."""
    await tx.execute("DELETE FROM assertion_used WHERE expires_at < clock_timestamp() - interval '5 minutes'")
    return bool(
        await tx.execute(
            "INSERT INTO assertion_used (client_id, jti, expires_at) VALUES (:client_id, :jti, :expires_at) "
            "ON CONFLICT DO NOTHING",
            client_id=client_id,
            jti=jti,
            expires_at=expires_at,
        )
    )


async def revoke(tx: Transaction, jti: str, expires_at: datetime) -> None:
    """Revoke one token."""
    await tx.execute(
        "INSERT INTO token_revoked (jti, expires_at) VALUES (:jti, :expires_at) ON CONFLICT DO NOTHING",
        jti=jti,
        expires_at=expires_at,
    )


async def revoked(rx: Reading) -> tuple[set[str], dict[str, float]]:
    """Revoked tokens that could still be alive, and clients whose older tokens no longer count."""
    tokens: Sequence[Mapping[str, Any]] = await rx.rows(
        "SELECT jti FROM token_revoked WHERE expires_at > clock_timestamp() - interval '1 minute'"
    )
    clients_: Sequence[Mapping[str, Any]] = await rx.rows(
        "SELECT client_id, tokens_not_before FROM client "
        "WHERE tokens_not_before > clock_timestamp() - interval '2 hours'"
    )
    return {row["jti"] for row in tokens}, {row["client_id"]: row["tokens_not_before"].timestamp() for row in clients_}


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else strict_json.dumps(value).decode()
