"""Routes of identity: verify, read a verification, look up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from citizen_db_adapter import citizen, store, verifying
from citizen_db_adapter.bodies import (
    LookupAnswer,
    LookupBody,
    VerificationAnswer,
    VerifyAnswer,
    VerifyBody,
)
from citizen_db_adapter.citizen import DossierUnknown, Outcome, PurposeNotPermitted, VerificationUnknown
from citizen_db_adapter.evidence import Sealer
from citizen_db_adapter.register import Register
from citizen_db_adapter.store import Conclusion, Question
from citizen_db_adapter.verifying import Request as Asking
from shared import clock, exchanges, idempotency, web
from shared.auth import Caller
from shared.db import Database, Transaction
from shared.dossiers import Dossiers
from shared.errors import TooManyRequests, Upstream, UpstreamInvalid, UpstreamTimeout, UpstreamUnavailable
from shared.events import new_id
from shared.idempotency import IdempotencyKeyReused, Key, RequestInProgress
from shared.telemetry import log

router = web.router(tags=["identity"])

_UPSTREAM = (UpstreamInvalid, UpstreamUnavailable, UpstreamTimeout)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes work with; wired by `main`."""

    dossiers: Dossiers
    register: Register
    sealer: Sealer
    permitted_fields: frozenset[str]
    calls_per_minute: int
    cache_seconds: float


async def _desk(request: Request) -> Desk:
    wired: Desk = request.app.state.desk
    return wired


InDesk = Annotated[Desk, Depends(_desk)]


class QuotaUsedUp(TooManyRequests):
    """The minute's calls of the population database are used up."""

    code, title = "register_quota_used_up", "The population database's quota is used up for this minute"


@router.post(
    "/v1/citizens/verify",
    response_model=VerifyAnswer,
    responses=web.errors(DossierUnknown, IdempotencyKeyReused, RequestInProgress, *_UPSTREAM)
    | {202: {"model": VerifyAnswer, "description": "the register does not answer; the outcome follows by itself"}},
)
async def verify(
    request: Request,
    body: VerifyBody,
    desk: InDesk,
    caller: Annotated[Caller, web.requires("citizen:verify")],
    key: Key = None,
) -> Response:
    """Ask the register about a person. 202 `pending` while it is down: the hub goes on asking by itself."""
    dossier = await _dossier(desk, body.dossier_code, caller)
    person = verifying.person_named(body.personal_id, body.full_name, body.date_of_birth)
    asked = Asking(person, body.purpose, body.legal_basis, body.dossier_code, body.officer, caller.client_id)
    digest = idempotency.digest_of("POST", "/v1/citizens/verify", await request.body())
    database: Database = request.app.state.api_database
    async with database.transaction(caller.agencies) as tx:
        stored = await idempotency.claim(tx, caller.client_id, key, digest) if key is not None else None
        if stored is not None:
            return idempotency.repeated(stored)
        question = await verifying.open_request(tx, asked, dossier, desk.sealer)
        await exchanges.keep(tx, web.exchange_id(request), caller.client_id, [body.dossier_code])
        answer = _answer(question, None)
        done = await verifying.remembered(tx, [(question, person)], desk.sealer, desk.cache_seconds)
        if done:
            answer = await _conclude(tx, done[0])
        may_ask = not done and await store.draw(tx, 1, desk.calls_per_minute) == 1
        await _keep(tx, caller, key, answer)
    if not done:
        conclusion = await _ask(desk, question, asked) if may_ask else None
        async with database.transaction(caller.agencies) as tx:
            if conclusion is None:
                await verifying.hand_over(tx, question)
            else:
                answer = await _conclude(tx, conclusion)
                await _keep(tx, caller, key, answer)
    return Response(answer.model_dump_json(), _status(answer), media_type="application/json")


@router.get(
    "/v1/citizens/verifications/{verification_id}",
    response_model=VerificationAnswer,
    responses=web.errors(VerificationUnknown),
)
async def verification(
    verification_id: str, rx: web.InReading, _caller: Annotated[Caller, web.requires("citizen:verify")]
) -> VerificationAnswer:
    """One verification, whether a dossier or an officer asked for it."""
    row = await store.verification(rx, verification_id)
    if row is None:
        raise VerificationUnknown
    return VerificationAnswer.model_validate(dict(row))


@router.post(
    "/v1/citizens/lookup",
    response_model=LookupAnswer,
    responses=web.errors(DossierUnknown, PurposeNotPermitted, QuotaUsedUp, *_UPSTREAM),
)
async def lookup(
    request: Request,
    body: LookupBody,
    desk: InDesk,
    caller: Annotated[Caller, web.requires("citizen:lookup")],
) -> LookupAnswer:
    """Fields of a person's record, only the requested and permitted ones, for an open dossier and a stated purpose."""
    if body.dossier_code is None:
        raise PurposeNotPermitted("A look-up needs an open dossier.")
    dossier = await _dossier(desk, body.dossier_code, caller)
    citizen.require_purpose(body.purpose, dossier["status_code"])
    person = verifying.person_named(body.personal_id, body.full_name, body.date_of_birth)
    asked = Asking(person, body.purpose, body.legal_basis, body.dossier_code, body.officer, caller.client_id)
    lookup_id = new_id()
    database: Database = request.app.state.api_database
    async with database.transaction(caller.agencies) as tx:
        if not await store.draw(tx, 1, desk.calls_per_minute):
            raise QuotaUsedUp(retry_after_seconds=60)
        await verifying.open_lookup(tx, lookup_id, asked, dossier["agency_code"], body.fields)
        await exchanges.keep(tx, web.exchange_id(request), caller.client_id, [body.dossier_code])
    found = await verifying.look_up(desk.register, lookup_id, asked, dossier["procedure_code"])
    supplied, withheld = verifying.permitted_only(found.record, body.fields, desk.permitted_fields)
    async with database.transaction(caller.agencies) as tx:
        await verifying.close_lookup(tx, lookup_id, dossier["agency_code"], found, supplied, desk.sealer)
    return LookupAnswer(
        lookup_id=lookup_id,
        outcome=found.finding.outcome,
        mismatched_fields=list(found.finding.mismatched_fields),
        fields=supplied,
        withheld=withheld,
        checked_at=clock.now(),
    )


async def _dossier(desk: Desk, code: str, caller: Caller) -> Mapping[str, Any]:
    """The dossier, asked from its owner. Another agency's is as unknown as one that does not exist."""
    found = (await desk.dossiers.read([code])).get(code)
    if found is None or not caller.covers(found["agency_code"]):
        raise DossierUnknown("There is no such dossier")
    return found


async def _ask(desk: Desk, question: Question, asked: Asking) -> Conclusion | None:
    """The conclusion, or None while the register does not answer: the worker takes the question up later."""
    try:
        answered = await verifying.ask(desk.register, question, asked.person)
    except Upstream as fault:
        log.warning("verification_waits", verification_id=question.id, reason=fault.internal or str(fault))
        return None
    return verifying.concluded(question, asked.person, answered, desk.sealer)


async def _conclude(tx: Transaction, conclusion: Conclusion) -> VerifyAnswer:
    await verifying.conclude(tx, [conclusion])
    return _answer(conclusion.question, conclusion)


async def _keep(tx: Transaction, caller: Caller, key: str | None, answer: VerifyAnswer) -> None:
    # Kept as pending first: whoever repeats after a crash gets the same verification, not a second one.
    if key is not None:
        await idempotency.keep(tx, caller.client_id, key, _status(answer), answer.model_dump_json().encode())


def _answer(question: Question, conclusion: Conclusion | None) -> VerifyAnswer:
    finding = conclusion.finding if conclusion else citizen.Finding(Outcome.PENDING)
    return VerifyAnswer.model_validate(
        {
            "verification_id": question.id,
            "outcome": finding.outcome,
            "mismatched_fields": list(finding.mismatched_fields),
            "checked_at": conclusion.checked_at if conclusion else None,
            "source": conclusion.source if conclusion else None,
        }
    )


def _status(answer: VerifyAnswer) -> int:
    return 202 if answer.outcome is Outcome.PENDING else 200
