"""The dossier service's internal read: whose dossier it is and who applied (view `identity`)."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.auth import InternalToken
from shared.errors import UpstreamInvalid
from shared.http import Peer

MOST_CODES = 500
"""`/internal/dossiers/read` takes at most this many codes at once."""


class Dossiers:
    """Reads dossiers from the service that owns them, when and only when they are acted on."""

    def __init__(self, peer: Peer, token: InternalToken) -> None:
        self._peer = peer
        self._token = token

    async def read(self, codes: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """The dossiers with these codes, by code; unknown ones are left out."""
        answer = await self._peer.send(
            "POST",
            "/internal/dossiers/read",
            json={"codes": list(codes), "view": "identity"},
            headers=await self._token.header(),
        )
        if answer.status != 200:
            raise UpstreamInvalid("The dossier service cannot be read.", internal=f"HTTP {answer.status}")
        return {item["code"]: item for item in answer.json()["items"]}
