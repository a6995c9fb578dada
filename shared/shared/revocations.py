"""Which tokens no longer count, though they have not expired (RFC 7009): revoked anywhere within 60 s.

The gateway keeps the list in its database and serves it to the other services at `GET /oauth/revocations`; each asks
every 15 s. A copy older than a token can live is no list: nothing is believed any more (faults.md row 18).
"""

import time
from collections.abc import Mapping
from typing import Any

PATH = "/oauth/revocations"
EVERY_SECONDS = 15.0
STALE_SECONDS = 3600.0
"""Life of the longest token."""


class Revocations:
    """What was revoked, held in memory."""

    def __init__(self) -> None:
        self.tokens: set[str] = set()
        self.clients: dict[str, float] = {}
        """Client → tokens issued before this moment (seconds since 1970) no longer count."""
        self.refreshed_at = float("-inf")
        self._made_at = time.monotonic()

    def replace(self, tokens: set[str], clients: dict[str, float]) -> None:
        """Take over what the list says now."""
        self.tokens, self.clients = tokens, clients
        self.refreshed_at = time.monotonic()

    def take(self, told: Mapping[str, Any]) -> None:
        """Take over what the gateway answers."""
        self.replace(set(told["tokens"]), dict(told["clients"]))

    def hits(self, client_id: str, token_id: str, issued_at: float) -> bool:
        """Whether this token is revoked, or older than its client's last change."""
        return token_id in self.tokens or issued_at < self.clients.get(client_id, 0.0)

    def is_stale(self) -> bool:
        """Whether nobody has told us for so long that every token could be revoked."""
        return time.monotonic() - max(self.refreshed_at, self._made_at) > STALE_SECONDS
