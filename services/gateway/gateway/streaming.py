"""An answer that comes piece by piece and perhaps never ends: sent on as it comes, until either side lets go.

```
large answer   its beginning was larger than the cap; ends when it is complete, or breaks off
news           a long route's stream: its head leaves at once, pieces follow when there is news
```
A large answer that breaks off breaks the caller's connection, which no client takes for success. News ends whenever
it ends: the caller comes back with its position.
"""

import asyncio
import hashlib
from contextlib import aclosing

from starlette.types import Message, Receive, Send

from gateway.connection import Answer, BrokenOff, NotHttp, Rest

_PIECE_SECONDS = 30.0
"""A caller that takes less than a piece in this time is let go."""
_SILENCE_SECONDS = 60.0
"""News without any piece for so long (services send a comment every 15 s) is over."""


async def large(send: Send, head: Message, answer: Answer, rest: Rest) -> bytes:
    """Send head, beginning and rest as they come; the digest of all of it."""
    digest = hashlib.sha256(answer.body)
    await send(head)
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    async with aclosing(rest):
        async for piece in rest:
            digest.update(piece)
            async with asyncio.timeout(_PIECE_SECONDS):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
    return digest.digest()


async def news(send: Send, receive: Receive, head: Message, rest: Rest) -> bytes:
    """The same for as long as both sides stay; never raises for an end of either."""
    digest = hashlib.sha256()
    gone = asyncio.create_task(_until_gone(receive, rest))
    await send(head)
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    try:
        async with aclosing(rest):
            while True:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    piece = await anext(rest, None)
                if piece is None:
                    break
                digest.update(piece)
                async with asyncio.timeout(_PIECE_SECONDS):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except (BrokenOff, NotHttp, TimeoutError):
        pass  # an answer without its end: the server in front closes the connection
    finally:
        gone.cancel()
    return digest.digest()


async def _until_gone(receive: Receive, rest: Rest) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    await rest.aclose()
