"""Cutting a connection without a word, which ASGI has no message for.

uvicorn hands the application a `receive` that is bound to the request's cycle, and the cycle knows its transport. The
client sees the connection die after it has sent its request, so it cannot know whether the request was executed.
"""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class ConnectionCutError(ConnectionError):
    """Raised by `Cut` where there is no connection to cut (an ASGI client in a test)."""


class Cut(Response):
    """The answer that never comes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        transport = getattr(getattr(receive, "__self__", None), "transport", None)
        if transport is None:
            raise ConnectionCutError
        transport.abort()
        # uvicorn must have seen the loss before we return, or it would try to answer 500 in our stead.
        while (await receive())["type"] != "http.disconnect":
            pass
