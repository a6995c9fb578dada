"""`POST /callbacks/payment-platform`: the platform's CONFIRM. No token; `MaXacThuc` is what makes it genuine."""

from typing import Annotated, Any

from fastapi import Depends, Request

from payment import charging, platform
from payment.charge import CallbackNotVerified, ReferenceUnknown
from payment.platform import Platform
from shared import web
from shared.db import Database
from shared.errors import PayloadTooLarge

# The platform's callbacks are about 500 bytes.
_LARGEST_BODY_BYTES = 16 * 1024

router = web.router(tags=["callbacks"])


def _platform(request: Request) -> Platform:
    wired: Platform = request.app.state.platform
    return wired


@router.post(
    "/callbacks/payment-platform",
    responses=web.errors(CallbackNotVerified, ReferenceUnknown, PayloadTooLarge),
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}, "required": True}},
)
async def confirm(request: Request, wired: Annotated[Platform, Depends(_platform)]) -> dict[str, Any]:
    """Take in a CONFIRM. A repeated one gets the same good answer and has no effect.

    A wrong checksum is 400 and changes nothing; a genuine one about a reference of nobody is 404.
    """
    body = await request.body()
    if len(body) > _LARGEST_BODY_BYTES:
        raise PayloadTooLarge
    notice, message = platform.read_confirm(wired.partner, body)
    database: Database = request.app.state.api_database
    async with database.transaction() as tx:
        await charging.settle(tx, notice, message)
    return platform.confirm_reply(message)
