"""Row 13: a remote system slow, dripping, endless, lying, refusing or behind a wrong certificate hurts only itself."""

import asyncio
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.errors import Upstream, UpstreamInvalid, UpstreamTimeout, UpstreamUnavailable
from shared.http import Answer, Breaker, Peer

DEADLINE_SECONDS = 0.6
CAP_BYTES = 100_000

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def a_remote(behave: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that reads one request and behaves so; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await behave(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def a_peer(port: int, scheme: str = "http", **options: object) -> Peer:
    given: dict[str, object] = {"deadline_seconds": DEADLINE_SECONDS, "max_bytes": CAP_BYTES, "breaker": Breaker(100)}
    return Peer("remote", f"{scheme}://127.0.0.1:{port}", **(given | options))  # type: ignore[arg-type]


async def silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def drips_its_head(writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" * 10:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def drips_its_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def promises_ten_gigabytes(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def never_ends(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        await writer.drain()


async def endless_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"x" * 4096 + b"\r\n")
        await writer.drain()


async def breaks_off(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def speaks_no_http(writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    ("behave", "fault"),
    [
        (silent, UpstreamTimeout),
        (drips_its_head, UpstreamTimeout),
        (drips_its_body, UpstreamTimeout),
        (promises_ten_gigabytes, UpstreamInvalid),
        (never_ends, UpstreamInvalid),
        (endless_head, UpstreamUnavailable),
        (breaks_off, UpstreamUnavailable),
        (hangs_up, UpstreamUnavailable),
        (speaks_no_http, UpstreamUnavailable),
    ],
)
async def test_what_may_have_been_done_there_is_unknown_within_one_deadline(
    behave: Behaviour, fault: type[Upstream]
) -> None:
    """The deadline is of the whole call, however busy its parts."""
    async with a_remote(behave) as port:
        peer = a_peer(port)
        began = time.monotonic()
        with pytest.raises(fault) as raised:
            await peer.send("POST", "/", json={})
        assert time.monotonic() - began < DEADLINE_SECONDS + 2.0
        assert raised.value.outcome_unknown
        await peer.close()


def _a_certificate(folder: Path) -> ssl.SSLContext:
    """Of nobody whom anybody trusts."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=portal"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_whom_tls_does_not_prove_is_told_nothing(tmp_path: Path) -> None:
    async with a_remote(silent, _a_certificate(tmp_path)) as port:
        peer = a_peer(port, "https", deadline_seconds=10)
        with pytest.raises(UpstreamUnavailable) as raised:
            await peer.send("POST", "/", json={"secret": True})
        assert not raised.value.outcome_unknown
        await peer.close()


async def test_a_server_without_tls_is_told_nothing() -> None:
    heard = b""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        writer.write(b"HTTP/1.1 400 Plain\r\n\r\n")
        heard = await reader.read()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    peer = a_peer(server.sockets[0].getsockname()[1], "https", deadline_seconds=10)
    with pytest.raises(UpstreamUnavailable) as raised:
        await peer.send("POST", "/", json={"secret": True})
    assert not raised.value.outcome_unknown
    assert b"secret" not in heard
    await peer.close()
    server.close()


async def answers_429(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def answers_html(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>")
    await writer.drain()


@pytest.mark.parametrize("behave", [answers_429, answers_html])
async def test_five_refusals_or_nonsense_open_the_breaker_and_one_probe_passes(behave: Behaviour) -> None:
    called = 0

    async def count(writer: asyncio.StreamWriter) -> None:
        nonlocal called
        called += 1
        await asyncio.sleep(0.05)
        await behave(writer)

    async with a_remote(count) as port:
        peer = a_peer(port, breaker=Breaker(failures=5, open_seconds=0.3), deadline_seconds=10)
        for _ in range(5):
            try:
                answer = await peer.send("GET", "/", check=Answer.json)
                assert answer.headers["Retry-After"] == "7"
            except UpstreamInvalid:
                pass
        assert peer.breaker.state == "open"
        await asyncio.sleep(0.4)
        await asyncio.gather(*(peer.send("GET", "/", check=Answer.json) for _ in range(30)), return_exceptions=True)
        assert called == 6, "one probe, whoever else asked"
        await peer.close()


async def test_a_peer_that_hangs_holds_up_no_other() -> None:
    """The bulkhead: its callers wait for its places, nobody else does."""

    async def well(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()

    async with a_remote(silent) as bad, a_remote(well) as good:
        hanging, other = a_peer(bad, concurrency=2, deadline_seconds=3), a_peer(good, deadline_seconds=3)
        waiting = [asyncio.create_task(hanging.send("GET", "/")) for _ in range(20)]
        await asyncio.sleep(0.1)
        began = time.monotonic()
        for _ in range(20):
            assert (await other.send("GET", "/")).status == 200
        assert time.monotonic() - began < 2.0
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [outcome.outcome_unknown for outcome in outcomes if isinstance(outcome, UpstreamTimeout)].count(
            True
        ) == 2
        for peer in (hanging, other):
            await peer.close()


async def test_nobody_is_followed_elsewhere() -> None:
    async def redirects(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with a_remote(redirects) as port:
        peer = a_peer(port, deadline_seconds=10)
        assert (await peer.send("POST", "/", json={})).status == 307
        await peer.close()
