"""The hub's public API, read with the operator's own token: the console shows nothing its user may not read."""

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from shared.errors import Forbidden, HubError, NotFound, Unauthenticated, UpstreamInvalid, UpstreamUnavailable
from shared.http import Answer, Peer


@dataclass(frozen=True, slots=True)
class Part:
    """One answer of several: the document, or why there is none."""

    document: Any = None
    fault: HubError | None = None

    def items(self) -> list[dict[str, Any]]:
        """The list in the document; empty when it could not be read."""
        found = (self.document or {}).get("items") or []
        return list(found)


class Hub:
    """Reads through the gateway."""

    def __init__(self, gateway: Peer) -> None:
        self._gateway = gateway

    async def get(self, token: str, path: str, **query: str | int) -> Any:
        """The JSON of one read. Raises `Unauthenticated`, `Forbidden`, `NotFound` or an upstream error."""
        target = f"{path}?{urlencode(query)}" if query else path
        headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        return _document(await self._gateway.send("GET", target, headers=headers))

    async def part(self, token: str, path: str, **query: str | int) -> Part:
        """The same, where the page can do without: a lost sign-in still ends it."""
        try:
            return Part(document=await self.get(token, path, **query))
        except Unauthenticated:
            raise
        except HubError as fault:
            return Part(fault=fault)

    async def parts(self, token: str, *wanted: tuple[str, dict[str, str | int]]) -> list[Part]:
        """Several at once."""
        return list(await asyncio.gather(*(self.part(token, path, **query) for path, query in wanted)))


def path(template: str, code: str) -> str:
    """A path with a dossier's code in it, whatever the code contains."""
    return template.format(quote(code, safe=""))


def _document(answer: Answer) -> Any:
    known: dict[int, type[HubError]] = {401: Unauthenticated, 403: Forbidden, 404: NotFound, 422: NotFound}
    if answer.status in known:
        raise known[answer.status]
    if answer.status == 200:
        return answer.json()
    if answer.status >= 500 or answer.status == 429:
        raise UpstreamUnavailable(internal=f"the gateway answered {answer.status}", retry_after_seconds=5)
    raise UpstreamInvalid(internal=f"the gateway answered {answer.status}")
