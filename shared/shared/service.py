"""What a service is made of: `create` makes its FastAPI application, `Runtime` its moving parts, `serve` runs it."""

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Annotated, Any, Protocol

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import Field
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import STARTUP_FAILURE

from shared import crashpoint, inbox, problems, retention, revocations, strict_json, succession, telemetry, web
from shared.auth import INTERNAL_AUDIENCE, Caller, InternalToken, JwksSource, TokenVerifier
from shared.copied import Copied
from shared.db import Database
from shared.errors import HubError, InvalidRequest
from shared.inbox import Handler
from shared.kafka import Kafka
from shared.one_write import OneWriteProtocol
from shared.outbox import Relay
from shared.reader import Reader, ReaderBehind
from shared.receipts import ReceiptCheck
from shared.revocations import Revocations
from shared.settings import HubSettings, ServiceSettings
from shared.succession import Successions
from shared.telemetry import HISTOGRAMS
from shared.worker import Worker

Check = Callable[[], Awaitable[None]]
_ACCEPTED_AT_ONCE = 16
"""The event loop takes one new connection from each listening socket per round. Under overload a round is long and
many connect: with one socket they waited for seconds before anything could be refused (measured: 9 s for 400)."""


class Closing(Protocol):
    """Anything with a pool to close at the end."""

    async def close(self) -> None: ...


class Runtime:
    """Databases, tokens, relay, readers and workers of one service: opened, started and stopped in order."""

    def __init__(
        self, service: str, settings: ServiceSettings, *, jwks: JwksSource | None = None, reports: bool = False
    ) -> None:
        """`reports`: its routes read whole tables."""
        self.service = service
        self.settings = settings
        self.kafka = Kafka(settings.kafka_bootstrap, settings.kafka_prefix, settings.kafka_session_seconds)
        wake = asyncio.Event()
        pool = settings.database_pool_size
        api_url = settings.database_api_url.get_secret_value()
        self.api_database = Database(api_url, pool_size=pool, wake=wake, reports=reports)
        self.system_database = Database(settings.database_system_url.get_secret_value(), pool_size=pool, wake=wake)
        issuer = settings.gateway_url
        source = jwks or JwksSource.over_http(f"{issuer}/.well-known/jwks.json")
        self.revocations = Revocations()
        self.verifier = TokenVerifier(issuer, source, revocations=self.revocations)
        self.internal_verifier = TokenVerifier(issuer, source, audience=INTERNAL_AUDIENCE)
        self.relay = Relay(settings.database_system_url.get_secret_value(), self.kafka, wake)
        self.readers: list[Reader] = []
        self.workers: list[Worker] = []
        self.work("retention", retention.Retention(self.system_database).step, idle_seconds=retention.EVERY_SECONDS)
        self.checks: dict[str, Check] = {
            "postgresql": self.system_database.ping,
            "readers": self._readers_run,
        }
        self._closing: list[Closing] = []
        self.token: InternalToken | None = None
        if settings.service_key_file:
            self.token = InternalToken(issuer, settings.service_key_file)
            self._check_receipts(settings, self.token)
            if jwks is None:  # the issuer is another process: what it revokes is asked for there, as its keys are
                copy = Copied(issuer, revocations.PATH, self.token.header, self.revocations.take)
                self._copy("revocations", copy, revocations.EVERY_SECONDS)

    def read(self, topic: str, handler: Handler) -> Reader:
        """Read a topic."""
        reader = Reader(self.system_database, self.kafka, self.service, topic, handler)
        self.readers.append(reader)
        return reader

    def work(self, name: str, step: Callable[[], Awaitable[int]], **timing: Any) -> Worker:
        """Run a worker."""
        worker = Worker(name, step, **timing)
        self.workers.append(worker)
        return worker

    def follow_successions(self, dossier_url: str) -> None:
        """Whoever has an agency has the dossiers of those that it succeeded, here too."""
        if self.token is not None:
            successions = Successions()
            self.verifier.widen = successions.widen
            copy = Copied(dossier_url, succession.PATH, self.token.header, successions.take)
            self._copy("successions", copy, succession.EVERY_SECONDS)

    def close_at_end(self, *things: Closing) -> None:
        """Peers and other pools."""
        self._closing.extend(things)

    @asynccontextmanager
    async def running(self, app: FastAPI) -> AsyncIterator[None]:
        """Everything started, and known to the routes through `app.state`."""
        app.state.runtime = self
        app.state.api_database, app.state.system_database = self.api_database, self.system_database
        app.state.verifier, app.state.internal_verifier = self.verifier, self.internal_verifier
        app.state.checks = self.checks
        parts: list[Relay | Reader | Worker] = [self.relay, *self.readers, *self.workers]
        for part in parts:
            part.start()
        try:
            yield
        finally:
            for part in reversed(parts):
                await part.stop()
            for thing in [*self._closing, self.api_database, self.system_database]:
                await thing.close()

    def _check_receipts(self, settings: ServiceSettings, token: InternalToken) -> None:
        if settings.readers:
            check = ReceiptCheck(self.system_database, settings.readers, token.header, settings.receipt_after_seconds)
            self.close_at_end(check)
            self.work("receipts", check.step, idle_seconds=settings.receipt_every_seconds)

    def _copy(self, name: str, copy: Copied, every_seconds: float) -> None:
        self.close_at_end(copy)
        self.work(name, copy.step, idle_seconds=every_seconds)

    async def _readers_run(self) -> None:
        if any(reader.stopped for reader in self.readers):
            raise HubError("a reader has stopped")


def create(
    title: str,
    routers: Sequence[APIRouter],
    opening: Callable[[FastAPI], AbstractAsyncContextManager[None]],
) -> FastAPI:
    """The application: problem documents, `/healthz`, `/readyz`, `/metrics`, the inbox for publishers, the routes."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opening(app):
            # What lives until the end need not be walked by every collection (measured: a third of the time).
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 20, 50)
            yield

    app = FastAPI(
        title=title, version="1", lifespan=lifespan, docs_url=None, redoc_url=None, telemetry=telemetry.TRACED
    )
    problems.install(app)
    app.include_router(_operations)
    for router in routers:
        app.include_router(router)
    app.add_middleware(Edge, lean=[it for router in routers for it in router.routes if isinstance(it, web.LeanRoute)])
    _declare_problem(app)
    return app


def serve(app: ASGIApp, settings: HubSettings, **options: Any) -> None:
    """Run until told to stop."""
    telemetry.start_logging(settings.log_level)
    telemetry.start_tracing(type(settings).__module__.partition(".")[0], settings.otlp_endpoint)
    crashpoint.arm(settings.crash)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=5,
        proxy_headers=False,  # the gateway lets no such header through, and what others say is not believed
        **{"http": OneWriteProtocol, **options},
    )
    listener = config.bind_socket()
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener, *(listener.dup() for _ in range(_ACCEPTED_AT_ONCE - 1))])
    if not server.started:
        sys.exit(STARTUP_FAILURE)


class Edge:
    """The outermost layer: times every request by route template, turns a bug into a 500 with an incident.

    Requests for a `LeanRoute` go from here to its endpoint: the framework's layers and its search among all routes
    cost 60 to 140 µs a request.
    """

    def __init__(self, app: ASGIApp, lean: Sequence[web.LeanRoute] = ()) -> None:
        self._app = app
        self._lean = lean

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        started = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._answer(scope, receive, watch)
        except Exception as fault:
            if status:
                raise  # too late for an answer: the connection breaks, which no client takes for success
            await problems.bug(fault, "request")(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            HISTOGRAMS.request_seconds.labels(scope["method"], route, str(status)).observe(
                time.perf_counter() - started
            )

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if b"%00" in scope["query_string"]:  # PostgreSQL keeps no NUL; a path with one has no route
            await problems.response(InvalidRequest("NUL is not allowed in a query"))(scope, receive, send)
            return
        for route in self._lean:
            fits, more = Route.matches(route, scope)
            if fits is Match.FULL:
                scope.update(more, route=route)
                try:
                    response = await route.endpoint(Request(scope, receive))
                except HubError as refusal:
                    response = problems.refused(refusal)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


_operations = APIRouter(tags=["operations"], include_in_schema=False)


@_operations.get("/healthz")
async def healthz() -> dict[str, str]:
    """Alive."""
    return {"status": "ok"}


@_operations.get("/readyz")
async def readyz(request: Request) -> Response:
    """Each dependency by name; 503 when one is not there."""
    found: dict[str, str] = {}
    checks: dict[str, Check] = getattr(request.app.state, "checks", {})
    for name, check in checks.items():
        try:
            await asyncio.wait_for(check(), 2.0)
            found[name] = "ok"
        except (HubError, OSError, TimeoutError) as fault:
            found[name] = str(fault) or type(fault).__name__
    ready = all(state == "ok" for state in found.values())
    return Response(
        strict_json.dumps({"ready": ready, "dependencies": found}),
        200 if ready else 503,
        media_type="application/json",
    )


@_operations.get("/metrics")
async def metrics() -> Response:
    """For Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


class MissingQuestion(web.Body):
    """Which of these events has this service never seen? `before_ms`: all of them were published before."""

    source: str
    ids: Annotated[list[str], Field(max_length=5000)]
    topic: str | None = None
    before_ms: int | None = None


@_operations.post("/internal/inbox/missing")
async def inbox_missing(
    request: Request, question: MissingQuestion, _caller: Annotated[Caller, web.requires_internal()]
) -> dict[str, list[str]]:
    """Asked by publishers' receipt checks. 503 `reader_behind` until everything published by then was read."""
    runtime: Runtime = request.app.state.runtime
    for reader in runtime.readers:
        asked = reader.topic == question.topic and question.before_ms is not None
        if asked and not await reader.has_read_until(question.before_ms or 0):
            raise ReaderBehind(retry_after_seconds=60)
    async with runtime.system_database.reading() as rx:
        return {"missing": await inbox.missing(rx, question.source, question.ids)}


def _declare_problem(app: FastAPI) -> None:
    """Every error answer refers to one schema, which FastAPI would not know otherwise."""
    plain = app.openapi

    def with_problem() -> dict[str, Any]:
        document = plain()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" not in schemas:
            schema = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(schema.pop("$defs", {}))
            schemas["Problem"] = schema
        return document

    app.openapi = with_problem  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
