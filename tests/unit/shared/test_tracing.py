"""A request's span goes on in the services it asks, when tracing is on; nothing is sent when it is off."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from fastapi import FastAPI, Request
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from shared import telemetry
from shared.http import Peer


@contextmanager
def collecting() -> Iterator[tuple[str, list[bytes]]]:
    """An OTLP collector's address, and what it was sent."""
    received: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces", received
    server.shutdown()
    server.server_close()


async def test_a_span_goes_on_in_the_service_that_is_asked(
    served: Callable[..., Awaitable[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[TracerProvider] = []
    monkeypatch.setattr(trace, "set_tracer_provider", held.append)
    with collecting() as (endpoint, received):
        telemetry.start_tracing("asked", endpoint)
        provider = held[0]
        app = FastAPI(telemetry={**telemetry.TRACED, "tracer_provider": provider})

        @app.get("/v1/{code}")
        async def asked(code: str, request: Request) -> str:
            return request.headers["traceparent"]

        peer = Peer("asked", await served(app))
        with provider.get_tracer("test").start_as_current_span("asking") as span:
            answer = await peer.send("GET", "/v1/secret-code")
        assert f"{span.get_span_context().trace_id:032x}" in answer.json()
        await asyncio.to_thread(provider.force_flush)
        await peer.close()
        await asyncio.to_thread(provider.shutdown)
    sent = b"".join(received)
    assert b"/v1/{code}" in sent
    assert b"asked" in sent
