"""Wires the sandbox: the national systems on one machine, for demos and tests, never in production."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI

from sandbox import api, portal_middleware
from sandbox.api import NationalSystems
from sandbox.faults import Behaviour, PaymentSwitches, PopulationSwitches, PortalSwitches
from sandbox.payment_platform import PaymentPlatform
from sandbox.payment_platform_payer import Payer
from sandbox.population import Population
from sandbox.portal import Portal
from sandbox.portal_filer import Filer
from sandbox.settings import Settings
from sandbox.store import Store
from shared import problems, service


def create_app(settings: Settings) -> FastAPI:
    """The application; its store is opened here and closed when the application ends."""
    systems = open_systems(settings)
    payer = Payer(
        systems.payment,
        callback_url=settings.callback_url,
        concurrency=settings.callback_concurrency,
        tries=settings.callback_tries,
        seconds=settings.callback_timeout_seconds,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # What lives until the end need not be walked by every collection.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        paying = asyncio.create_task(payer.run())
        yield
        paying.cancel()
        with suppress(asyncio.CancelledError):
            await paying
        systems.store.close()

    app = FastAPI(title="LGSP Hub sandbox: the national systems", version="1", lifespan=lifespan)
    app.state.systems = systems
    secret = settings.portal_inbound_secret.get_secret_value()
    app.state.filer = Filer(systems.store, url=settings.inbound_url, secret=secret)
    problems.install(app)
    app.include_router(api.router)
    app.include_router(api.operations)
    for system in (systems.portal, systems.payment, systems.population):
        # Plain Starlette routes in front: the wires are not part of the OpenAPI document, and they are hot.
        app.router.routes[:0] = system.routes()
    app.router.routes[:0] = portal_middleware.routes(systems.portal)
    return app


def open_systems(settings: Settings) -> NationalSystems:
    """The three systems on one store."""
    store, seed = Store(settings.sandbox_file), settings.sandbox_seed
    return NationalSystems(
        store=store,
        portal=Portal(
            store,
            Behaviour("portal", PortalSwitches(), seed, store),
            username=settings.portal_username,
            password=settings.portal_password.get_secret_value(),
            session_seconds=settings.portal_session_seconds,
        ),
        payment=PaymentPlatform(
            store,
            Behaviour("payment", PaymentSwitches(), seed, store),
            partner_code=settings.platform_partner_code,
            secret=settings.platform_secret.get_secret_value(),
            payer_ms=settings.payer_milliseconds,
        ),
        population=Population(
            store,
            Behaviour("population", PopulationSwitches(), seed, store),
            username=settings.register_username,
            secret=settings.register_secret.get_secret_value(),
            skew_seconds=settings.register_skew_seconds,
        ),
    )


def serve() -> None:
    """Run until told to stop."""
    settings = Settings()
    service.serve(create_app(settings), settings)
