"""Rotation of the keys of personal IDs while the service runs.

1. A new line on top of the key file. Every copy of the service looks at the file every few seconds, and reads with the
   new key from then on; that it exists is noted in the database.
2. `HUB_PERSON_KEY_REST_SECONDS` later (by the database's clock: all copies can read it now) it is the key that writes,
   and a worker puts the other dossiers under it, some at a time. Each dossier lies under one key or the other, and
   people are looked for under all: none is ever missed. A killed worker leaves what it has committed; the next goes on.
3. `python -m dossier keys` says how many dossiers still need each key. What nobody needs may leave the file.

A key that dossiers lie under and the file does not hold stops the service at its start, and later makes it not ready;
a copy that has read it before goes on with it, and one that has not looks for no person (503).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dossier import person_store
from dossier.person import BEFORE, PersonKey, PersonKeyMissing, PersonKeys, Sealed
from shared.db import Database, Reading

_ROWS_A_STEP = 100


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One key: how many dossiers need it, and whether the file has it. `id` in hex; of none: before any key."""

    id: str
    dossiers: int
    is_in_file: bool
    is_newest: bool

    @property
    def words(self) -> str:
        """What is to be done with it."""
        if self.is_newest:
            return "the newest"
        if not self.is_in_file:
            return "of no key: not sealed yet" if self.id == BEFORE.hex() else "MISSING in the file"
        return "still needed" if self.dossiers else "needed no more: its line may be removed"


class Rekeying:
    """The worker that puts dossiers under the newest key, in the order of their hashes, around and around."""

    def __init__(self, database: Database, keys: PersonKeys, path: Path, rest_seconds: float) -> None:
        self._database, self._keys, self._path, self._rest_seconds = database, keys, path, rest_seconds
        self._after = b""
        self._missing: list[str] = []

    async def refresh(self) -> int:
        """Read the file again, and see which of its keys writes. Raises `PersonKeyMissing`."""
        fresh = PersonKeys.from_file(self._path)
        async with self._database.transaction() as tx:
            await person_store.note(tx, fresh.newest.id)
            rested = await person_store.rested(tx, self._rest_seconds)
            used = await person_store.in_use(tx)
        self._missing = [it.hex() for it in used if it not in (*fresh.ids, BEFORE)]
        # A line that went too early: what this copy still has it goes on reading with.
        fresh = fresh.beside([key for key in self._keys.keys if key.id in used and key.id not in fresh.ids])
        fresh.lacks_some = any(it not in (*fresh.ids, BEFORE) for it in used)
        # The newest of those that every copy knows; of a new installation the only one there is.
        fresh.writing = next((key for key in fresh.keys if key.id in rested), fresh.keys[-1])
        self._keys.take(fresh)
        await self.check()
        return 0

    async def check(self) -> None:
        """Raises `PersonKeyMissing` when some dossier's number cannot be read."""
        if self._missing:
            raise PersonKeyMissing(internal=f"no line of {self._path} has the id {', '.join(self._missing)}")

    async def step(self) -> int:
        """Put some dossiers under the newest key, if it is the one that writes; how many there were."""
        keys, newest = self._keys, self._keys.newest
        if keys.writing is not newest:
            return 0
        async with self._database.transaction() as tx:
            rows = await person_store.others(tx, newest.id, self._after, _ROWS_A_STEP)
            await person_store.rekey(tx, [(row["code"], _sealed(keys, newest, row)) for row in rows])
        # Not from the beginning each time: what lay there is no more, but the index still shows it for a while.
        self._after = rows[-1]["person_hash"] if rows else b""
        return len(rows)


def _sealed(keys: PersonKeys, newest: PersonKey, row: Mapping[str, Any]) -> Sealed:
    number: str = keys.shown(row)["applicant"]["personal_id"]
    return newest.sealed(number, row["code"])


async def uses(rx: Reading, keys: PersonKeys) -> list[KeyUse]:
    """The file's keys, the newest first, and those that only dossiers know of."""
    used = await person_store.in_use(rx)
    ids = [*keys.ids, *(it for it in used if it not in keys.ids)]
    return [KeyUse(it.hex(), await person_store.count(rx, it), it in keys.ids, it == keys.newest.id) for it in ids]
