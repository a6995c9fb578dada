"""Declared layouts of export files in PostgreSQL. A version never changes: what an old file was read by stays known."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared import strict_json
from shared.db import Reading, Transaction
from sync_national.export_layout import LAYOUTS, Layout

_NEWEST = "SELECT DISTINCT ON (name) * FROM export_layout ORDER BY name, version DESC"
_ONE = """
SELECT * FROM export_layout WHERE name = :name AND (CAST(:version AS int) IS NULL OR version = :version)
ORDER BY version DESC LIMIT 1
"""
_DECLARE = """
INSERT INTO export_layout (name, version, headings, words, delimiter, declared_by)
VALUES (:name, :version, CAST(:headings AS jsonb), CAST(:words AS jsonb), :delimiter, :declared_by)
"""


async def listed(rx: Reading) -> list[dict[str, Any]]:
    """The newest version of each, those the hub brings along included."""
    found = {name: _built_in(layout) for name, layout in LAYOUTS.items()}
    found |= {row["name"]: dict(row) for row in await rx.rows(_NEWEST)}
    return [found[name] for name in sorted(found)]


async def one(rx: Reading, name: str, version: int | None = None) -> dict[str, Any] | None:
    """One version, the newest when none is named."""
    row = await rx.row(_ONE, name=name, version=version)
    if row is not None:
        return dict(row)
    layout = LAYOUTS.get(name)
    return _built_in(layout) if layout is not None and version in {None, layout.version} else None


async def layout(rx: Reading, name: str, version: int | None) -> Layout:
    """As the reading of a file needs it; it was there when the reconciliation was asked for."""
    row = await one(rx, name, version)
    assert row is not None
    return Layout(row["name"], row["version"], row["headings"], row["words"], row["delimiter"])


async def declare(
    tx: Transaction,
    name: str,
    headings: Mapping[str, Sequence[str]],
    words: Mapping[str, Mapping[str, str]],
    delimiter: str,
    declared_by: str,
) -> dict[str, Any]:
    """A new version; the same declaration twice is the same version."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('export_layout'), hashtext(:name))", name=name)
    newest = await one(tx, name)
    told = {"headings": headings, "words": words, "delimiter": delimiter}
    if newest is not None and all(newest[key] == value for key, value in told.items()):
        return newest
    await tx.execute(
        _DECLARE,
        name=name,
        version=newest["version"] + 1 if newest else 1,
        headings=strict_json.dumps(headings).decode(),
        words=strict_json.dumps(words).decode(),
        delimiter=delimiter,
        declared_by=declared_by,
    )
    made = await one(tx, name)
    assert made is not None
    return made


def _built_in(layout: Layout) -> dict[str, Any]:
    headings = {column: list(names) for column, names in layout.headings.items()}
    words = {column: dict(table) for column, table in layout.words.items()}
    return {
        "name": layout.name,
        "version": layout.version,
        "headings": headings,
        "words": words,
        "delimiter": layout.delimiter,
        "declared_by": None,
        "declared_at": None,
    }
