"""Agencies that have ended, and who has their dossiers today: a caller of an agency may act for those that ended in it.

The dossier service keeps the catalogue and tells it at `GET /internal/agencies/successions`; the other services ask
every few seconds. While it is away, what it told last holds.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from shared.auth import Caller
from shared.errors import UpstreamInvalid
from shared.http import Peer

EVERY_SECONDS = 5.0
_MOST_REMEMBERED = 10_000


class Successions:
    """Code of an ended agency → code of the one that has its dossiers now."""

    def __init__(self) -> None:
        self._now: Mapping[str, str] = {}
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}

    def replace(self, now: Mapping[str, str]) -> None:
        """Take over what is so today."""
        if now != self._now:
            self._now, self._known = dict(now), {}

    def widen(self, caller: Caller) -> Caller:
        """The caller, who also has the dossiers of the agencies that his succeeded."""
        if not self._now or "*" in caller.agencies:
            return caller
        if caller.agencies not in self._known:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            own = (old for old, now in self._now.items() if caller.covers(now) and not caller.covers(old))
            self._known[caller.agencies] = tuple(sorted(own))
        more = self._known[caller.agencies]
        return replace(caller, agencies=(*caller.agencies, *more)) if more else caller


class SuccessionCopy:
    """Keeps a service's copy level with the catalogue; `authorization` gives the service's own token."""

    def __init__(
        self, dossier_url: str, authorization: Callable[[], Awaitable[dict[str, str]]], successions: Successions
    ) -> None:
        self._peer = Peer("successions", dossier_url, deadline_seconds=5.0, concurrency=1)
        self._authorization = authorization
        self._successions = successions

    async def step(self) -> int:
        """Ask once. Raises `Upstream` errors; then the copy stays as it is."""
        answer = await self._peer.send("GET", "/internal/agencies/successions", headers=await self._authorization())
        if answer.status != 200:
            raise UpstreamInvalid("The successions of agencies were refused", internal=str(answer.status))
        told: dict[str, Any] = answer.json()
        self._successions.replace({str(ended): str(now) for ended, now in told["items"].items()})
        return 0

    async def close(self) -> None:
        """Close the pool."""
        await self._peer.close()
