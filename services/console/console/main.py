"""Opens, wires and starts the console. The only place that does, and that reads the settings."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from console import (
    api,
    attention_pages,
    consumers,
    event_pages,
    hold_pages,
    incident_pages,
    pages,
    reconciliation_pages,
    replay_pages,
    session_pages,
)
from console.agencies import AgencyNames
from console.cookie import Cookies
from console.form import Forms
from console.hub import Hub
from console.lag import Lag
from console.rendering import STATIC
from console.settings import Settings
from console.signing_in import SigningIn
from shared.auth import JwksSource
from shared.errors import HubError
from shared.http import Breaker, Peer
from shared.service import Runtime, create

NAME = "console"


class NoServiceKey(HubError):
    """The console asks other services by its own token and has no key for one."""

    code, title = "no_service_key", "HUB_SERVICE_KEY_FILE is not set"


def _open_never() -> Breaker:
    """The gateway has a breaker for each service; one here would close every page when one service is away."""
    return Breaker(failures=sys.maxsize)


def create_app(settings: Settings, *, jwks: JwksSource | None = None) -> FastAPI:
    """The console's application."""

    @asynccontextmanager
    async def opening(app: FastAPI) -> AsyncIterator[None]:
        runtime = Runtime(NAME, settings, jwks=jwks, reports=True)
        runtime.follow_successions(settings.dossier_url)
        if runtime.token is None:
            raise NoServiceKey
        for topic, handler in consumers.TOPICS.items():
            runtime.read(topic, handler)
        dossier = Peer("dossier", settings.dossier_url, deadline_seconds=5.0)
        lag = Lag(runtime.kafka, NAME, tuple(consumers.TOPICS))
        app.state.agency_names = AgencyNames(dossier, runtime.token)
        app.state.lag = lag
        gateway = Peer("gateway", settings.gateway_url, deadline_seconds=10.0, concurrency=32, breaker=_open_never())
        cookies = Cookies(settings.session_key_file)
        app.state.hub, app.state.forms = Hub(gateway), Forms(cookies)
        app.state.signing_in = SigningIn(gateway, cookies, settings.public_url, settings.console_client_id)
        app.state.is_secure = settings.public_url.startswith("https:")
        runtime.close_at_end(dossier, gateway, lag)
        async with runtime.running(app):
            yield

    routers = [
        api.router,
        session_pages.router,
        incident_pages.router,
        hold_pages.router,
        replay_pages.router,
        reconciliation_pages.router,
        attention_pages.router,
        event_pages.router,
        pages.router,
    ]
    app = create("LGSP Hub: console", routers, opening)
    app.mount("/console/static", StaticFiles(directory=STATIC), name="static")
    app.include_router(pages.lost)
    return app
