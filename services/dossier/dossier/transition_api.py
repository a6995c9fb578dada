"""`POST /v1/dossiers/{code}/transitions` and its batch: actions asked for over HTTP, idempotent.

The dossier's row is locked first. A repeat of the same key therefore waits there, two seconds at most, and then
finds the first answer.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import asyncpg
from fastapi import Header, Path, Request, Response

from dossier import handling, ndjson, reusing, view
from dossier.answers import DossierAnswer, LineAnswer
from dossier.bodies import Key, TransitionBody, TransitionLine, command, parse
from dossier.handling import Procedures, Refused, Wanted
from dossier.openapi import json_body, ndjson_body
from dossier.record import STATUS_NAMES, Dossier, Step
from dossier.refusal import (
    ActionNotForAgency,
    ActionNotForRole,
    ChargeOpen,
    ExtensionNotAllowed,
    HandedOverBefore,
    IdentityPending,
    IdentityReasonRequired,
    LegalExceptionRequired,
    NotHandedOver,
    NotLate,
    NotReceivedForAnother,
    PersonalNumberAwaited,
    PersonalNumberNotAwaited,
    ReusedDocumentNotFound,
    TimeGoesBack,
    TransitionNotAllowed,
)
from dossier.store import answers as stored_answers
from dossier.store import keep_answers
from shared import clock, idempotency, strict_json, web
from shared.auth import Caller
from shared.db import Database, Transaction
from shared.errors import HubError, NotFound, Overloaded, PayloadTooLarge, PreconditionFailed
from shared.events import Cause
from shared.idempotency import IdempotencyKeyReused, RequestInProgress
from shared.telemetry import log

router = web.router(tags=["dossiers"])
CodeInPath = Annotated[str, Path(min_length=1, max_length=100), web.PRESENT_FORM]
IdempotencyKey = Annotated[Key | None, Header(alias="Idempotency-Key")]
_LOCKED = asyncpg.exceptions.LockNotAvailableError

_REFUSALS = web.errors(
    NotFound,
    ActionNotForRole,
    ActionNotForAgency,
    TransitionNotAllowed,
    NotReceivedForAnother,
    HandedOverBefore,
    NotHandedOver,
    TimeGoesBack,
    IdentityPending,
    IdentityReasonRequired,
    ChargeOpen,
    LegalExceptionRequired,
    ExtensionNotAllowed,
    NotLate,
    PersonalNumberAwaited,
    PersonalNumberNotAwaited,
    ReusedDocumentNotFound,
    PreconditionFailed,
    IdempotencyKeyReused,
    RequestInProgress,
)


@dataclass(slots=True)
class _Asked:
    """One action of a request or a line."""

    wanted: Wanted
    key: str | None
    sha: str | None


@router.post(
    "/v1/dossiers/transitions/batch",
    response_class=Response,
    responses=web.errors(PayloadTooLarge) | ndjson_body(LineAnswer),
    openapi_extra={"requestBody": {"required": True, "content": {ndjson.MEDIA_TYPE: {"schema": {"type": "string"}}}}},
)
async def transit_batch(request: Request, caller: Annotated[Caller, web.requires("dossier:transition")]) -> Response:
    """Up to 5,000 actions, one per line; those of one dossier apply in order."""
    lines = await ndjson.lines(request)
    answers: list[dict[str, Any]] = []
    for group in ndjson.groups(len(lines)):
        parsed = [_line(lines[index], caller, web.cause(request)) for index in group]
        asked = [it for it in parsed if isinstance(it, _Asked)]
        done = iter(await _in_groups(request, caller, asked))
        answers += [next(done) if isinstance(it, _Asked) else it for it in parsed]
        await asyncio.sleep(0)  # decoding a group holds the loop: others come first now
    return ndjson.response(answers)


@router.post(
    "/v1/dossiers/{code}/transitions",
    response_model=DossierAnswer,
    responses=_REFUSALS,
    openapi_extra=json_body(TransitionBody),
)
async def transit(
    request: Request,
    code: CodeInPath,
    caller: Annotated[Caller, web.requires("dossier:transition")],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """One action on one dossier; the dossier as it is then."""
    body = await request.body()
    parsed = parse(TransitionBody, body)
    wanted = Wanted(code, command(parsed, caller, clock.now()), caller.client_id, web.cause(request))
    sha = None if idempotency_key is None else _sha(code, body)
    database: Database = request.app.state.api_database
    try:
        async with database.transaction(caller.agencies) as tx:
            (result,) = await _act(tx, caller, [_Asked(wanted, idempotency_key, sha)], request, _record)
    except _LOCKED:
        if idempotency_key is None:
            raise Overloaded(retry_after_seconds=1) from None
        raise RequestInProgress(retry_after_seconds=1) from None
    except asyncpg.exceptions.UniqueViolationError:
        # Somebody used the key for another dossier in this very moment.
        raise IdempotencyKeyReused from None
    if isinstance(result, HubError):
        raise result
    if result.first is not None:
        return Response(result.first, 200, {idempotency.REPLAYED: "true"}, "application/json")
    return Response(strict_json.dumps(result.answer), media_type="application/json")


@dataclass(frozen=True, slots=True)
class _Done:
    """An action taken now (its answer), or one taken before (the text that was answered then)."""

    answer: dict[str, Any] | None = None
    first: str | None = None


async def _in_groups(request: Request, caller: Caller, asked: Sequence[_Asked]) -> list[dict[str, Any]]:
    """One transaction for all; a database error repeats them one by one."""
    database: Database = request.app.state.api_database
    try:
        async with database.transaction(caller.agencies) as tx:
            results = await _act(tx, caller, asked, request, _line_answer)
        return [_line_result(result) for result in results]
    except HubError as fault:
        return [ndjson.refusal(fault) for _ in asked]
    except asyncpg.PostgresError as fault:
        if len(asked) > 1:
            return [(await _in_groups(request, caller, [it]))[0] for it in asked]
        log.warning("line_failed", fault=type(fault).__name__)
        taken = isinstance(fault, asyncpg.exceptions.UniqueViolationError)
        return [ndjson.refusal(IdempotencyKeyReused() if taken else Overloaded(retry_after_seconds=1))]


async def _act(
    tx: Transaction, caller: Caller, asked: Sequence[_Asked], request: Request, answer: Any
) -> list[_Done | HubError]:
    """Lock, look for first answers, take the steps, keep the answers: all in this transaction."""
    await tx.raw.execute(f"SET LOCAL lock_timeout = {idempotency.WAIT_MILLISECONDS}")
    dossiers = await handling.lock(tx, {it.wanted.code for it in asked})
    keys = [it.key for it in asked if it.key is not None]
    stored = await stored_answers(tx, caller.client_id, keys) if keys else {}
    first = {key: (row["body_sha256"], row["answer"]) for key, row in stored.items()}
    taken: list[tuple[Wanted, Step]] = []
    kept: list[tuple[str, str, str]] = []
    results: list[_Done | HubError] = []
    for it in asked:
        if it.key in first:
            results.append(_repeated(it, *first[it.key]))
            continue
        result = await _step(tx, it.wanted, request, dossiers)
        if isinstance(result, HubError):
            results.append(result)  # and its key stays free for a later line
            continue
        taken.append((it.wanted, result))
        results.append(_Done(told := answer(result)))
        if it.key is not None and it.sha is not None:
            first[it.key] = it.sha, strict_json.dumps(told).decode()
            kept.append((it.key, *first[it.key]))
    await handling.save(tx, taken)
    await keep_answers(tx, caller.client_id, kept)
    return results


async def _step(tx: Transaction, wanted: Wanted, request: Request, dossiers: dict[str, Dossier]) -> Step | HubError:
    """One step, or why not. What it attaches is certified by an officer, and what it reuses is there."""
    papers = wanted.command.attachments
    if papers and wanted.code in dossiers:
        try:
            reusing.require_officer(papers, wanted.command.role)
            if reusing.names_sources(papers):
                await reusing.require_for(tx, request.app.state.person_keys, wanted.code, papers)
        except HubError as refusal:
            return refusal
    result = handling.step(wanted, _procedures(request), dossiers)
    return result.error if isinstance(result, Refused) else result


def _repeated(it: _Asked, sha: str, answer: str) -> _Done | HubError:
    """A repeat of a stored answer, or of an earlier line's."""
    return _Done(first=answer) if it.sha == sha else IdempotencyKeyReused()


def _line(line: bytes, caller: Caller, cause: Cause) -> _Asked | dict[str, Any]:
    try:
        parsed = parse(TransitionLine, line)
    except HubError as refusal:
        return ndjson.refusal(refusal)
    wanted = Wanted(parsed.code, command(parsed, caller, clock.now()), caller.client_id, cause)
    key = parsed.idempotency_key
    return _Asked(wanted, key, None if key is None else _sha("batch", line))


def _record(step: Step) -> dict[str, Any]:
    return view.public_record(step.after)


def _line_answer(step: Step) -> dict[str, Any]:
    after = step.after
    return {
        "status": 200,
        "code": after.code,
        "dossier_status": STATUS_NAMES[after.status],
        "version": after.version,
        "due_at": after.due_at,
    }


def _line_result(result: _Done | HubError) -> dict[str, Any]:
    if isinstance(result, HubError):
        return ndjson.refusal(result)
    if result.first is None:
        assert result.answer is not None
        return result.answer
    first: dict[str, Any] = strict_json.loads(result.first.encode())
    # The key may have been used on the single route, whose answer is the dossier itself.
    names = ("code", "dossier_status", "version", "due_at")
    kept: dict[str, Any] = {name: first[name] for name in names if name in first}
    return {"status": 200, **kept, "replayed": True}


def _sha(place: str, body: bytes) -> str:
    return idempotency.digest(f"POST transitions {place}\n".encode() + body)


def _procedures(request: Request) -> Procedures:
    procedures: Procedures = request.app.state.procedures
    return procedures
