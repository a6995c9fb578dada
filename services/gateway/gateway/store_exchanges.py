"""The exchange log in PostgreSQL: written by one connection of its own, read by pages and by the verifier."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from gateway.exchange import Record, opening_digest
from shared import clock, strict_json
from shared.db import Reading
from shared.events import new_id

GENESIS = bytes(32)
"""What the first chain's opening is derived from."""

_STATEMENT_SECONDS = 5.0

# One statement is one transaction: the head moves only from where this process left it. The records come as the very
# texts their digests were taken over: two parameters instead of 27 arrays, which cost more than the round trip.
_APPEND = """
WITH head AS (
  UPDATE chain SET seq = $2, digest = $3 WHERE id = $1 AND seq = $4 AND digest = $5 RETURNING id),
written AS (
  INSERT INTO exchange (chain, recorded_at, seq, previous, digest, id, kind, client_id, subject, role, method, route,
    path, status, upstream_status, purpose, received_at, answered_at, request_sha256, response_sha256, dossier_code,
    dossier_count, dossiers_sha256)
  SELECT head.id, recorded_at, seq, decode(previous, 'hex'), decode(digest, 'hex'), row.id, kind, client_id, subject,
    role, method, route, path, status, upstream_status, purpose, received_at, answered_at,
    decode(request_sha256, 'hex'), decode(response_sha256, 'hex'), dossier_code, dossier_count,
    decode(dossiers_sha256, 'hex')
  FROM head, json_to_recordset($6::json) AS row(recorded_at timestamptz, seq bigint, previous text, digest text,
    id uuid, kind text, client_id text, subject text, role text, method text, route text, path text, status int2,
    upstream_status int2, purpose text, received_at timestamptz, answered_at timestamptz, request_sha256 text,
    response_sha256 text, dossier_code text, dossier_count int, dossiers_sha256 text)
  RETURNING 1),
listed AS (
  INSERT INTO exchange_dossier (chain, dossier_code, id, seq)
  SELECT head.id, row.* FROM head, json_to_recordset($7::json) AS row(dossier_code text, id uuid, seq bigint))
SELECT count(*) FROM written
"""
_COLUMNS = """chain::text, seq, previous, digest, id::text, kind, client_id, subject, role, method, route, path, status,
upstream_status, purpose, received_at, answered_at, recorded_at, request_sha256, response_sha256, dossier_code,
dossier_count, dossiers_sha256"""

FAULTS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError)
"""What a database that is away, full or refusing raises."""


class HeadMoved(Exception):
    """The chain's head is not where this process left it: another writer, or an older copy of the database."""


class Log:
    """The one connection that appends. `chain` is this process's own, opened by `connect`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None
        self._append: Any = None
        self.chain = ""
        self.seq = 0
        self.digest = GENESIS

    async def connect(self) -> None:
        """Connect (again); opens a chain if this process has none. Raises one of `FAULTS`."""
        await self.close()
        self._connection = await asyncpg.connect(
            self._url, timeout=2, command_timeout=_STATEMENT_SECONDS, server_settings={"timezone": "UTC", "jit": "off"}
        )
        if not self.chain:
            await self.open_chain()
        self._append = await self._connection.prepare(_APPEND)

    async def open_chain(self) -> None:
        """Begin a new chain, numbered after the newest and derived from it."""
        async with self._connection.transaction():
            await self._connection.execute("SELECT pg_advisory_xact_lock(7236420)")
            last = await self._connection.fetchrow("SELECT number, opening FROM chain ORDER BY number DESC LIMIT 1")
            number, before = (last["number"] + 1, last["opening"]) if last else (1, GENESIS)
            chain, started_at = new_id(), clock.now()
            opening = opening_digest(chain, number, started_at, before)
            await self._connection.execute(
                "INSERT INTO chain (id, number, started_at, opening, seq, digest) VALUES ($1, $2, $3, $4, 0, $4)",
                chain,
                number,
                started_at,
                opening,
            )
        self.chain, self.seq, self.digest = chain, 0, opening

    async def append(self, records: Sequence[Record]) -> None:
        """Write records that follow the head, all or none. Raises one of `FAULTS`, or `HeadMoved`."""
        last = records[-1]
        listed = [
            {"dossier_code": code, "id": record.exchange.id, "seq": record.seq}
            for record in records
            if len(record.exchange.dossier_codes) > 1
            for code in record.exchange.dossier_codes
        ]
        written = await self._append.fetchval(
            self.chain,
            last.seq,
            last.digest,
            self.seq,
            self.digest,
            _texts(records),
            strict_json.dumps(listed).decode() if listed else "[]",
        )
        if written != len(records):
            raise HeadMoved
        self.seq, self.digest = last.seq, last.digest

    async def head(self) -> tuple[int, bytes] | None:
        """Where the database says this chain ends; None when it does not know the chain."""
        row = await self._connection.fetchrow("SELECT seq, digest FROM chain WHERE id = $1", self.chain)
        return (row["seq"], row["digest"]) if row else None

    async def close(self) -> None:
        """Let the connection go, whatever its state."""
        if self._connection is not None:
            with suppress(*FAULTS):
                self._connection.terminate()
            self._connection = None


def _texts(records: Sequence[Record]) -> str:
    """The records as one JSON array, each with its digest as a member more."""
    return "[" + ",".join(f'{{"digest":"{it.digest.hex()}",{it.text[1:].decode()}' for it in records) + "]"


async def of_dossier(
    rx: Reading, dossier_code: str, after: tuple[str, int] | None, limit: int
) -> Sequence[Mapping[str, Any]]:
    """Exchanges that concerned a dossier, oldest first; `after` is (id, seq) of the last one already known."""
    after_id, after_seq = after or ("00000000-0000-0000-0000-000000000000", 0)
    return await rx.rows(
        """
        SELECT e.* FROM exchange AS e
        JOIN (SELECT chain, seq FROM exchange WHERE dossier_code = :code AND id >= CAST(:id AS uuid)
              UNION SELECT chain, seq FROM exchange_dossier WHERE dossier_code = :code AND id >= CAST(:id AS uuid)
             ) AS named USING (chain, seq)
        WHERE (e.id, e.seq) > (CAST(:id AS uuid), :seq)
        ORDER BY e.id, e.seq LIMIT :limit
        """,
        code=dossier_code,
        id=after_id,
        seq=after_seq,
        limit=limit,
    )


async def newest(rx: Reading, before: tuple[str, int] | None, limit: int) -> Sequence[Mapping[str, Any]]:
    """The whole log, newest first; `before` is (id, seq) of the last one already known."""
    before_id, before_seq = before or ("ffffffff-ffff-ffff-ffff-ffffffffffff", 0)
    return await rx.rows(
        "SELECT * FROM exchange WHERE (id, seq) < (CAST(:id AS uuid), :seq) ORDER BY id DESC, seq DESC LIMIT :limit",
        id=before_id,
        seq=before_seq,
        limit=limit,
    )


async def heads(rx: Reading) -> Sequence[Mapping[str, Any]]:
    """Where every chain that has records ends: `id seq digest`."""
    return await rx.rows("SELECT id::text AS id, seq, digest FROM chain WHERE seq > 0 ORDER BY number")


class Snapshot:
    """A consistent view of the whole log for the verifier."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def chains(self) -> Sequence[Mapping[str, Any]]:
        """All chains in order of their numbers."""
        rows: Sequence[Mapping[str, Any]] = await self._connection.fetch(
            "SELECT id::text, number, started_at, opening, seq, digest FROM chain ORDER BY number"
        )
        return rows

    async def code_digests(self, chain: str) -> dict[int, bytes]:
        """`exchange.codes_digest` of the dossiers listed beside a record, by `seq`, computed by the database."""
        rows = await self._connection.fetch(
            r"""
            SELECT seq, sha256(convert_to(string_agg(dossier_code, E'\n' ORDER BY dossier_code COLLATE "C"), 'UTF8'))
            FROM exchange_dossier WHERE chain = $1 GROUP BY seq
            """,
            chain,
        )
        return {row[0]: row[1] for row in rows}

    async def records(self, chain: str) -> AsyncIterator[dict[str, Any]]:
        """The rows of a chain in order of `seq`."""
        sql = f"SELECT {_COLUMNS} FROM exchange WHERE chain = $1 ORDER BY seq"
        async for row in self._connection.cursor(sql, chain, prefetch=5_000):
            yield dict(row)

    async def homeless(self) -> str | None:
        """A chain that has records, but no row of its own."""
        found: str | None = await self._connection.fetchval(
            "SELECT chain::text FROM (SELECT DISTINCT chain FROM exchange UNION SELECT DISTINCT chain "
            "FROM exchange_dossier) AS used WHERE chain NOT IN (SELECT id FROM chain) LIMIT 1"
        )
        return found


class snapshot:  # noqa: N801 - reads as a block: `async with snapshot(url) as log`
    """Opens a `Snapshot` (REPEATABLE READ: heads and records fit together while the gateway writes on)."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> Snapshot:
        self._connection = await asyncpg.connect(self._url, timeout=5, server_settings={"timezone": "UTC"})
        self._transaction = self._connection.transaction(isolation="repeatable_read", readonly=True)
        await self._transaction.start()
        return Snapshot(self._connection)

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()
