"""`POST /v1/dossiers/{code}/transitions` and its batch: actions asked for over HTTP, idempotent.

The single route's head and body are read by hand: this is a hot path.
"""

import asyncio
from typing import Annotated, Any

from fastapi import Request, Response

from dossier import ndjson
from dossier.acting import Acting, Asked, Done
from dossier.answers import DossierAnswer, LineAnswer
from dossier.bodies import TransitionBody, TransitionLine, command, parse
from dossier.handling import Wanted
from dossier.openapi import code_in_path, json_body, lean, ndjson_body
from dossier.record import STATUS_NAMES, Step
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
from shared import clock, idempotency, strict_json, web
from shared.agency_codes import canonical_dossier
from shared.auth import Caller
from shared.errors import FieldError, HubError, InvalidRequest, NotFound, PayloadTooLarge, PreconditionFailed
from shared.events import Cause
from shared.idempotency import IdempotencyKeyReused, RequestInProgress

router = web.router(tags=["dossiers"])
_LONGEST_CODE = 100

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
        asked = [it for it in parsed if isinstance(it, Asked)]
        done = iter(await _acting(request).batch(asked, caller, _line_answer))
        answers += [_line_result(next(done)) if isinstance(it, Asked) else it for it in parsed]
        await asyncio.sleep(0)  # decoding a group holds the loop: others come first now
    return ndjson.response(answers)


async def transit(request: Request) -> Response:
    """One action on one dossier; the dossier as it is then."""
    caller = await web.caller_of(request, "dossier:transition")
    code = request.path_params["code"]
    if len(code) > _LONGEST_CODE:
        raise InvalidRequest(errors=[FieldError("path:code", f"has 1 to {_LONGEST_CODE} characters")])
    code = canonical_dossier(code)
    key = idempotency.key_of(request.headers)
    body = await request.body()
    wanted = Wanted(
        code, command(parse(TransitionBody, body), caller, clock.now()), caller.client_id, web.cause(request)
    )
    sha = None if key is None else _sha(code, body)
    done = await _acting(request).one(Asked(wanted, key, sha), caller)
    if done.first is not None:
        return Response(done.first, 200, {idempotency.REPLAYED: "true"}, "application/json")
    return Response(strict_json.dumps(done.answer), media_type="application/json")


router.add_api_route(
    "/v1/dossiers/{code}/transitions",
    transit,
    methods=["POST"],
    response_model=DossierAnswer,
    responses=_REFUSALS,
    openapi_extra=json_body(TransitionBody) | lean(code_in_path(_LONGEST_CODE)),
    route_class_override=web.LeanRoute,
)


def _line(line: bytes, caller: Caller, cause: Cause) -> Asked | dict[str, Any]:
    try:
        parsed = parse(TransitionLine, line)
    except HubError as refusal:
        return ndjson.refusal(refusal)
    wanted = Wanted(parsed.code, command(parsed, caller, clock.now()), caller.client_id, cause)
    key = parsed.idempotency_key
    return Asked(wanted, key, None if key is None else _sha("batch", line))


def _line_answer(step: Step) -> dict[str, Any]:
    after = step.after
    return {
        "status": 200,
        "code": after.code,
        "dossier_status": STATUS_NAMES[after.status],
        "version": after.version,
        "due_at": after.due_at,
    }


def _line_result(result: Done | HubError) -> dict[str, Any]:
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


def _acting(request: Request) -> Acting:
    acting: Acting = request.app.state.acting
    return acting
