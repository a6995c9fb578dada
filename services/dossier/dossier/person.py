"""A person's number, kept so that it can be found and shown, and yet a stolen table does not give it.

```
person_hash     key id (4 bytes) + keyed hash (28 bytes)         an index finds a person's dossiers by it
person_sealed   key id + nonce (12) + AES-256-GCM of the number  opened for whoever states a purpose; bound to the code
```
The key file holds one key a line, 32 bytes in hex, the newest on top; all of them find and open. A new line on top
begins a rotation (`rekeying`). Both uses have keys of their own, derived from the line's.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.errors import Overloaded
from shared.telemetry import COUNTERS, log

KEY_ID_BYTES = 4
BEFORE = bytes(KEY_ID_BYTES)
"""Stands for the key id where the number is not sealed yet: rows from before migration 0016."""
_NONCE_BYTES = 12


class KeyMissing(Exception):
    """Something is sealed with a key that the file does not hold: put its line back."""


class PersonKeyMissing(Overloaded):
    """Dossiers lie under a key that the key file does not hold."""

    code, title = "person_key_missing", "A key of personal IDs is missing"


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is stored of one number."""

    hash: bytes
    sealed: bytes


class PersonKey:
    """One line of the key file."""

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise ValueError("a person key is 32 bytes in hexadecimal digits")
        self.id = _derived(key, b"key id")[:KEY_ID_BYTES]
        self._raw, self._hash_key, self._cipher = key, _derived(key, b"hash"), AESGCM(_derived(key, b"seal"))

    def hash(self, personal_id: str) -> bytes:
        """BLAKE2b in keyed mode (RFC 7693 §2.9): a MAC, and three times as fast as HMAC-SHA-256."""
        return self.id + hashlib.blake2b(personal_id.encode(), key=self._hash_key, digest_size=28).digest()

    def hash_before(self, personal_id: str) -> bytes:
        """As rows had it before migration 0016."""
        return BEFORE + hashlib.blake2b(personal_id.encode(), key=self._raw, digest_size=32).digest()

    def sealed(self, personal_id: str, code: str) -> Sealed:
        """What is stored of it: readable with this key and for this dossier only."""
        nonce = os.urandom(_NONCE_BYTES)
        text = self._cipher.encrypt(nonce, personal_id.encode(), code.encode())
        return Sealed(self.hash(personal_id), self.id + nonce + text)

    def open(self, sealed: bytes, code: str) -> str:
        """The number again. Raises cryptography's InvalidTag when it was changed or moved."""
        nonce, rest = sealed[KEY_ID_BYTES:][:_NONCE_BYTES], sealed[KEY_ID_BYTES + _NONCE_BYTES :]
        return self._cipher.decrypt(nonce, rest, code.encode()).decode()


class PersonKeys:
    """All lines of the key file. `writing` is the newest as soon as every copy of the service can read it."""

    def __init__(self, keys: Sequence[PersonKey]) -> None:
        if not keys:
            raise ValueError("the key file of personal IDs needs one key of 32 bytes in hexadecimal digits a line")
        self.keys = tuple(keys)
        self.writing = keys[-1]
        self.lacks_some = False
        """Whether dossiers lie under a key that is not here."""
        self._by_id = {key.id: key for key in keys}

    @classmethod
    def from_file(cls, path: Path) -> "PersonKeys":
        """Read the lines, the newest first. The oldest writes until `rekeying.refresh` says otherwise."""
        lines = [line.strip() for line in path.read_text("ascii").splitlines() if line.strip()]
        return cls([PersonKey(bytes.fromhex(line)) for line in lines])

    @property
    def newest(self) -> PersonKey:
        """The first line."""
        return self.keys[0]

    @property
    def ids(self) -> tuple[bytes, ...]:
        """In the order of the file."""
        return tuple(key.id for key in self.keys)

    def beside(self, others: Sequence[PersonKey]) -> "PersonKeys":
        """With these behind its own."""
        return PersonKeys([*self.keys, *others])

    def take(self, other: "PersonKeys") -> None:
        """Hold what the other holds: the file has changed."""
        self.keys, self._by_id, self.writing = other.keys, other._by_id, other.writing
        self.lacks_some = other.lacks_some

    def sealed(self, personal_id: str | None, code: str) -> Sealed | None:
        """What is stored of it; nothing of nobody."""
        return None if personal_id is None else self.writing.sealed(personal_id, code)

    def hashes(self, personal_id: str) -> list[bytes]:
        """Under which this person's dossiers are found, whichever key wrote them. Raises `PersonKeyMissing`: some would
        not be found.
        """
        if self.lacks_some:
            raise PersonKeyMissing
        return [key.hash(personal_id) for key in self.keys] + [key.hash_before(personal_id) for key in self.keys]

    def opened(self, sealed: bytes, code: str) -> str:
        """The number. Raises `KeyMissing`."""
        key = self._by_id.get(sealed[:KEY_ID_BYTES])
        if key is None:
            raise KeyMissing(f"No line of the key file has the id {sealed[:KEY_ID_BYTES].hex()}")
        return key.open(sealed, code)

    def shown(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row, with the number among the members of its applicant."""
        applicant, sealed = row["applicant"], row["person_sealed"]
        number = applicant.get("personal_id") if sealed is None else self.opened(sealed, row["code"])
        return {**row, "applicant": {**applicant, "personal_id": number}}

    def shown_each(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Those whose number was neither changed nor moved: one that was is a bug, and holds up nobody else."""
        found = []
        for row in rows:
            try:
                found.append(self.shown(row))
            except InvalidTag:
                COUNTERS.bugs.labels("person keys").inc()
                log.error("person_unreadable", dossier=row["code"])
        return found


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hashlib.blake2b(purpose, key=key, digest_size=32, person=b"lgsp person").digest()
