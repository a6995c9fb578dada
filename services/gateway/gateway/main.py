"""Wires the gateway. The only place that reads its settings."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from gateway import api, api_clients, api_documents, api_following, api_oauth, keys, store_clients
from gateway.admitting import Admission
from gateway.api_oauth import Desk
from gateway.documenting import Documents
from gateway.effects import Effects, EffectsElsewhere, EffectsHere
from gateway.following import Following
from gateway.forwarding import Forwarding, Front
from gateway.keys import Keys
from gateway.partner_door import PartnerDoor
from gateway.protocol import hardened
from gateway.quota import Quota
from gateway.recording import Recorder
from gateway.recovering import Recovery
from gateway.room import Room
from gateway.route import Kind, Table
from gateway.sealing import Sealing
from gateway.settings import Settings
from gateway.signing_in import SignIn
from gateway.upstream import Upstream
from shared import service
from shared.auth import JwksSource
from shared.db import Database
from shared.partner_key import PORTAL, PartnerKey
from shared.revocations import Revocations
from shared.service import Runtime


def create_app(settings: Settings) -> Front:
    """The gateway: its own routes inside, the forwarding layer around them (and outside of the framework)."""
    signer = Keys.from_file(settings.signing_keys_file, settings.gateway_url)
    runtime = Runtime("gateway", settings, jwks=JwksSource.of(signer.public()))
    runtime.follow_successions(settings.dossier_url)
    recorder = Recorder(settings.database_system_url.get_secret_value())
    upstreams = _upstreams(settings, settings.upstream_most_under_way)
    waiting = _upstreams(settings, settings.long_at_once)
    sign_in = SignIn(
        signer.derived("sign-in form"), tries=settings.sign_in_tries, window_seconds=settings.sign_in_window_seconds
    )
    services = keys.service_keys(settings.service_keys_file)
    runtime.checks["exchange_log"] = _writable(recorder)
    runtime.work(
        "revocations",
        _refreshing(runtime.system_database, runtime.revocations),
        idle_seconds=settings.revocations_every_seconds,
    )
    followed = Following(settings.dossier_url, settings.sync_url, runtime.token)
    runtime.close_at_end(followed)
    _recover(settings, runtime, recorder)
    _seal(settings, runtime, recorder, signer)

    @asynccontextmanager
    async def opening(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for upstream in (*upstreams.values(), *waiting.values()):
                await stack.enter_async_context(upstream)
            await recorder.start()
            stack.push_async_callback(recorder.stop)
            await stack.enter_async_context(runtime.running(app))
            app.state.desk = Desk(runtime.api_database, signer, runtime.verifier, services, sign_in)
            app.state.following = followed
            app.state.documents = Documents(upstreams, settings.gateway_url)
            yield

    routers = [api.router, api_following.router, api_clients.router, api_oauth.router, api_documents.router]
    app = service.create("gateway", routers, opening)
    # The framework's own /openapi.json would stand before ours, which is the union of all services.
    app.router.routes[:] = [route for route in app.router.routes if getattr(route, "name", "") != "openapi"]
    return Front(app, _forwarding(settings, runtime, recorder, upstreams, waiting))


def _forwarding(
    settings: Settings,
    runtime: Runtime,
    recorder: Recorder,
    upstreams: Mapping[str, Upstream],
    waiting: Mapping[str, Upstream],
) -> Forwarding:
    admission = Admission(
        runtime.verifier,
        runtime.revocations,
        Quota(settings.quota_per_second, settings.quota_burst),
        stale_after_seconds=settings.revocations_stale_seconds,
    )
    return Forwarding(
        admission,
        recorder,
        upstreams,
        table=Table(),
        rooms=_rooms(settings, upstreams),
        waiting=waiting,
        answer_cap=settings.answer_buffer_bytes,
        body_deadline_seconds=settings.body_deadline_seconds,
        most_held_bytes=settings.bodies_held_bytes,
        portal_door=PartnerDoor(
            PartnerKey(PORTAL, settings.portal_inbound_secret.get_secret_value()),
            settings.portal_networks,
            settings.trusted_proxies,
        ),
    )


def serve(settings: Settings) -> None:
    """Run until told to stop."""
    front = create_app(settings)
    protocol = hardened(settings.header_deadline_seconds, settings.connections_per_address, front.refusal)
    service.serve(front, settings, http=protocol, server_header=False)  # what serves is nobody's business


def _upstreams(settings: Settings, most_under_way: int) -> dict[str, Upstream]:
    urls = _services(settings) | {"console": settings.console_url}
    return {
        name: Upstream(
            name,
            url,
            deadline_seconds=settings.upstream_deadline_seconds,
            most_under_way=most_under_way,
        )
        for name, url in urls.items()
    }


def _rooms(settings: Settings, upstreams: Mapping[str, Upstream]) -> dict[tuple[str, Kind], Room]:
    """Three for each service, and for the gateway's own routes."""
    rooms: dict[tuple[str, Kind], Room] = {}
    for name in ("gateway", *upstreams):
        rooms[name, "single"] = Room(
            at_once=settings.requests_at_once,
            most_waiting=settings.requests_waiting,
            wait_seconds=settings.waiting_seconds,
        )
        rooms[name, "batch"] = Room(
            at_once=settings.batches_at_once,
            most_waiting=settings.batches_waiting,
            wait_seconds=settings.batches_waiting_seconds,
        )
        rooms[name, "long"] = Room(at_once=settings.long_at_once, most_waiting=0, wait_seconds=0.0)
    return rooms


def _recover(settings: Settings, runtime: Runtime, recorder: Recorder) -> None:
    """Compare effects with the log; without a key of its own a gateway (in a test) cannot ask the services."""
    compared: list[Effects] = [EffectsHere(runtime.system_database)]
    if runtime.token is not None:
        for service, url in _services(settings).items():
            elsewhere = EffectsElsewhere(service, url, runtime.token)
            runtime.close_at_end(elsewhere)
            compared.append(elsewhere)
    recovery = Recovery(runtime.system_database, compared, recorder, after_seconds=settings.recover_after_seconds)
    runtime.work("recovery", recovery.step, idle_seconds=settings.recover_every_seconds)


def _seal(settings: Settings, runtime: Runtime, recorder: Recorder, signer: Keys) -> None:
    if settings.seal_file is None:
        return
    sealing = Sealing(
        runtime.system_database,
        signer,
        recorder,
        settings.seal_file,
        stale_after_seconds=settings.seal_stale_seconds,
    )
    runtime.work("seals", sealing.step, idle_seconds=settings.seal_every_seconds)


def _services(settings: Settings) -> dict[str, str]:
    """Where exchanges have effects (the console changes nothing)."""
    return {
        "dossier": settings.dossier_url,
        "payment": settings.payment_url,
        "citizen-db-adapter": settings.citizen_url,
        "sync-national": settings.sync_url,
    }


def _refreshing(database: Database, revocations: Revocations) -> Callable[[], Awaitable[int]]:
    async def step() -> int:
        async with database.reading() as rx:
            revocations.replace(*await store_clients.revoked(rx))
        return 0

    return step


def _writable(recorder: Recorder) -> service.Check:
    async def check() -> None:
        recorder.require()

    return check
