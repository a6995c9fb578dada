"""The dossier service's internal read: who acts on a dossier asks for what it needs of it then, and keeps no copy."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

import orjson

from shared.errors import UpstreamInvalid
from shared.http import Peer

MOST_CODES = 500
"""`/internal/dossiers/read` takes at most this many codes at once."""
View = Literal["identity", "payment", "sync"]


class Dossiers:
    """`authorization` gives the header of the service's own token; `view` what is shown of a dossier."""

    def __init__(self, peer: Peer, authorization: Callable[[], Awaitable[Mapping[str, str]]], view: View) -> None:
        self._peer = peer
        self._authorization = authorization
        self._view = view

    async def read(self, codes: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """The dossiers with these codes, by code; unknown ones are left out. Raises `Upstream`."""
        question = {"codes": list(codes), "view": self._view}
        answer = await self._peer.send(
            "POST", "/internal/dossiers/read", json=question, headers=await self._authorization()
        )
        if answer.status != 200:
            raise UpstreamInvalid("The dossier service cannot be read.", internal=f"HTTP {answer.status}")
        try:
            # Our own service's answer: the strict decoder would be the dearest step of a whole delivery.
            return {item["code"]: item for item in orjson.loads(answer.content)["items"]}
        except (ValueError, KeyError, TypeError) as fault:
            raise UpstreamInvalid("The dossier service cannot be read.", internal=repr(fault)) from fault
