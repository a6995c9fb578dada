"""Cookies that only the console can read or make: AES-256-GCM, with what they are for and when they end inside."""

import base64
import binascii
import os
import time
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared import strict_json

_NONCE_BYTES = 12
MAX_BYTES = 4000
"""Browsers keep at least 4096 bytes of a cookie with its name and attributes."""


class CookieTooLarge(Exception):
    """The browser would drop it silently."""


class Cookies:
    """Seals small documents. The key file holds 32 bytes in hex."""

    def __init__(self, key_file: Path) -> None:
        self._cipher = AESGCM(bytes.fromhex(key_file.read_text().strip()))

    def seal(self, purpose: str, document: dict[str, Any], life_seconds: float) -> str:
        """The cookie's text. Raises `CookieTooLarge`."""
        content = strict_json.dumps({"ends_at": time.time() + life_seconds, "document": document})
        nonce = os.urandom(_NONCE_BYTES)
        text = base64.urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, content, purpose.encode())).decode()
        if len(text) > MAX_BYTES:
            raise CookieTooLarge(f"{purpose}: {len(text)} bytes")
        return text

    def open(self, purpose: str, text: str | None) -> dict[str, Any] | None:
        """What was sealed for this purpose; None when it is missing, not ours, or over."""
        try:
            sealed = base64.b64decode((text or "").encode("ascii"), altchars=b"-_", validate=True)
            content = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose.encode())
        except (InvalidTag, UnicodeEncodeError, binascii.Error, ValueError):
            return None
        opened = strict_json.loads(content)
        document: dict[str, Any] = opened["document"]
        return document if opened["ends_at"] > time.time() else None
