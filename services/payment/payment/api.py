"""Routes of payments: counter payments, reading, refunds (not yet)."""

from typing import Annotated

from fastapi import Query, Request, Response

from payment import bodies, charge, charging, store
from payment.bodies import CounterBody, PaymentAnswer, PaymentPage, RefundBody
from payment.charge import ReceiptNumberTaken, RefundNotAvailable
from payment.charging import Collected, DossierNotKnown
from shared import clock, idempotency, web
from shared.auth import Caller
from shared.db import Database
from shared.dossiers import Dossiers
from shared.errors import NotFound, UpstreamInvalid, UpstreamTimeout, UpstreamUnavailable
from shared.idempotency import IdempotencyKeyReused, Key, RequestInProgress

router = web.router(tags=["payments"])


@router.post(
    "/v1/payments/counter",
    status_code=201,
    response_model=PaymentAnswer,
    responses=web.errors(
        NotFound,
        ReceiptNumberTaken,
        IdempotencyKeyReused,
        RequestInProgress,
        UpstreamInvalid,
        UpstreamUnavailable,
        UpstreamTimeout,
    ),
)
async def collect(
    request: Request,
    body: CounterBody,
    caller: Annotated[Caller, web.requires("payment:write")],
    key: Key = None,
) -> Response:
    """Record a payment taken at a counter, with or without a request for it. The receipt number is the agency's own."""
    may_import = "dossier:import" in caller.scopes
    charge.require_time_in_reach(body.collected_at, clock.now(), may_import=may_import)
    payment = Collected(
        dossier_code=body.dossier_code,
        amount_vnd=body.amount_vnd,
        lines=[line.spoken() for line in body.lines],
        collected_by=body.collected_by,
        collected_at=body.collected_at,
        receipt_number=body.receipt_number,
        client_id=caller.client_id,
        cause=web.cause(request),
    )
    charge.require_lines_add_up(payment.lines, payment.amount_vnd)
    try:
        return await _record(request, caller, payment, key, None)
    except DossierNotKnown:
        agency_code = await _agency_of(request.app.state.dossiers, payment.dossier_code, caller)
    return await _record(request, caller, payment, key, agency_code)


@router.get("/v1/payments", response_model=PaymentPage)
async def payments(
    rx: web.InReading,
    _caller: Annotated[Caller, web.requires("payment:read")],
    dossier_code: Annotated[str | None, Query(max_length=100), web.PRESENT_FORM] = None,
    agency: web.AgencyFilter = None,
    since: Annotated[str | None, Query(alias="from", description="day or time, inclusive")] = None,
    until: Annotated[str | None, Query(alias="to", description="day or time, inclusive")] = None,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    limit: web.PageSize = 100,
) -> PaymentPage:
    """Payments of the caller's agencies in the order they were recorded; `from` and `to` count by `at`."""
    place = web.decode_cursor(cursor, 1)
    rows = await store.charges(
        rx,
        dossier_code=dossier_code,
        agency=agency,
        since=bodies.moment_of(since, "from"),
        before=bodies.moment_of(until, "to", is_end=True),
        after_id=str(place[0]) if place else None,
        most=limit + 1,
    )
    has_more = len(rows) > limit
    next_cursor = web.encode_cursor(rows[limit - 1]["id"]) if has_more else None
    return PaymentPage(items=[bodies.shown(row) for row in rows[:limit]], next_cursor=next_cursor)


@router.get("/v1/payments/{payment_id}", response_model=PaymentAnswer, responses=web.errors(NotFound))
async def payment(
    payment_id: str, rx: web.InReading, _caller: Annotated[Caller, web.requires("payment:read")]
) -> PaymentAnswer:
    """One payment."""
    row = await store.charge(rx, payment_id)
    if row is None:
        raise NotFound
    return bodies.shown(row)


@router.post(
    "/v1/payments/{payment_id}/refunds",
    status_code=201,
    responses=web.errors(NotFound, RefundNotAvailable),
)
async def refund(
    payment_id: str,
    _body: RefundBody,
    rx: web.InReading,
    _caller: Annotated[Caller, web.requires("payment:write")],
) -> None:
    """Refused for now with 409 `refund_not_available`: the agency pays back by its own procedure."""
    if await store.charge(rx, payment_id) is None:
        raise NotFound
    raise RefundNotAvailable("Refunds are not available in this version; pay back by the agency's own procedure.")


async def _record(
    request: Request, caller: Caller, payment: Collected, key: str | None, agency_code: str | None
) -> Response:
    database: Database = request.app.state.api_database
    async with database.transaction(caller.agencies) as tx:

        async def act() -> Response:
            if agency_code is not None:
                await store.know_dossiers(tx, {payment.dossier_code: agency_code})
            row = await charging.collect(tx, payment)
            place = {"Location": f"/v1/payments/{row['id']}"}
            return Response(bodies.shown(row).model_dump_json(), 201, place, "application/json")

        return await idempotency.once(tx, request, caller, key, act)


async def _agency_of(dossiers: Dossiers, dossier_code: str, caller: Caller) -> str:
    """Whose dossier it is. Another agency's is as unknown as one that does not exist."""
    found = (await dossiers.read([dossier_code])).get(dossier_code)
    if found is None or not caller.covers(found["agency_code"]):
        raise NotFound("There is no such dossier")
    return str(found["agency_code"])
