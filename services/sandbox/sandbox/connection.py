"""Cutting a connection without a word, which ASGI has no message for.

`CuttableProtocol` puts uvicorn's transport into the scope; `Cut` aborts it. The client sees the connection die after
it has sent its request, so it cannot know whether the request was executed.
"""

from asyncio import Transport

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

EXTENSION = "sandbox.transport"


class ConnectionCutError(ConnectionError):
    """Raised by `Cut` where there is no connection to cut (an ASGI client in a test)."""


class CuttableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol that shows its transport to the application."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions: dict[str, dict[object, object]] = {EXTENSION: {"transport": self.transport}}
        self.scope["extensions"] = extensions


class Cut(Response):
    """The answer that never comes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI signature
        transport = scope.get("extensions", {}).get(EXTENSION, {}).get("transport")
        if not isinstance(transport, Transport):
            raise ConnectionCutError
        transport.abort()
        # uvicorn must have seen the loss before we return, or it would try to answer 500 in our stead.
        while (await receive())["type"] != "http.disconnect":
            pass
