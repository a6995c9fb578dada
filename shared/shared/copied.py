"""What a neighbour knows and everybody needs at once is copied: asked for every few seconds, never for a request."""

from collections.abc import Awaitable, Callable
from typing import Any

from shared.errors import UpstreamInvalid
from shared.http import Peer


class Copied:
    """Gives what a neighbour answers at `path` to `take`; while it is away, what it told last holds.

    `authorization` gives the service's own token.
    """

    def __init__(
        self, url: str, path: str, authorization: Callable[[], Awaitable[dict[str, str]]], take: Callable[[Any], None]
    ) -> None:
        self._peer = Peer(f"copy of {path}", url, deadline_seconds=5.0, concurrency=1)
        self._path = path
        self._authorization = authorization
        self._take = take

    async def step(self) -> int:
        """Ask once. Raises `Upstream` errors; then the copy stays as it is."""
        answer = await self._peer.send("GET", self._path, headers=await self._authorization())
        if answer.status != 200:
            raise UpstreamInvalid(f"{self._path} was refused", internal=str(answer.status))
        self._take(answer.json())
        return 0

    async def close(self) -> None:
        """Close the pool."""
        await self._peer.close()
