"""Wires the service: opens, connects, starts. The only place that reads settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from dossier import (
    api,
    catalogue_api,
    combined_api,
    consumers,
    correction_api,
    feed_api,
    intake_api,
    ministry_api,
    person_api,
    petition_api,
    portal_api,
    rating_api,
    reception_api,
    stuck_api,
    stuck_store,
    transition_api,
    vocabulary_api,
    working_calendar,
)
from dossier.acting import Acting
from dossier.cataloguing import Catalogue
from dossier.consumers import Consumers
from dossier.handling import Procedures
from dossier.intake import Intake
from dossier.ministry_replaying import Replayer
from dossier.numbering import Numbers
from dossier.person import PersonKeys
from dossier.rekeying import Rekeying
from dossier.settings import Settings
from dossier.settling import Ministries
from shared import exchanges, service
from shared.auth import JwksSource
from shared.db import Database
from shared.direct import Direct
from shared.partner_key import PORTAL, PartnerKey
from shared.published import Tail
from shared.service import Runtime

# In the order they are tried: the hot ones first.
ROUTERS = (
    intake_api.router,
    transition_api.router,
    combined_api.router,
    portal_api.router,
    reception_api.router,
    person_api.router,
    stuck_api.router,
    correction_api.router,
    petition_api.router,
    rating_api.router,
    api.router,
    catalogue_api.router,
    feed_api.router,
    ministry_api.router,
    vocabulary_api.router,
    api.internal_router,
    catalogue_api.internal_router,
    ministry_api.internal_router,
    exchanges.router,
)

_TAKE_UP_SECONDS = 1.0


async def _look(database: Database, every_seconds: float) -> int:
    """The step of the worker that finds what stands still; it rests in any case."""
    async with database.transaction() as tx:
        await stuck_store.look(tx, every_seconds)
    return 0


def _follow(runtime: Runtime, procedures: Procedures, open_days: int) -> None:
    """What others tell of dossiers: the register, the payment service, ministries."""
    ministries = Ministries(runtime.system_database, procedures, open_days=open_days)
    folding = Consumers(procedures, ministries)
    runtime.read(consumers.IDENTITY, folding.identity)
    runtime.read(consumers.PAYMENT, folding.payment)
    runtime.read(consumers.MINISTRY, folding.ministry)
    runtime.work("ministries", ministries.step, idle_seconds=_TAKE_UP_SECONDS)
    replayer = Replayer(runtime.system_database, ministries)
    runtime.work("ministry replays", replayer.step, idle_seconds=_TAKE_UP_SECONDS)


def create_app(settings: Settings, *, jwks: JwksSource | None = None) -> FastAPI:
    """The application; nothing is opened before its lifespan begins. `jwks` is given by tests."""

    @asynccontextmanager
    async def opening(app: FastAPI) -> AsyncIterator[None]:
        runtime = Runtime("dossier", settings, jwks=jwks)
        database = runtime.api_database
        catalogue = Catalogue()
        await catalogue.check(database)
        runtime.verifier.widen = catalogue.widened
        app.state.calendar = working_calendar.vietnam()
        procedures = Procedures(catalogue, app.state.calendar)
        person_keys = PersonKeys.from_file(settings.person_keys_file)
        rekeying = Rekeying(
            runtime.system_database, person_keys, settings.person_keys_file, settings.person_key_rest_seconds
        )
        await rekeying.refresh()
        runtime.checks["person keys"] = rekeying.check
        app.state.catalogue, app.state.procedures = catalogue, procedures
        app.state.person_keys = person_keys
        app.state.portal_key = PartnerKey(PORTAL, settings.portal_inbound_secret.get_secret_value())
        api_url = settings.database_api_url.get_secret_value()
        direct = Direct(api_url, size=settings.intake_lanes, wake=database.wake)
        runtime.close_at_end(direct)
        app.state.tail = Tail(runtime.system_database, feed_api.TOPIC, feed_api.told)
        runtime.close_at_end(app.state.tail)
        app.state.intake = Intake(database, direct, catalogue, Numbers(database), person_keys)
        app.state.acting = Acting(database, procedures, person_keys)
        _follow(runtime, procedures, settings.ministry_open_days)
        runtime.work("catalogue", lambda: catalogue.check(database), idle_seconds=settings.catalogue_check_seconds)
        runtime.work("person keys", rekeying.refresh, idle_seconds=settings.person_keys_check_seconds)
        runtime.work("rekeying", rekeying.step, idle_seconds=settings.person_keys_check_seconds)
        every_seconds = settings.stuck_check_seconds
        runtime.work("stuck", lambda: _look(runtime.system_database, every_seconds), idle_seconds=every_seconds / 3)
        async with runtime.running(app), app.state.intake.open(), app.state.acting.open():
            yield

    return service.create("LGSP Hub: dossiers", ROUTERS, opening)
