"""Sealing of what must be kept but not read: AES-256-GCM with key ids, so that keys can be rotated.

The key file holds one key a line, 64 hexadecimal digits (32 bytes). The first seals; all of them open. To rotate, put a
new line on top; the old lines stay as long as anything sealed with them is kept.
"""

import hashlib
import hmac
import os
import zlib
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
# An opened text larger than this was not sealed by us: SOAP messages are a few kilobytes.
_LARGEST_BYTES = 4 << 20


class Sealer:
    """Seals and opens texts; every sealed text is bound to the row it belongs to (`belongs_to`)."""

    def __init__(self, keys: list[bytes]) -> None:
        if not keys or any(len(key) != 32 for key in keys):
            raise ValueError("the encryption key file needs one key of 32 bytes in hexadecimal digits a line")
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._current = _key_id(keys[0])
        # The cache compares people without knowing them: a keyed digest, from a key derived for this one use.
        self._digest_key = hmac.new(keys[0], b"subject digest", hashlib.sha256).digest()

    @classmethod
    def from_file(cls, path: Path) -> "Sealer":
        """Read the keys; called once at start."""
        lines = [line.strip() for line in path.read_text().splitlines() if line.strip()]
        return cls([bytes.fromhex(line) for line in lines])

    @property
    def key_id(self) -> str:
        """The key that seals now; stored beside what it sealed."""
        return self._current

    def seal(self, text: bytes, belongs_to: str) -> bytes:
        """The text, deflated and encrypted with the current key."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._ciphers[self._current].encrypt(nonce, zlib.compress(text, 1), belongs_to.encode())

    def open(self, sealed: bytes, key_id: str, belongs_to: str) -> bytes:
        """The text again; raises when the key is gone or the text was moved or changed."""
        plain = self._ciphers[key_id].decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], belongs_to.encode())
        return zlib.decompressobj().decompress(plain, _LARGEST_BYTES)

    def digest(self, text: str) -> bytes:
        """A keyed digest: equal for equal texts, telling nothing without the key."""
        return hmac.new(self._digest_key, text.encode(), hashlib.sha256).digest()


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"key id" + key).hexdigest()[:8]
