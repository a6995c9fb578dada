"""The dossiers' records, read from the dossier service when they are about to be pushed (view `sync`)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import orjson

from shared.errors import UpstreamInvalid, UpstreamUnavailable
from shared.http import Peer
from sync_national.portal_record import Item

MAX_CODES = 500
_PATH = "/internal/dossiers/read"


class Dossiers:
    """`authorization` gives the header of the service's own token."""

    def __init__(self, peer: Peer, authorization: Callable[[], Awaitable[Mapping[str, str]]]) -> None:
        self._peer = peer
        self._authorization = authorization

    async def read(self, codes: Sequence[str]) -> dict[str, Item]:
        """Records by code; unknown codes are left out. Raises `Upstream`."""
        answer = await self._peer.send(
            "POST", _PATH, json={"codes": list(codes), "view": "sync"}, headers=await self._authorization()
        )
        if answer.status != 200:
            raise UpstreamUnavailable(internal=f"dossier service answered {answer.status}")
        try:
            # Our own service's answer: the strict decoder would be the dearest step of the whole delivery.
            items = orjson.loads(answer.content)["items"]
            return {item["code"]: item for item in items}
        except (ValueError, KeyError, TypeError) as fault:
            raise UpstreamInvalid(internal=f"dossier service: {fault!r}") from fault
