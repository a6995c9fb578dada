"""Under which keys the dossiers' numbers lie, and putting them under another one. Works as the system role."""

from collections.abc import Mapping, Sequence
from typing import Any

from dossier.person import KEY_ID_BYTES, Sealed
from shared.db import Reading, Transaction

Row = Mapping[str, Any]

# The ids begin the hashes: from each the index leads to the next.
_IN_USE = f"""
WITH RECURSIVE used AS (
  (SELECT substr(person_hash, 1, {KEY_ID_BYTES}) AS id FROM dossier WHERE person_hash IS NOT NULL
   ORDER BY person_hash LIMIT 1)
  UNION ALL
  SELECT (SELECT substr(person_hash, 1, {KEY_ID_BYTES}) FROM dossier
          WHERE person_hash >= used.id || decode(repeat('ff', 40), 'hex') ORDER BY person_hash LIMIT 1)
  FROM used WHERE used.id IS NOT NULL)
SELECT id FROM used WHERE id IS NOT NULL
"""
_COUNT = "SELECT count(*) FROM dossier WHERE person_hash >= $1 AND person_hash < $1 || decode(repeat('ff', 40), 'hex')"
_NOTE = "INSERT INTO person_key (id) VALUES ($1) ON CONFLICT DO NOTHING"
_RESTED = "SELECT id FROM person_key WHERE noted_at <= clock_timestamp() - make_interval(secs => $1)"
_OTHERS = """
SELECT code, applicant, person_sealed, person_hash FROM dossier WHERE person_hash > $1 AND {}
ORDER BY person_hash LIMIT $3 FOR UPDATE SKIP LOCKED
"""
_BELOW = _OTHERS.format("person_hash < $2")
_ABOVE = _OTHERS.format("person_hash > $2 || decode(repeat('ff', 40), 'hex')")
_REKEY = """
UPDATE dossier d SET person_hash = n.hash, person_sealed = n.sealed, applicant = d.applicant - 'personal_id'
FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS n(code, hash, sealed) WHERE d.code = n.code
"""


async def in_use(rx: Reading) -> list[bytes]:
    """The ids of the keys that dossiers lie under."""
    return [row["id"] for row in await rx.raw.fetch(_IN_USE)]


async def count(rx: Reading, key_id: bytes) -> int:
    """How many dossiers lie under this key."""
    return int(await rx.raw.fetchval(_COUNT, key_id))


async def note(tx: Transaction, key_id: bytes) -> None:
    """Somebody has this key; since when counts."""
    await tx.raw.execute(_NOTE, key_id)


async def rested(rx: Reading, seconds: float) -> set[bytes]:
    """The keys that were noted so long ago."""
    return {row["id"] for row in await rx.raw.fetch(_RESTED, seconds)}


async def others(tx: Transaction, key_id: bytes, after: bytes, limit: int) -> list[Row]:
    """Some dossiers that lie under another key, locked, in the order of their hashes; those that are locked are left
    for another time."""
    below: list[Row] = await tx.raw.fetch(_BELOW, after, key_id, limit)
    return below or list(await tx.raw.fetch(_ABOVE, after, key_id, limit))


async def rekey(tx: Transaction, rows: Sequence[tuple[str, Sealed]]) -> None:
    """Put them under the key they are sealed with now. No version: nobody's view of the dossier changes."""
    codes, found = [code for code, _ in rows], [it for _, it in rows]
    await tx.raw.execute(_REKEY, codes, [it.hash for it in found], [it.sealed for it in found])
