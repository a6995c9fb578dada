"""Seals: signed heads of the chains, kept outside the database.

Whoever may write every table can cut the log's tail and its head with it, rewrite everything from one record on, or put
an old copy of the database back: the log alone looks sound then. So every minute the heads that have moved are signed
with the gateway's key and appended to a file that stands on another volume (`HUB_SEAL_FILE`), one compact JWS a line.
What was written since the last seal is not protected; the key and the file together are what must be kept from whoever
administers the database.

A gateway that cannot seal for hours stops taking exchanges (faults.md P6; X-Road: four hours).
"""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gateway import store_exchanges
from gateway.keys import ALGORITHMS, Keys
from gateway.recording import Recorder
from shared import clock
from shared.db import Database
from shared.telemetry import log

_TYPE = "hub-seal+jwt"
_SIGNATURE_CHARACTERS = 86
"""64 bytes in base64url, of ES256 and Ed25519 alike; a line whose signature has less was cut off."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A chain's head at a moment, as a seal tells it."""

    chain: str
    seq: int
    digest: bytes
    at: datetime


class SealBroken(Exception):
    """A line of the file is no seal of this hub."""


class Sealing:
    """Appends a seal whenever a head has moved; one file per copy of the gateway."""

    def __init__(
        self, database: Database, keys: Keys, recorder: Recorder, path: Path, *, stale_after_seconds: float
    ) -> None:
        self._database = database
        self._keys = keys
        self._recorder = recorder
        self._path = path
        self._stale_after_seconds = stale_after_seconds
        self._known: dict[str, int] = {}
        self._sealed_at = time.monotonic()

    async def step(self) -> int:
        """Seal what has moved since the last time."""
        async with self._database.reading() as rx:
            heads = [head for head in await store_exchanges.heads(rx) if head["seq"] != self._known.get(head["id"])]
        try:
            if heads:
                await asyncio.to_thread(self._append, self._keys.sign(_claims(heads), _TYPE))
        except OSError as fault:
            seconds = time.monotonic() - self._sealed_at
            self._recorder.is_sealed = seconds < self._stale_after_seconds
            log.error("exchange_log_not_sealed", fault=repr(fault), since_seconds=int(seconds))
            return 0
        self._known |= {head["id"]: head["seq"] for head in heads}
        self._sealed_at = time.monotonic()
        self._recorder.is_sealed = True
        return 0

    def _append(self, seal: str) -> None:
        """One line, durable; what a crash left half-written is ended first."""
        with self._path.open("ab") as file:
            file.write(b"" if _ends_well(self._path) else b"\n")
            file.write(seal.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def read(path: Path, public_jwks: Mapping[str, Any]) -> list[Sealed]:
    """Every head in a file of seals, oldest first. Raises `SealBroken`; a line cut off by a crash is passed over."""
    keys = KeySet.import_key_set(public_jwks)  # type: ignore[arg-type]  # read from JSON
    sealed: list[Sealed] = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if line.count(".") < 2 or len(line.rpartition(".")[2]) < _SIGNATURE_CHARACTERS:
            continue
        try:
            seal = jwt.decode(line, keys, algorithms=ALGORITHMS)
            if seal.header.get("typ") != _TYPE:
                raise SealBroken(f"line {number} is signed, but no seal")
            at = datetime.fromisoformat(seal.claims["at"])
            sealed += [Sealed(it["chain"], it["seq"], bytes.fromhex(it["digest"]), at) for it in seal.claims["heads"]]
        except (JoseError, KeyError, TypeError, ValueError) as fault:
            raise SealBroken(f"line {number} is no seal of these keys: {type(fault).__name__}") from fault
    return sealed


def _claims(heads: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "at": clock.now().isoformat(),
        "heads": [{"chain": it["id"], "seq": it["seq"], "digest": it["digest"].hex()} for it in heads],
    }


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        if file.tell() == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
