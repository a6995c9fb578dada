"""Asking a service how it is, over plain HTTP/1.1 on a connection of its own."""

import asyncio
import json
import sys
from typing import Any
from urllib.parse import urlsplit


async def status_of(url: str, path: str, seconds: float = 5.0) -> tuple[int, Any]:
    """(HTTP status, JSON answer) of GET `path`; status 0 when nothing answers within `seconds`.

    No pool and no library: a health check must not share the fate of what it watches.
    """
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                request = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                await writer.drain()
                answer = await reader.read(1024 * 1024)
                while chunk := await reader.read(1024 * 1024):
                    answer += chunk
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return 0, None
    head, _, body = answer.partition(b"\r\n\r\n")
    try:
        return int(head.split(b" ", 2)[1]), json.loads(body or b"null")
    except (ValueError, IndexError):
        return (int(head[9:12]) if head[9:12].isdigit() else 0), None


async def is_alive(url: str) -> bool:
    """`/healthz` answers 200: the process works, whatever it depends on."""
    return (await status_of(url, "/healthz"))[0] == 200


async def is_ready(url: str) -> bool:
    """`/readyz` answers 200: so do its database, its broker and its peers."""
    return (await status_of(url, "/readyz"))[0] == 200


if __name__ == "__main__":  # the health check of a container: python -m deploy.local.health http://127.0.0.1:8081
    sys.exit(0 if asyncio.run(is_alive(sys.argv[1])) else 1)
