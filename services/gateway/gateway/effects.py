"""What exchanges left behind: the services' own lists of exchange ids kept beside their effects."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from shared.auth import InternalToken
from shared.errors import UpstreamInvalid
from shared.http import Peer

# Ten seconds of effects at the highest rate the hub reaches.
_MOST_BYTES = 32 * 1024 * 1024
_DEADLINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Effect:
    """One exchange that changed something."""

    exchange_id: str
    client_id: str
    dossier_codes: tuple[str, ...]
    recorded_at: datetime


class Effects:
    """The dossier service's list: it is the only one whose transitions keep their exchange."""

    def __init__(self, dossier_url: str, token: InternalToken) -> None:
        self._peer = Peer(
            "dossier effects", dossier_url, deadline_seconds=_DEADLINE_SECONDS, max_bytes=_MOST_BYTES, concurrency=1
        )
        self._token = token

    async def recorded(self, after: datetime, until: datetime) -> list[Effect]:
        """Exchanges with an effect recorded in this time (after < recorded ≤ until)."""
        window = urlencode({"after": after.isoformat(), "until": until.isoformat()})
        answer = await self._peer.send("GET", f"/internal/exchanges?{window}", headers=await self._token.header())
        if answer.status != 200:
            raise UpstreamInvalid("The dossier service cannot be read.", internal=f"HTTP {answer.status}")
        try:
            return [_effect(item) for item in answer.json()["items"]]
        except (KeyError, TypeError, ValueError) as fault:
            raise UpstreamInvalid("The dossier service's list cannot be read.", internal=repr(fault)) from fault

    async def close(self) -> None:
        """Close the connections."""
        await self._peer.close()


def _effect(item: dict[str, Any]) -> Effect:
    return Effect(
        item["exchange_id"],
        item["client_id"],
        tuple(item["dossier_codes"]),
        datetime.fromisoformat(item["recorded_at"]),
    )
