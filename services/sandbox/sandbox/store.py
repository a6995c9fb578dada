"""The sandbox's own memory: one SQLite file, written on the event loop in short transactions.

WAL with `synchronous=OFF`: what is committed has reached the operating system, so it survives `kill -9` of the
sandbox, which is what the fault suite does to it. A power cut may lose it; the sandbox plays systems, it is not one,
and its flushes would compete with the hub's on the disk that the benchmarks measure.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS portal_dossier (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    code TEXT NOT NULL UNIQUE,
    inserted INTEGER NOT NULL DEFAULT 0,
    updated INTEGER NOT NULL DEFAULT 0,
    record BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS portal_progress (
    number INTEGER PRIMARY KEY,
    code TEXT NOT NULL,
    at TEXT NOT NULL,
    status TEXT NOT NULL,
    row BLOB NOT NULL,
    written INTEGER NOT NULL DEFAULT 1,
    sent INTEGER NOT NULL DEFAULT 1,
    UNIQUE (code, at, status)
);
CREATE TABLE IF NOT EXISTS payment (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    reference TEXT NOT NULL UNIQUE,
    amount_vnd INTEGER NOT NULL,
    currency TEXT NOT NULL,
    description TEXT NOT NULL,
    transaction_time TEXT NOT NULL,
    dossier_code TEXT NOT NULL,
    agency_code TEXT NOT NULL,
    url TEXT NOT NULL,
    state TEXT NOT NULL,
    bank TEXT NOT NULL DEFAULT '',
    transaction_id TEXT NOT NULL DEFAULT '',
    init_count INTEGER NOT NULL DEFAULT 1,
    initiated_at INTEGER NOT NULL,
    pays_at INTEGER,
    decided_at INTEGER,
    callback_state TEXT NOT NULL DEFAULT 'none',
    callback_at INTEGER,
    callback_tries INTEGER NOT NULL DEFAULT 0,
    callback_copies INTEGER NOT NULL DEFAULT 0,
    callbacks_sent INTEGER NOT NULL DEFAULT 0,
    callbacks_answered INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS payment_to_pay ON payment (pays_at) WHERE pays_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS payment_to_call ON payment (callback_at) WHERE callback_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS person (
    personal_id TEXT NOT NULL,
    name_key TEXT NOT NULL,
    old_id TEXT NOT NULL,
    full_name TEXT NOT NULL,
    date_of_birth TEXT NOT NULL,
    gender TEXT NOT NULL,
    address TEXT NOT NULL,
    refused INTEGER NOT NULL,
    PRIMARY KEY (personal_id, name_key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS person_by_old_id ON person (old_id) WHERE old_id <> '';
CREATE TABLE IF NOT EXISTS behaviour (system TEXT PRIMARY KEY, chosen TEXT NOT NULL) WITHOUT ROWID;
"""

TABLES = {
    "portal": ("portal_dossier", "portal_progress"),
    "payment": ("payment",),
    "population": ("person",),
}


def now_ms() -> int:
    """Milliseconds since the epoch, by the wall clock: due times must survive a restart."""
    return time.time_ns() // 1_000_000


def rfc3339(milliseconds: int | None) -> str | None:
    """The moment as the controls show it."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


class Store:
    """The open file. Everything runs on one connection, from the event loop's thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The server may be built in one thread and run in another (tests do); never two at once.
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=OFF", "cache_size=-32768", "wal_autocheckpoint=4000"):
            self.connection.execute(f"PRAGMA {pragma}")
        self.connection.executescript(SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; the caller must not await inside."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def empty(self, systems: Iterable[str]) -> None:
        """Forget what these systems hold."""
        with self.transaction() as connection:
            for system in systems:
                for table in TABLES[system]:
                    connection.execute(f"DELETE FROM {table}")

    def close(self) -> None:
        self.connection.close()
