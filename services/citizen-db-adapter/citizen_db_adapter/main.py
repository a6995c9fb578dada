"""The citizen-db-adapter service, wired."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from fastapi import FastAPI

from citizen_db_adapter import api, consumers, verifying
from citizen_db_adapter.asking import Asking, Pace
from citizen_db_adapter.evidence import Sealer
from citizen_db_adapter.register import LARGEST_ANSWER_BYTES, LOOKUP_FIELDS, Credentials, Register
from citizen_db_adapter.settings import Settings
from shared import exchanges
from shared.auth import JwksSource
from shared.dossiers import Dossiers
from shared.http import Breaker, Peer
from shared.service import Runtime, create


def create_app(settings: Settings, *, jwks: JwksSource | None = None) -> FastAPI:
    """The application; pools, relay, reader and workers live as long as its lifespan."""

    @asynccontextmanager
    async def opening(app: FastAPI) -> AsyncIterator[None]:
        runtime = Runtime("citizen_db_adapter", settings, jwks=jwks)
        runtime.follow_successions(settings.dossier_url)
        register = _register(runtime, settings)
        dossiers = _dossiers(runtime, settings)
        sealer = Sealer.from_file(settings.encryption_key_file)
        app.state.desk = api.Desk(
            dossiers=dossiers,
            register=register,
            sealer=sealer,
            permitted_fields=frozenset(settings.permitted_fields) & LOOKUP_FIELDS.keys(),
            calls_per_minute=settings.register_calls_per_minute,
            cache_seconds=settings.register_cache_seconds,
        )
        asking = Asking(runtime.system_database, dossiers, register, sealer, _pace(settings))
        worker = runtime.work("ask", asking.step)
        runtime.work("announce", _announcing(runtime, settings), idle_seconds=settings.pending_every_seconds)
        runtime.read("lgsp.dossier", consumers.of_dossiers(worker))
        async with runtime.running(app):
            yield

    return create("LGSP Hub: citizen-db-adapter", [api.router, exchanges.router], opening)


def _register(runtime: Runtime, settings: Settings) -> Register:
    url = urlsplit(settings.register_url)
    peer = Peer(
        "population-database",
        f"{url.scheme}://{url.netloc}",
        deadline_seconds=settings.register_deadline_seconds,
        max_bytes=LARGEST_ANSWER_BYTES,
        concurrency=settings.register_concurrency,
        breaker=Breaker(open_seconds=settings.register_breaker_open_seconds),
    )
    runtime.close_at_end(peer)
    credentials = Credentials(
        username=settings.register_username,
        secret=settings.register_secret.get_secret_value(),
        path=url.path,
        client=settings.register_client,
        api_key=settings.register_api_key.get_secret_value(),
    )
    return Register(peer, credentials, officer=settings.register_officer)


def _dossiers(runtime: Runtime, settings: Settings) -> Dossiers:
    if runtime.token is None:
        raise ValueError("HUB_SERVICE_KEY_FILE is needed: dossiers are read with a token of this service")
    peer = Peer("dossier", settings.dossier_url, deadline_seconds=10.0)
    runtime.close_at_end(peer)
    return Dossiers(peer, runtime.token.header, "identity")


def _pace(settings: Settings) -> Pace:
    return Pace(
        batch=settings.ask_batch,
        concurrency=settings.register_concurrency,
        calls_per_minute=settings.register_calls_per_minute,
        lease_seconds=settings.ask_lease_seconds,
        longest_retry_seconds=settings.ask_longest_retry_seconds,
        cache_seconds=settings.register_cache_seconds,
    )


def _announcing(runtime: Runtime, settings: Settings) -> Callable[[], Awaitable[int]]:
    async def step() -> int:
        async with runtime.system_database.transaction() as tx:
            return await verifying.announce_pending(tx, after_seconds=settings.pending_after_seconds)

    return step
