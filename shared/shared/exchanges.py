"""Which exchanges had an effect in this service, kept in the transaction of the effect.

A gateway that dies between a service's commit and its own record leaves an effect without evidence. It asks here
(`GET /internal/exchanges`) and appends what its log lacks. Tables that keep the exchange in a column of their own (a
transition) are branches of the view `exchange_effect`; everything else is noted with `keep`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import AwareDatetime

from shared import strict_json, web
from shared.db import Database, Reading, Transaction

_KEEP = """
INSERT INTO exchange_kept (exchange_id, client_id, dossier_code) SELECT $1, $2, unnest($3::text[])
"""
_KEPT = """
SELECT exchange_id, min(client_id) AS client_id, max(recorded_at) AS recorded_at,
  coalesce(array_agg(DISTINCT dossier_code) FILTER (WHERE dossier_code IS NOT NULL), '{}') AS dossier_codes
FROM exchange_effect
WHERE recorded_at > $1 AND recorded_at <= $2 AND ($3::text IS NULL OR exchange_id = $3)
GROUP BY exchange_id ORDER BY exchange_id
"""

router = web.router(tags=["internal"])


class ExchangeKept(web.Answer):
    """An exchange that changed something, with the dossiers it changed."""

    exchange_id: str
    client_id: str | None
    dossier_codes: list[str]
    recorded_at: str


class ExchangesKept(web.Answer):
    """Exchanges in order of their ids."""

    items: list[ExchangeKept]


async def keep(tx: Transaction, exchange_id: str | None, client_id: str, dossier_codes: Sequence[str] = ()) -> None:
    """Note that this exchange had an effect. None: it did not come through a gateway."""
    if exchange_id:
        codes: list[str | None] = [*dossier_codes] or [None]
        await tx.raw.execute(_KEEP, exchange_id, client_id, codes)


async def kept(
    rx: Reading, after: datetime, until: datetime, exchange_id: str | None = None
) -> Sequence[dict[str, Any]]:
    """Exchanges (or this one) with effects recorded in this time (after < recorded ≤ until)."""
    return [dict(row) for row in await rx.raw.fetch(_KEPT, after, until, exchange_id)]


@router.get("/internal/exchanges", response_model=ExchangesKept, dependencies=[web.requires_internal()])
async def internal_exchanges(
    request: Request,
    after: AwareDatetime,
    until: AwareDatetime,
    exchange_id: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Exchanges whose effects were recorded in this time (after < recorded ≤ until): the gateway compares its log."""
    database: Database = request.app.state.system_database
    async with database.reading() as rx:
        items = await kept(rx, after, until, exchange_id)
    return Response(strict_json.dumps({"items": items}), media_type="application/json")
