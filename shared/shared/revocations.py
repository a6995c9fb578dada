"""Which tokens no longer count, though they have not expired (RFC 7009): revoked anywhere within 60 s.

The gateway keeps the list in its database and serves it to the other services at `GET /oauth/revocations`; each asks
every 15 s. A copy older than a token can live is no list: nothing is believed any more (faults.md row 18).
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from shared.errors import UpstreamInvalid
from shared.http import Peer

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

    def hits(self, client_id: str, token_id: str, issued_at: float) -> bool:
        """Whether this token is revoked, or older than its client's last change."""
        return token_id in self.tokens or issued_at < self.clients.get(client_id, 0.0)

    def is_stale(self) -> bool:
        """Whether nobody has told us for so long that every token could be revoked."""
        return time.monotonic() - max(self.refreshed_at, self._made_at) > STALE_SECONDS


class RevocationCopy:
    """Keeps a service's copy level with the gateway's list; `authorization` gives the service's own token."""

    def __init__(
        self, gateway_url: str, authorization: Callable[[], Awaitable[dict[str, str]]], revocations: Revocations
    ) -> None:
        self._peer = Peer("gateway", gateway_url, deadline_seconds=5.0, concurrency=1)
        self._authorization = authorization
        self._revocations = revocations

    async def step(self) -> int:
        """Ask once. Raises `Upstream` errors; then the copy stays as it is."""
        answer = await self._peer.send("GET", "/oauth/revocations", headers=await self._authorization())
        if answer.status != 200:
            raise UpstreamInvalid("The list of revocations was refused", internal=str(answer.status))
        told: dict[str, Any] = answer.json()
        self._revocations.replace(set(told["tokens"]), dict(told["clients"]))
        return 0

    async def close(self) -> None:
        """Close the pool."""
        await self._peer.close()
