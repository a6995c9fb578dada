"""The fast path: one ASGI layer in front of everything that lets in, sends on, records, and only then answers.

```
request ─▶ route (404 405) ─▶ token or partner (401) ─▶ scope (403) ─▶ quota (429) ─▶ size (413) ─▶ log writable? (503)
        ─▶ a place (429 503) ─▶ service, or the gateway's own routes ─▶ record committed ─▶ answer
```
A refusal of a known caller is an exchange too and recorded; one of an unknown caller, or for want of room, is only
counted: whoever sends too much must not be able to make the log the next thing that is too much.
An answer larger than the cap streams: a record `opening` before its first byte leaves, `closing` after its last.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from time import monotonic, perf_counter

from fastapi import FastAPI
from prometheus_client import Histogram
from starlette.types import Message, Receive, Scope, Send

from gateway import body as bodies
from gateway import header, streaming, turning_away
from gateway.admitting import Admission
from gateway.call import CALL, Call, concerned, evidence
from gateway.connection import Answer
from gateway.header import Incoming
from gateway.partner_door import PartnerDoor
from gateway.recording import Recorder
from gateway.room import Crowded, Room
from gateway.route import Kind, Match, Table
from gateway.turning_away import TurningAway
from gateway.upstream import Upstream
from shared import clock, problems
from shared.crashpoint import crashpoint
from shared.errors import HubError, TooManyRequests
from shared.events import new_id
from shared.telemetry import HISTOGRAMS, log

_PIECE = 128 * 1024
_PIECE_SECONDS = 30.0
"""A caller that takes less than a piece in this time is let go."""


class Forwarding:
    """What the layer needs, wired by `main`."""

    def __init__(
        self,
        admission: Admission,
        recorder: Recorder,
        upstreams: Mapping[str, Upstream],
        *,
        table: Table,
        rooms: Mapping[tuple[str, Kind], Room],
        waiting: Mapping[str, Upstream],
        answer_cap: int,
        body_deadline_seconds: float,
        most_held_bytes: int,
        portal_door: PartnerDoor,
    ) -> None:
        self.admission = admission
        self.portal_door = portal_door
        self.recorder = recorder
        self.upstreams = upstreams
        self.table = table
        self.rooms = rooms
        """By service and kind: a few batches keep a service busy for long, and those who wait for news only wait."""
        self.waiting = waiting
        """By service: connections of those who wait for news."""
        self.turning_away = TurningAway(table, rooms)
        self.answer_cap = answer_cap
        self.body_deadline_seconds = body_deadline_seconds
        self.most_held_bytes = most_held_bytes
        self.held_bytes: Counter[str] = Counter()
        """By caller: bodies that are here."""

    @contextmanager
    def holding(self, who: str, size: int) -> Iterator[None]:
        """Room for a request's body while it is here, as in `Room`: nobody has more than is left. Raises `Crowded`."""
        if size and self.held_bytes[who] + size > self.most_held_bytes - self.held_bytes.total():
            raise Crowded(retry_after_seconds=1)
        self.held_bytes[who] += size
        try:
            yield
        finally:
            self.held_bytes[who] -= size
            if not self.held_bytes[who]:
                del self.held_bytes[who]


class Front:
    """The ASGI layer."""

    def __init__(self, own_routes: FastAPI, forwarding: Forwarding) -> None:
        self.own_routes = own_routes
        self._to = forwarding
        self.refusal = forwarding.turning_away.refusal
        """For the protocol in front: what it may answer without asking further."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.own_routes(scope, receive, send)
            return
        path = scope["raw_path"].decode("ascii", "replace") if "raw_path" in scope else scope["path"]
        try:
            match = self._to.table.find(scope["method"], path)
        except HubError as refusal:
            await _send(send, _problem(refusal), new_id())
            return
        if not match.route.is_recorded and match.route.service == "gateway":
            await self.own_routes(scope, receive, send)
            return
        try:
            await self._exchange(scope, receive, send, match, path)
        except Exception as fault:
            response = problems.bug(fault, "gateway")
            await _send(send, Answer(response.status_code, list(response.raw_headers), bytes(response.body)), new_id())

    async def _exchange(self, scope: Scope, receive: Receive, send: Send, match: Match, path: str) -> None:
        started = perf_counter()
        call = Call(match, Incoming(), new_id(), clock.now(), path, scope["query_string"])
        try:
            call.incoming = header.incoming(scope["headers"])
            await self._admit(call, scope)
            self._to.recorder.require()
            room = self._to.rooms[match.route.service, match.route.kind]
            room.require(call.who)  # before the body is read; it may have filled by then
            with self._to.holding(call.who, call.held_bytes):
                answer = await self._placed(room, call, scope, receive)
        except (TooManyRequests, Crowded) as refusal:
            turning_away.count(match.route.service, refusal.status)
            if call.client_id is not None and call.incoming.authorization is not None:
                self._to.turning_away.remember(call.incoming.authorization, call.client_id)
            await _send(send, _problem(refusal), call.exchange_id)
            return
        except HubError as refusal:
            if refusal.status >= 500:
                log.warning("request_failed", code=refusal.code, route=match.route.template, internal=refusal.internal)
            answer = _problem(refusal)
            if call.client_id is None and match.route.is_for_known:
                await _send(send, answer, call.exchange_id)
                return
        await self._conclude(call, answer, receive, send)
        _observed(match.route.method, match.route.template, answer.status).observe(perf_counter() - started)

    async def _admit(self, call: Call, scope: Scope) -> None:
        route = call.match.route
        if route.scope is not None:
            caller = await self._to.admission.caller(call.incoming.authorization)
            call.made_by(caller)
            caller.require_scope(route.scope)
            self._to.admission.take(caller.client_id, monotonic())
        elif route.access == "partner":
            peer = scope["client"][0] if scope.get("client") else None
            name = self._to.portal_door.enter(peer, scope["headers"], call.incoming.authorization)
            call.client_id, call.subject, call.role = name, name, "portal"
            self._to.admission.take(name, monotonic())
        length = call.incoming.content_length
        if length is not None and length > route.body_bytes:
            raise bodies.too_large(route.body_bytes)

    async def _placed(self, room: Room, call: Call, scope: Scope, receive: Receive) -> Answer:
        """Carried out in a place of the room. A body that is held is read before: slow senders take no place."""
        body = None if call.is_streamed else await self._body(call, receive)
        who = call.who  # before one of our own routes finds out more
        await room.enter(who)
        try:
            if call.match.route.service == "gateway":
                return await self._answered_here(call, body or b"", scope)
            return await self._forwarded(call, body, receive)
        finally:
            room.leave(who)

    async def _body(self, call: Call, receive: Receive) -> bytes | None:
        """A body of ordinary size, as a whole."""
        if not call.incoming.content_length and not call.incoming.is_chunked:
            return None
        body = await bodies.read(receive, call.match.route.body_bytes, self._to.body_deadline_seconds)
        call.request_sha256 = hashlib.sha256(body).digest() if body else None
        return body

    async def _forwarded(self, call: Call, body: bytes | None, receive: Receive) -> Answer:
        route, incoming = call.match.route, call.incoming
        upstream = (self._to.waiting if route.is_long else self._to.upstreams)[route.service]
        headers = incoming.kept
        headers.append(("hub-exchange-id", call.exchange_id))
        headers.append(("traceparent", header.traced(incoming.traceparent)))
        target = f"{call.path}?{call.query.decode('ascii', 'replace')}" if call.query else call.path
        cap = self._to.answer_cap
        if not call.is_streamed:
            answer = await upstream.send(route.method, target, headers, body, cap=cap, may_stream=route.is_long)
            call.dossier_codes = concerned(call, answer, body or b"")
            return answer
        stream = bodies.Stream(receive, route.body_bytes)
        length = incoming.content_length
        try:
            answer = await upstream.send(route.method, target, headers, stream.chunks(), length=length, cap=cap)
        except HubError as fault:
            raise (stream.fault or fault) from fault
        finally:
            call.request_sha256 = stream.sha256()
        if stream.fault:
            raise stream.fault
        call.dossier_codes = concerned(call, answer, b"")
        return answer

    async def _answered_here(self, call: Call, body: bytes, scope: Scope) -> Answer:
        """Run one of the gateway's own routes, holding its answer back until the record is written."""
        answer = Answer(500, [], b"")
        pieces: list[bytes] = []

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def hold(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], list(message.get("headers", ()))
            else:
                pieces.append(message.get("body", b""))

        scope[CALL] = call
        await self.own_routes(scope, replay, hold)
        answer.body = b"".join(pieces)
        call.dossier_codes = call.dossier_codes or concerned(call, answer, body)
        return answer

    async def _conclude(self, call: Call, answer: Answer, receive: Receive, send: Send) -> None:
        """Record, then answer; what cannot be recorded is answered 503."""
        exchange = evidence(call, answer)
        crashpoint("exchange.before_record")
        try:
            if answer.rest is None:
                await self._to.recorder.record(exchange)
            else:
                await self._to.recorder.record(exchange._replace(kind="opening", response_sha256=None))
        except HubError as fault:
            if answer.rest is not None:
                await answer.rest.aclose()
            answer = _problem(fault)
        if answer.rest is None:
            await _send(send, answer, call.exchange_id)
            return
        head = _head(answer, call.exchange_id)
        if call.match.route.is_long:
            digest = await streaming.news(send, receive, head, answer.rest)
        else:
            digest = await streaming.large(send, head, answer, answer.rest)
        closing = exchange._replace(kind="closing", response_sha256=digest, answered_at=clock.now())
        await self._to.recorder.record(closing)


@lru_cache(maxsize=2048)
def _observed(method: str, template: str, status: int) -> Histogram:
    return HISTOGRAMS.request_seconds.labels(method, template, str(status))  # type: ignore[no-any-return]  # untyped


def _problem(error: HubError) -> Answer:
    response = problems.response(error)
    closes = "connection" in response.headers
    return Answer(response.status_code, list(response.raw_headers), bytes(response.body), closes=closes)


def _head(answer: Answer, exchange_id: str) -> Message:
    headers = header.outgoing(answer.headers)
    headers.append((b"hub-exchange-id", exchange_id.encode()))
    if answer.closes:
        headers.append((b"connection", b"close"))
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


async def _send(send: Send, answer: Answer, exchange_id: str) -> None:
    await send(_head(answer, exchange_id))
    body = answer.body
    if len(body) > _PIECE:
        # In pieces, so that one slow reader holds one piece of memory and not the whole answer.
        try:
            for start in range(0, len(body), _PIECE):
                async with asyncio.timeout(_PIECE_SECONDS):
                    await send({"type": "http.response.body", "body": body[start : start + _PIECE], "more_body": True})
        except TimeoutError:
            return  # an answer without its end: the server in front closes the connection
        body = b""
    await send({"type": "http.response.body", "body": body})
