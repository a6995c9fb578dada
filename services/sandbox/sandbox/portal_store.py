"""What the national portal holds: dossier records and progress rows, and how often each was written."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from sandbox.store import Store


def known_codes(store: Store, codes: Sequence[str]) -> set[str]:
    """Which of these dossiers the portal holds."""
    found = store.connection.execute(
        "SELECT code FROM portal_dossier WHERE code IN (SELECT value FROM json_each(?))",
        (orjson.dumps(codes).decode(),),
    )
    return {code for (code,) in found}


def insert(store: Store, records: Sequence[dict[str, Any]]) -> None:
    with store.transaction() as connection:
        connection.executemany(
            "INSERT INTO portal_dossier (code, record, inserted) VALUES (?, ?, 1)",
            ((record["MaHoSo"], orjson.dumps(record)) for record in records),
        )


def update(store: Store, records: Sequence[dict[str, Any]]) -> None:
    with store.transaction() as connection:
        connection.executemany(
            "UPDATE portal_dossier SET record = ?, updated = updated + 1 WHERE code = ?",
            ((orjson.dumps(record), record["MaHoSo"]) for record in records),
        )


def forget(store: Store, codes: Sequence[str]) -> int:
    """Lose these dossiers with their rows, as a portal that restored an older copy has; how many it held."""
    with store.transaction() as connection:
        text = orjson.dumps(list(codes)).decode()
        connection.execute("DELETE FROM portal_progress WHERE code IN (SELECT value FROM json_each(?))", (text,))
        gone = connection.execute("DELETE FROM portal_dossier WHERE code IN (SELECT value FROM json_each(?))", (text,))
        return gone.rowcount


def alter(store: Store, code: str, members: dict[str, Any]) -> bool:
    """Change members of a stored record behind the province's back; whether the portal holds it."""
    with store.transaction() as connection:
        found = connection.execute("SELECT record FROM portal_dossier WHERE code = ?", (code,)).fetchone()
        if found is None:
            return False
        record = orjson.dumps({**orjson.loads(found[0]), **members})
        connection.execute("UPDATE portal_dossier SET record = ? WHERE code = ?", (record, code))
        return True


def add_progress(store: Store, rows: Sequence[dict[str, str]], *, ignore_equal: bool) -> None:
    """Store progress rows; a row equal in (MaHoSo, ThoiDiemXuLy, TrangThai) is ignored or counted as a further copy."""
    with store.transaction() as connection:
        connection.executemany(
            "INSERT INTO portal_progress (code, at, status, row) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (code, at, status) DO UPDATE SET sent = sent + 1, written = written + ?",
            (
                (row["MaHoSo"], row["ThoiDiemXuLy"], row["TrangThai"], orjson.dumps(row), 0 if ignore_equal else 1)
                for row in rows
            ),
        )


def look_up(store: Store, code: str, *, with_progress: bool) -> list[dict[str, Any]]:
    """The stored record with its progress rows, as `TraCuuHoSo` answers it; empty when the code is unknown."""
    found = store.connection.execute("SELECT record FROM portal_dossier WHERE code = ?", (code,)).fetchone()
    if found is None:
        return []
    record: dict[str, Any] = orjson.loads(found[0])
    if with_progress:
        rows = store.connection.execute(
            "SELECT row, written FROM portal_progress WHERE code = ? ORDER BY number", (code,)
        )
        record["TienDoXuLy"] = [orjson.Fragment(row) for row, written in rows for _ in range(written)]
    return [record]


def page(store: Store, after: int, limit: int) -> tuple[list[dict[str, Any]], int | None]:
    """Dossiers in the order of their first insert; the second value is the cursor of the next page."""
    found = store.connection.execute(
        "SELECT number, code, record, inserted, updated FROM portal_dossier WHERE number > ? ORDER BY number LIMIT ?",
        (after, limit + 1),
    ).fetchall()
    shown = found[:limit]
    progress = _progress_of(store.connection, [code for _, code, *_ in shown])
    items = [
        {
            "code": code,
            "inserted": inserted,
            "updated": updated,
            "record": orjson.Fragment(record),
            "progress": progress.get(code, []),
        }
        for _, code, record, inserted, updated in shown
    ]
    return items, shown[-1][0] if len(found) > limit else None


def counts(store: Store) -> dict[str, int]:
    """How much the portal holds, and how often it was written."""
    dossiers, inserted, updated = store.connection.execute(
        "SELECT count(*), coalesce(sum(inserted), 0), coalesce(sum(updated), 0) FROM portal_dossier"
    ).fetchone()
    rows, written, sent = store.connection.execute(
        "SELECT count(*), coalesce(sum(written), 0), coalesce(sum(sent), 0) FROM portal_progress"
    ).fetchone()
    return {
        "dossiers": dossiers,
        "inserted": inserted,
        "updated": updated,
        "progress_rows": rows,
        "progress_written": written,
        "progress_sent": sent,
    }


def _progress_of(connection: sqlite3.Connection, codes: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    rows: Iterator[tuple[str, bytes, int, int]] = connection.execute(
        "SELECT code, row, written, sent FROM portal_progress"
        " WHERE code IN (SELECT value FROM json_each(?)) ORDER BY number",
        (orjson.dumps(codes).decode(),),
    )
    progress: dict[str, list[dict[str, Any]]] = {}
    for code, row, written, sent in rows:
        progress.setdefault(code, []).append({"row": orjson.Fragment(row), "written": written, "sent": sent})
    return progress
