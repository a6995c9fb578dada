"""`POST /callbacks/payment-platform`: the platform's CONFIRM. No token; `MaXacThuc` is what makes it genuine."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from payment import charging, platform
from payment.charge import CallbackNotVerified, Notice, ReferenceUnknown
from payment.platform import Platform
from shared import strict_json, web
from shared.crashpoint import crashpoint
from shared.db import Database
from shared.errors import PayloadTooLarge
from shared.events import Cause
from shared.grouping import Grouped

# The platform's callbacks are about 500 bytes.
_LARGEST_BODY_BYTES = 16 * 1024

router = web.router(tags=["callbacks"])


class Counter:
    """Takes callbacks in, those that come together in one transaction: nobody's notice can fail another's."""

    def __init__(self, platform: Platform, database: Database) -> None:
        self.platform = platform
        self._database = database
        self._grouped = Grouped(self._settle, max_group=50, max_waiting=1000)

    async def take(self, notice: Notice, message: Mapping[str, Any], cause: Cause) -> None:
        """Durable when this returns. Raises `ReferenceUnknown`."""
        if not await self._grouped.submit((notice, message, cause)):
            raise ReferenceUnknown

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Takes callbacks in until the end."""
        self._grouped.start()
        yield
        await self._grouped.stop()

    async def _settle(self, group: Sequence[tuple[Notice, Mapping[str, Any], Cause]]) -> Sequence[bool]:
        async with self._database.transaction() as tx:
            known = await charging.settle_all(tx, group)
            crashpoint("callback.verified")
            return known


async def _counter(request: Request) -> Counter:
    wired: Counter = request.app.state.counter
    return wired


@router.post(
    "/callbacks/payment-platform",
    responses=web.errors(CallbackNotVerified, ReferenceUnknown, PayloadTooLarge),
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}, "required": True}},
)
async def confirm(request: Request, counter: Annotated[Counter, Depends(_counter)]) -> Response:
    """Take in a CONFIRM. A repeated one gets the same good answer and has no effect.

    A wrong checksum is 400 and changes nothing; a genuine one about a reference of nobody is 404.
    """
    body = await request.body()
    if len(body) > _LARGEST_BODY_BYTES:
        raise PayloadTooLarge
    notice, message = platform.read_confirm(counter.platform.partner, body)
    await counter.take(notice, message, web.cause(request))
    crashpoint("callback.committed")
    return Response(strict_json.dumps(platform.confirm_reply(message)), media_type="application/json")
