"""Wires the service: pools, the portal's session, the reader of `lgsp.dossier`, the workers, the routes."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI

from shared import exchanges
from shared.auth import JwksSource
from shared.dossiers import Dossiers
from shared.errors import UpstreamUnavailable
from shared.http import Breaker, Peer
from shared.published import Tail
from shared.service import Runtime, create
from sync_national import (
    api,
    hold_api,
    incident_api,
    layout_api,
    portal_profile,
    reconciliation_api,
    replay_api,
    store,
    stream_api,
)
from sync_national.change import Gathering, Limits
from sync_national.consumers import follow_dossiers
from sync_national.middleware import Middleware
from sync_national.pacing import Lanes, Quota
from sync_national.portal import Account, Portal
from sync_national.reconciling import Reconciler
from sync_national.replaying import Replayer
from sync_national.settings import Settings
from sync_national.stream_api import Streams
from sync_national.syncing import TOPIC, Courier, Pace

DESTINATION = "dvcqg"
_IDLE_SECONDS = 1.0  # the bell wakes the workers; the poll finds what other copies' readers wrote
_SUM_UP_SECONDS = 1.0
_MEASURE_SECONDS = 5.0
_FORGET_SECONDS = 3600.0
_REPLAY_SECONDS = 0.5
_RECONCILE_SECONDS = 1.0
_SCHEDULE_SECONDS = 30.0
_LOOK_UPS_AT_ONCE = 8

Authorization = Callable[[], Awaitable[Mapping[str, str]]]


def create_app(
    settings: Settings, *, jwks: JwksSource | None = None, authorization: Authorization | None = None
) -> FastAPI:
    """The application. `authorization` gives the header for `/internal/*` calls (default: the service's own token)."""

    @asynccontextmanager
    async def opening(app: FastAPI) -> AsyncIterator[None]:
        runtime = Runtime("sync-national", settings, jwks=jwks)
        runtime.follow_successions(settings.dossier_url)
        portal = _portal(settings, runtime)
        courier = _courier(settings, runtime, portal, authorization)
        gathering = Gathering(settings.sync_delay_seconds, settings.sync_longest_delay_seconds)
        runtime.read("lgsp.dossier", follow_dossiers(courier, gathering))
        for number in range(settings.sync_workers):
            runtime.work(f"push {number}", courier.step, idle_seconds=_IDLE_SECONDS, wake=courier.bell.wake)
        runtime.work("tally", courier.sum_up, idle_seconds=_SUM_UP_SECONDS)
        runtime.work("measure", courier.measure, idle_seconds=_MEASURE_SECONDS)
        app.state.reconciler = _reconcile(settings, runtime, courier, portal)
        runtime.work("forget", lambda: courier.forget(settings.sync_evidence_days), idle_seconds=_FORGET_SECONDS)
        app.state.courier, app.state.portal = courier, portal
        app.state.streams = Streams(Tail(runtime.system_database, TOPIC, stream_api.told))
        runtime.close_at_end(app.state.streams)
        app.state.portal_calls_per_minute = settings.portal_calls_per_minute
        app.state.replays_per_second = settings.sync_replays_per_second
        async with runtime.running(app):
            yield

    routers = [
        api.router,
        api.internal_router,
        replay_api.router,
        reconciliation_api.router,
        layout_api.router,
        incident_api.router,
        hold_api.router,
        stream_api.router,
        exchanges.router,
    ]
    return create("sync-national", routers, opening)


def _reconcile(settings: Settings, runtime: Runtime, courier: Courier, portal: Portal) -> Reconciler:
    """Comparison, repair and replay."""
    reconciler = Reconciler(
        DESTINATION,
        runtime.system_database,
        runtime.api_database,
        courier.dossiers,
        portal,
        look_ups_at_once=_LOOK_UPS_AT_ONCE,
        calls_per_minute=settings.portal_calls_per_minute,
    )
    replayer = Replayer(DESTINATION, runtime.system_database, courier.bell)
    runtime.work("replay", replayer.step, idle_seconds=_REPLAY_SECONDS)
    runtime.work("reconcile", reconciler.step, idle_seconds=_RECONCILE_SECONDS)
    runtime.work("verify", reconciler.verify, idle_seconds=_RECONCILE_SECONDS)
    at = settings.sync_reconcile_at
    runtime.work("schedule", lambda: reconciler.schedule(at), idle_seconds=_SCHEDULE_SECONDS)
    return reconciler


def _portal(settings: Settings, runtime: Runtime) -> Portal:
    peer = Peer(
        "portal",
        settings.portal_url,
        deadline_seconds=settings.portal_timeout_seconds,
        max_bytes=settings.portal_max_answer_bytes,
        concurrency=settings.sync_workers + _LOOK_UPS_AT_ONCE,
        breaker=Breaker(settings.portal_breaker_failures, settings.portal_breaker_open_seconds),
    )
    runtime.close_at_end(peer)
    account = Account(
        settings.portal_username,
        settings.portal_password.get_secret_value(),
        settings.portal_agency_code,
        settings.portal_destination_code,
    )
    profile = portal_profile.named(settings.portal_profile)
    speaks = Portal if profile.session else Middleware
    return speaks(
        peer,
        account,
        deadline_seconds=settings.portal_timeout_seconds,
        lanes=Lanes(settings.sync_workers, settings.portal_quick_seconds),
        quota=_quota(settings, runtime),
        profile=profile,
    )


def _quota(settings: Settings, runtime: Runtime) -> Quota:
    per_minute = settings.portal_calls_per_minute
    if not per_minute:
        return Quota()

    async def reserve(calls: int) -> tuple[int, float]:
        async with runtime.system_database.transaction() as tx:
            return await store.reserve_calls(tx, DESTINATION, calls, per_minute)

    return Quota(reserve)


def _courier(settings: Settings, runtime: Runtime, portal: Portal, authorization: Authorization | None) -> Courier:
    peer = Peer(
        "dossier",
        settings.dossier_url,
        deadline_seconds=10.0,
        max_bytes=64 * 1024 * 1024,
        concurrency=settings.sync_workers,
    )
    runtime.close_at_end(peer)
    header = authorization or (runtime.token.header if runtime.token else _no_token)
    return Courier(
        DESTINATION,
        runtime.system_database,
        Dossiers(peer, header, "sync"),
        portal,
        limits=Limits(
            portal_timeout=settings.portal_timeout_seconds,
            settle=settings.portal_settle_seconds,
            first=settings.sync_first_retry_seconds,
            longest=settings.sync_longest_retry_seconds,
            refusals=settings.sync_refusals,
        ),
        pace=Pace(
            batch_size=min(settings.sync_batch_size, portal.profile.most_in_a_batch),
            lease_seconds=settings.sync_lease_seconds,
            look_ups_at_once=_LOOK_UPS_AT_ONCE,
        ),
        equal_rows=settings.portal_progress,
    )


async def _no_token() -> Mapping[str, str]:
    raise UpstreamUnavailable(internal="HUB_SERVICE_KEY_FILE is not set")
