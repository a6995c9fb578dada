"""Running an ASGI app in a test: in the process, or served on a port."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import httpx2
import uvicorn
from fastapi import FastAPI

from deploy.local.ports import a_free_port

BASE_URL = "http://127.0.0.1"


@asynccontextmanager
async def in_process(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the app without a socket, the app's lifespan around it."""
    async with _lifespan(app):
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as client:
            yield client


@asynccontextmanager
async def served(app: FastAPI, port: int | None = None) -> AsyncIterator[str]:
    """The base URL of the app on a loopback port, in this event loop."""
    port = port or a_free_port()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=1
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            if task.done():
                await task
                raise RuntimeError("the app ended while starting")
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{port}"
    finally:
        # Not `force_exit`: it skips the lifespan, and relays and workers of a test would run on beside all later ones.
        server.should_exit = True
        await asyncio.wait_for(task, 20)


class _Server(uvicorn.Server):
    """Leaves Ctrl-C to pytest, and sees soon that it shall end: uvicorn looks ten times a second."""

    async def main_loop(self) -> None:
        """Until the end; every tenth look is one of uvicorn's (the date in the headers)."""
        look = 0
        while not self.should_exit:
            if look % 10 == 0:
                await self.on_tick(look)
            look += 1
            await asyncio.sleep(0.01)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures nothing."""
        yield


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Start and stop run in one task, as a server does it: task groups in the app insist on that."""
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()

    async def live() -> None:
        try:
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(app.router.lifespan_context(app))
                ready.set_result(None)
                await stop.wait()
        except BaseException as problem:
            if ready.done():
                raise
            ready.set_exception(problem)

    task = asyncio.create_task(live())
    await ready
    try:
        yield
    finally:
        stop.set()
        await task
