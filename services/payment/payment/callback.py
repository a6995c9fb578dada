"""`POST /callbacks/payment-platform`: the platform's CONFIRM. No token; `MaXacThuc` is what makes it genuine."""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request, Response

from payment import charging, platform
from payment.charge import CallbackNotVerified, ReferenceUnknown
from payment.platform import Platform
from shared import strict_json, web
from shared.db import Database
from shared.errors import PayloadTooLarge

# The platform's callbacks are about 500 bytes.
_LARGEST_BODY_BYTES = 16 * 1024
# A hundred copies of one callback at once queue here, not for the database's connections, which others need too.
_AT_ONCE = 4

router = web.router(tags=["callbacks"])


@dataclass(frozen=True, slots=True)
class Counter:
    """Where the platform's callbacks are taken in; wired by `main`."""

    platform: Platform
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))


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
    database: Database = request.app.state.api_database
    async with counter.places, database.transaction() as tx:
        await charging.settle(tx, notice, message)
    return Response(strict_json.dumps(platform.confirm_reply(message)), media_type="application/json")
