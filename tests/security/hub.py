"""The stack as an attacker with good credentials meets it: clients made to measure, tokens with chosen scopes."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx2

from gateway.token import ROLES, SCOPES
from tests.support.stack import Stack

OURS, THEIRS = ("H08.15",), ("H08.02",)
"""The agency whose token is tried, and the one whose objects it is tried on."""


@dataclass
class Hub:
    """A running stack, one kept-alive client, and credentials of clients registered for these tests."""

    stack: Stack
    http: httpx2.Client
    urls: dict[str, str]
    _clients: dict[str, tuple[str, str]] = field(default_factory=dict)
    _tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    def token(
        self, role: str, scopes: tuple[str, ...] = SCOPES, agencies: tuple[str, ...] = ("*",), name: str = "one"
    ) -> str:
        """A token of a client with this role and these agencies. Clients of another `name` are other clients."""
        client = f"security {name} {role} {' '.join(agencies)}"
        scope = " ".join(scopes)
        if (client, scope) not in self._tokens:
            form = {"grant_type": "client_credentials", "scope": scope}
            if client not in self._clients:
                self._clients[client] = self._registered(client, role, agencies)
            answer = self.http.post(f"{self.stack.gateway}/oauth/token", data=form, auth=self._clients[client])
            assert answer.status_code == 200, answer.text
            self._tokens[client, scope] = answer.json()["access_token"]
        return self._tokens[client, scope]

    def named(self, name: str) -> str:
        """A token of one of the clients that every local stack has."""
        return self.stack.headers(name)["authorization"].partition(" ")[2]

    def call(
        self, method: str, path: str, token: str | None = None, body: Any = None, *, at: str = "gateway", **more: Any
    ) -> httpx2.Response:
        """One request. A body that is no bytes goes as JSON; `at` may be a service that the gateway hides."""
        headers = {"content-type": "application/json"} if body is not None else {}
        headers |= {"authorization": f"Bearer {token}"} if token is not None else {}
        headers |= more.pop("headers", {})
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if path.startswith("/v1/sync/stream"):
            return self._opened(self.urls[at] + path, headers)
        if path.startswith("/v1/feed") and "wait=" not in path:
            path += f"{'&' if '?' in path else '?'}wait=0"
        return self.http.request(method, self.urls[at] + path, content=content, headers=headers, **more)

    def _opened(self, url: str, headers: dict[str, str]) -> httpx2.Response:
        """A stream that begins has no end to wait for."""
        with self.http.stream("GET", url, headers=headers) as answer:
            if answer.headers["content-type"].startswith("text/event-stream"):
                return httpx2.Response(answer.status_code, headers=answer.headers)
            answer.read()
            return answer

    def lines(self, path: str, token: str, *lines: dict[str, Any]) -> list[dict[str, Any]]:
        """The answers of an NDJSON batch."""
        body = b"\n".join(json.dumps(line).encode() for line in lines)
        answer = self.call("POST", path, token, body, headers={"content-type": "application/x-ndjson"})
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.content.splitlines()]

    def rows(self, package: str, query: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of one service's database, as its own workers see it."""
        url = json.loads((self.stack.folder / "stack.json").read_text())["postgres"][package]

        async def fetched() -> list[dict[str, Any]]:
            connection = await asyncpg.connect(url)
            try:
                return [dict(row) for row in await connection.fetch(query, *values)]
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as thread:  # the session's loop may be running
            return thread.submit(asyncio.run, fetched()).result()

    def parked(self, package: str, event_id: str) -> list[dict[str, Any]]:
        """Why a reader of this service did not take an event."""
        parked = "SELECT owner, reason, waiting FROM parked WHERE event_id = $1"
        if package == "dossier":
            parked += (
                " UNION ALL SELECT 'partner', reason, state = 'waiting' FROM ministry_event"
                " WHERE event_id = $1 AND state NOT IN ('applied', 'past')"
            )
        return self.rows(package, parked, event_id)

    def _registered(self, name: str, role: str, agencies: tuple[str, ...]) -> tuple[str, str]:
        assert role in ROLES
        admin = self.named("bootstrap")
        asked = {"name": name, "role": role, "scope": list(SCOPES), "agencies": list(agencies)}
        answer = self.call("POST", "/v1/clients", admin, asked)
        assert answer.status_code == 201, answer.text
        client = answer.json()
        assert self.call("POST", f"/v1/clients/{client['client_id']}/approve", admin).status_code == 200
        return client["client_id"], client["client_secret"]


def shape(answer: httpx2.Response) -> tuple[int, tuple[str, ...], Any]:
    """What tells one refusal from another: status, names of headers, and the document."""
    told = (name for name in answer.headers if name not in ("date", "hub-exchange-id", "content-length"))
    return answer.status_code, tuple(sorted(told)), answer.json()
