"""What exchanges left behind: every service's own list of exchange ids kept beside their effects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from shared import exchanges
from shared.auth import InternalToken
from shared.db import Database
from shared.errors import UpstreamInvalid
from shared.http import Peer

# Ten seconds of effects at the highest rate the hub reaches.
_MOST_BYTES = 32 * 1024 * 1024
_DEADLINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Effect:
    """One exchange that changed something."""

    exchange_id: str
    client_id: str | None
    dossier_codes: tuple[str, ...]
    recorded_at: datetime


class Effects(Protocol):
    """The list of one service."""

    service: str

    async def recorded(self, after: datetime, until: datetime, exchange_id: str | None = None) -> Sequence[Effect]:
        """Exchanges (or this one) with an effect recorded in this time (after < recorded ≤ until)."""


class EffectsElsewhere:
    """The list of another service, asked over HTTP."""

    def __init__(self, service: str, url: str, token: InternalToken) -> None:
        self.service = service
        self._peer = Peer(
            f"{service} effects", url, deadline_seconds=_DEADLINE_SECONDS, max_bytes=_MOST_BYTES, concurrency=1
        )
        self._token = token

    async def recorded(self, after: datetime, until: datetime, exchange_id: str | None = None) -> Sequence[Effect]:
        """Asks. Raises `Upstream` errors."""
        window = {"after": after.isoformat(), "until": until.isoformat()}
        if exchange_id is not None:
            window["exchange_id"] = exchange_id
        path = f"/internal/exchanges?{urlencode(window)}"
        answer = await self._peer.send("GET", path, headers=await self._token.header())
        if answer.status != 200:
            raise UpstreamInvalid("The service's effects cannot be read.", internal=f"HTTP {answer.status}")
        try:
            return [
                _effect(item | {"recorded_at": datetime.fromisoformat(item["recorded_at"])})
                for item in answer.json()["items"]
            ]
        except (KeyError, TypeError, ValueError) as fault:
            raise UpstreamInvalid("The service's effects cannot be read.", internal=repr(fault)) from fault

    async def close(self) -> None:
        """Close the connections."""
        await self._peer.close()


class EffectsHere:
    """The gateway's own: events taken in, clients changed. Log and effects are two transactions here as well."""

    service = "gateway"

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recorded(self, after: datetime, until: datetime, exchange_id: str | None = None) -> Sequence[Effect]:
        """Reads its own table."""
        async with self._database.reading() as rx:
            return [_effect(row) for row in await exchanges.kept(rx, after, until, exchange_id)]


def _effect(item: Mapping[str, Any]) -> Effect:
    return Effect(item["exchange_id"], item["client_id"], tuple(item["dossier_codes"]), item["recorded_at"])
