"""The hub's public API, used with the operator's own token: the console shows and does nothing its user may not.

Who did what and why goes to the exchange log as for every other caller; the reason travels in the body, or in
`Hub-Purpose` where a body has no place for it. Each action carries the idempotency key of the form that asked for it.
"""

import asyncio
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from shared.errors import (
    Forbidden,
    HubError,
    InvalidRequest,
    NotFound,
    Unauthenticated,
    UpstreamInvalid,
    UpstreamUnavailable,
)
from shared.http import Answer, Peer

Pieces = AsyncIterable[bytes]
_FILE_SECONDS = 60.0
"""As long as the gateway gives a service for its answer."""


class Refused(HubError):
    """The hub said no to an action; `reason` is the refusing service's code, `pointers` the members it refused."""

    status, code, title = 409, "refused", "The hub refused the action"

    def __init__(self, reason: str, pointers: Sequence[str] = ()) -> None:
        super().__init__(internal=reason)
        self.reason = reason
        self.pointers = tuple(pointers)


@dataclass(frozen=True, slots=True)
class Part:
    """One answer of several: the document, or why there is none."""

    document: Any = None
    fault: HubError | None = None

    def items(self) -> list[dict[str, Any]]:
        """The list in the document; empty when it could not be read."""
        found = (self.document or {}).get("items") or []
        return list(found)


@dataclass(frozen=True, slots=True)
class Ask:
    """What an operator's form asks for: `key` is the form's own, so that sending it twice acts once."""

    path: str
    key: str
    body: Mapping[str, Any] | None = None
    purpose: str = ""


class Hub:
    """Reads and acts through the gateway."""

    def __init__(self, gateway: Peer) -> None:
        self._gateway = gateway

    async def get(self, token: str, path: str, **query: str | int) -> Any:
        """The JSON of one read. Raises what the gateway answered: 401, 403, 404, 422, or an upstream error."""
        target = f"{path}?{urlencode(query)}" if query else path
        headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        return _document(await self._gateway.send("GET", target, headers=headers))

    async def act(self, token: str, ask: Ask) -> Any:
        """The JSON of one action's answer. Raises `Refused`, `Unauthenticated`, `NotFound` or an upstream error."""
        headers = {**_headers(token, ask.key), **({"hub-purpose": quote(ask.purpose)} if ask.purpose else {})}
        return _done(await self._gateway.send("POST", ask.path, json=ask.body or {}, headers=headers))

    async def send_file(self, token: str, target: str, key: str, media_type: str, size: int, file: Pieces) -> Any:
        """The same for a file as the body."""
        headers = {**_headers(token, key), "content-type": media_type, "content-length": str(size)}
        sent = self._gateway.send("POST", target, content=file, headers=headers, deadline_seconds=_FILE_SECONDS)
        return _done(await sent)

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


def place_of(cursor: str | None) -> dict[str, str]:
    """A list's query for its next page."""
    return {"cursor": cursor} if cursor else {}


def rest_of(found: Mapping[str, Any], **asked: str | int) -> str | None:
    """The query of a page's address where its list goes on; None at its end. `asked`: what narrows the list."""
    if not found["next_cursor"]:
        return None
    return urlencode({name: value for name, value in asked.items() if value} | {"cursor": found["next_cursor"]})


def _headers(token: str, key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "accept": "application/json", "idempotency-key": key}


def _done(answer: Answer) -> Any:
    if answer.status == 201:
        return answer.json()
    if answer.status in {400, 403, 409, 412, 413, 415, 422}:
        problem = answer.json()
        raise Refused(str(problem.get("code", "")), [str(it["pointer"]) for it in problem.get("errors") or ()])
    return _document(answer)


def _document(answer: Answer) -> Any:
    known: dict[int, type[HubError]] = {401: Unauthenticated, 403: Forbidden, 404: NotFound, 422: InvalidRequest}
    if answer.status in known:
        raise known[answer.status]
    if answer.status == 200:
        return answer.json()
    if answer.status >= 500 or answer.status == 429:
        raise UpstreamUnavailable(internal=f"the gateway answered {answer.status}", retry_after_seconds=5)
    raise UpstreamInvalid(internal=f"the gateway answered {answer.status}")
