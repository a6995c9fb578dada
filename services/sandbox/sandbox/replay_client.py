"""One OAuth client of the hub as a partner would write it: lean, and deaf to faults that a repeat heals.

Every change carries an idempotency key, so any request whose answer is lost is simply sent again:
```
no connection, answer cut, 502 503 504, 429   wait (Retry-After, else longer each time), repeat
409 request_in_progress                       the first is still running: wait, repeat
500                                           repeat a few times: the hub may have died in the middle
401                                           a fresh token, repeat
anything else                                 the answer
```
After `patience_seconds` without one good answer it gives up.
"""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

NDJSON = "application/x-ndjson"
JSON = "application/json"
_WAIT_AND_REPEAT = frozenset((429, 502, 503, 504))
_BUGS_REPEATED = 5
_LONGEST_WAIT_SECONDS = 3.0
_LEFT_OF_TOKEN_SECONDS = 60


class GaveUp(Exception):
    """The hub did not answer well for longer than the player's patience; the message is one sentence."""


class Refused(Exception):
    """The hub said no to what the plan needs; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body."""

    status: int
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def problem(self) -> str:
        """The problem's code and detail, for a sentence to people."""
        try:
            problem = self.json()
            return f"{self.status} {problem['code']}: {problem.get('detail', '')} {problem.get('errors', '')}".strip()
        except (ValueError, KeyError, TypeError):
            return f"{self.status} {self.body[:200]!r}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A client's name and secret at the gateway."""

    client_id: str
    client_secret: str


@dataclass(slots=True)
class Tally:
    """What it took: requests sent, and how many of them were repeats."""

    requests: int = 0
    repeats: int = 0


class Http:
    """Requests to one base address, without credentials: the sandbox's controls. Safe to share between tasks."""

    def __init__(
        self, session: aiohttp.ClientSession, base: str, *, patience_seconds: float = 120, tally: Tally | None = None
    ) -> None:
        self.session = session
        self.base = base.rstrip("/")
        self.patience_seconds = patience_seconds
        self.tally = tally or Tally()

    async def authorization(self) -> dict[str, str]:
        """The header that says who asks."""
        return {}

    def forget_authorization(self) -> None:
        """It was not accepted."""

    async def items(self, path: str, params: Mapping[str, str] | None = None) -> AsyncIterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        asked = {"limit": "500", **(params or {})}
        while True:
            page = await self.get(path, asked)
            for item in page["items"]:
                yield item
            if not page.get("next_cursor"):
                return
            asked["cursor"] = page["next_cursor"]

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The JSON at a path. Raises `Refused` for anything but 200."""
        answer = await self.send("GET", path, params=params)
        if answer.status != 200:
            raise Refused(f"GET {path} answered {answer.problem}")
        return answer.json()

    async def put(self, path: str, body: Any) -> Any:
        """Creates or changes. Raises `Refused`."""
        answer = await self.send("PUT", path, orjson.dumps(body))
        if answer.status not in (200, 201):
            raise Refused(f"PUT {path} answered {answer.problem}")
        return answer.json()

    async def post(self, path: str, body: Any, key: str | None = None) -> Answer:
        """One change under an idempotency key."""
        return await self.send("POST", path, orjson.dumps(body), headers={"Idempotency-Key": key} if key else None)

    async def batch(self, path: str, lines: Sequence[bytes]) -> list[dict[str, Any]]:
        """NDJSON in, its answers in order. Raises `Refused` when the batch as a whole is not accepted."""
        answer = await self.send("POST", path, b"\n".join(lines), content_type=NDJSON, lines=len(lines))
        if answer.status != 200:
            raise Refused(f"POST {path} answered {answer.problem}")
        return [orjson.loads(line) for line in answer.body.splitlines()]

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        params: Mapping[str, str] | None = None,
        content_type: str = JSON,
        headers: Mapping[str, str] | None = None,
        lines: int | None = None,
    ) -> Answer:
        """One request, repeated until it has an answer that stands. Raises `GaveUp`."""
        began, tries, bugs = time.monotonic(), 0, 0
        while True:
            self.tally.requests += 1
            wait, said = min(0.05 * 2**tries, _LONGEST_WAIT_SECONDS), ""
            try:
                sent = {**await self.authorization(), **(headers or {})}
                if body is not None:
                    sent["Content-Type"] = content_type
                url = self.base + path
                async with self.session.request(method, url, data=body, params=params, headers=sent) as response:
                    answer = Answer(response.status, await response.read())
                    retry_after = response.headers.get("Retry-After", "")
                said = answer.problem if answer.status >= 400 else ""
                if answer.status == 401:
                    self.forget_authorization()
                elif answer.status in _WAIT_AND_REPEAT:
                    wait = min(float(retry_after), 10.0) if retry_after.isdecimal() else wait
                elif answer.status == 500 and bugs < _BUGS_REPEATED:
                    bugs += 1
                elif answer.status == 200 and lines is not None and answer.body.count(b"\n") < lines - 1:
                    said = "the answer was cut"
                elif not (answer.status == 409 and b'"request_in_progress"' in answer.body):
                    return answer
            except (aiohttp.ClientError, TimeoutError, OSError) as fault:
                said = type(fault).__name__
            if time.monotonic() - began > self.patience_seconds:
                raise GaveUp(f"{method} {path} had no good answer for {self.patience_seconds:.0f} s: {said}.")
            tries += 1
            self.tally.repeats += 1
            await asyncio.sleep(wait)


class HubClient(Http):
    """One OAuth client of the hub (client_credentials, client_secret_basic)."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        gateway: str,
        credentials: Credentials,
        *,
        patience_seconds: float = 120,
        tally: Tally | None = None,
    ) -> None:
        super().__init__(session, gateway, patience_seconds=patience_seconds, tally=tally)
        pair = f"{quote(credentials.client_id, safe='')}:{quote(credentials.client_secret, safe='')}"
        self._basic = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        self._token = ""
        self._token_ends = 0.0
        self._renewing = asyncio.Lock()

    async def authorization(self) -> dict[str, str]:
        """A bearer token with some life left."""
        if time.monotonic() >= self._token_ends:
            async with self._renewing:
                if time.monotonic() >= self._token_ends:
                    await self._renew()
        return {"Authorization": f"Bearer {self._token}"}

    def forget_authorization(self) -> None:
        self._token_ends = 0.0

    async def _renew(self) -> None:
        form = {"grant_type": "client_credentials"}
        async with self.session.post(f"{self.base}/oauth/token", data=form, headers=self._basic) as response:
            if response.status in (400, 401, 403):
                raise Refused(f"The token endpoint answered {response.status} {await response.text()}")
            response.raise_for_status()
            granted = await response.json()
        self._token = granted["access_token"]
        lifetime = float(granted.get("expires_in", 300))
        self._token_ends = time.monotonic() + max(lifetime - _LEFT_OF_TOKEN_SECONDS, lifetime / 2)


def new_session() -> aiohttp.ClientSession:
    """A session for a replay: few connections, long answers allowed (a batch of a thousand lines takes its time)."""
    connector = aiohttp.TCPConnector(limit=48, keepalive_timeout=30)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=90, sock_connect=5))
