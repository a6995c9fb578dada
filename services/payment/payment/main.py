"""The payment service, wired."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from payment import api, callback, consumers
from payment.initiating import Initiating, Pace
from payment.platform import Partner, Platform
from payment.settings import Settings
from payment.sweeping import Patience, Sweeping
from shared import exchanges
from shared.auth import JwksSource
from shared.dossiers import Dossiers
from shared.http import Breaker, Peer
from shared.service import Runtime, create


def create_app(settings: Settings, *, jwks: JwksSource | None = None) -> FastAPI:
    """The application; pools, relay, reader and workers live as long as its lifespan."""

    @asynccontextmanager
    async def opening(app: FastAPI) -> AsyncIterator[None]:
        runtime = Runtime("payment", settings, jwks=jwks)
        runtime.follow_successions(settings.dossier_url)
        platform = _platform(runtime, settings)
        dossiers = _dossiers(runtime, settings)
        counter = callback.Counter(platform, runtime.api_database)
        app.state.counter = counter
        app.state.dossiers = dossiers
        initiating = runtime.work("init", Initiating(runtime.system_database, dossiers, platform, _pace(settings)).step)
        sweeping = Sweeping(runtime.system_database, platform, _patience(settings))
        runtime.work("query", sweeping.step, idle_seconds=settings.query_every_seconds)
        runtime.read("lgsp.dossier", consumers.of_dossiers(initiating))
        async with runtime.running(app), counter.open():
            yield

    return create("LGSP Hub: payment", [api.router, callback.router, exchanges.router], opening)


def _platform(runtime: Runtime, settings: Settings) -> Platform:
    peer = Peer(
        "payment-platform",
        settings.platform_url,
        deadline_seconds=settings.platform_deadline_seconds,
        max_bytes=1 << 20,
        concurrency=settings.platform_concurrency,
        breaker=Breaker(open_seconds=settings.platform_breaker_open_seconds),
    )
    runtime.close_at_end(peer)
    partner = Partner(
        code=settings.platform_partner_code,
        secret=settings.platform_secret.get_secret_value(),
        caller_ip=settings.platform_caller_ip,
        beneficiary_account=settings.platform_beneficiary_account,
        beneficiary_bank=settings.platform_beneficiary_bank,
        beneficiary_name=settings.platform_beneficiary_name,
    )
    return Platform(peer, partner)


def _dossiers(runtime: Runtime, settings: Settings) -> Dossiers:
    if runtime.token is None:
        raise ValueError("HUB_SERVICE_KEY_FILE is needed: dossiers are read with a token of this service")
    peer = Peer("dossier", settings.dossier_url, deadline_seconds=10.0)
    runtime.close_at_end(peer)
    return Dossiers(peer, runtime.token.header, "payment")


def _pace(settings: Settings) -> Pace:
    return Pace(
        batch=settings.init_batch,
        concurrency=settings.platform_concurrency,
        lease_seconds=settings.init_lease_seconds,
        longest_retry_seconds=settings.init_longest_retry_seconds,
        most_refusals=settings.init_most_refusals,
        query_after_seconds=settings.query_after_seconds,
    )


def _patience(settings: Settings) -> Patience:
    return Patience(
        batch=settings.init_batch,
        query_after_seconds=settings.query_after_seconds,
        longest_seconds=settings.query_longest_seconds,
        expire_after_seconds=settings.expire_after_seconds,
    )
