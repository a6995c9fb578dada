"""Corrections of a dossier's history: asked for by one person at the desk, decided by another."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Request, Response
from pydantic import Field, StringConstraints, model_validator

from dossier import correcting, view
from dossier.answers import CorrectionAnswer, CorrectionsAnswer, DecisionAnswer
from dossier.bodies import Attachments, Code, LongText, Moment, ResultBody, Text
from dossier.correction import Correction, Person, Retimed
from dossier.handling import Procedures
from dossier.history import Entry
from dossier.refusal import (
    ActionNotForRole,
    ChargeOpen,
    CorrectionDecided,
    IdentityPending,
    IdentityReasonRequired,
    LegalExceptionRequired,
    PersonalNumberAwaited,
    PersonalNumberNotAwaited,
    SamePerson,
    StepDoesNotFit,
    TimeGoesBack,
)
from shared import exchanges, idempotency, strict_json, web
from shared.auth import Caller
from shared.errors import NotFound
from shared.idempotency import IdempotencyKeyReused, Key, RequestInProgress
from shared.web import Body

router = web.router(tags=["dossiers"])
Desk = Annotated[Caller, web.requires("dossier:transition")]
MAX_CHANGES = 20
# What the life may say to a step that is added, besides.
_GUARDS = (
    StepDoesNotFit, TimeGoesBack, IdentityPending, IdentityReasonRequired, ChargeOpen, LegalExceptionRequired,
    PersonalNumberAwaited, PersonalNumberNotAwaited,
)  # fmt: skip


class NamedActor(Body):
    """A person: four eyes need names."""

    name: Text
    title: Annotated[str, StringConstraints(max_length=500)] | None = None
    unit: Annotated[str, StringConstraints(max_length=500)] | None = None


class TimeBody(Body):
    """The transition of this version happened at `at`."""

    version: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
    at: Moment


class StepBody(Body):
    """A step that was taken and never ticked."""

    action: Code
    at: Moment
    reason: LongText | None = None
    actor: NamedActor | None = None
    result: ResultBody | None = None
    attachments: Attachments = Field(default_factory=list)
    identity_reason: LongText | None = None
    legal_exception: LongText | None = None


class CorrectionBody(Body):
    """What is to be put right, why, and who says so."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=4000)]
    actor: NamedActor
    times: Annotated[list[TimeBody], Field(max_length=MAX_CHANGES)] = Field(default_factory=list)
    steps: Annotated[list[StepBody], Field(max_length=MAX_CHANGES)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _says_something_once(self) -> "CorrectionBody":
        versions = [it.version for it in self.times]
        if not versions and not self.steps:
            raise ValueError("times or steps are required")
        if len(set(versions)) != len(versions):
            raise ValueError("a version stands twice in times")
        return self


class DecisionBody(Body):
    """The other person's word."""

    correction_id: Code
    decision: Literal["approve", "reject"]
    actor: NamedActor


@router.post(
    "/v1/dossiers/{code}/corrections",
    status_code=201,
    response_model=CorrectionAnswer,
    responses=web.errors(NotFound, ActionNotForRole, *_GUARDS, IdempotencyKeyReused, RequestInProgress),
)
async def ask(
    *,
    request: Request,
    code: web.DossierInPath,
    caller: Desk,
    tx: web.InTransaction,
    body: CorrectionBody,
    key: Key = None,
) -> Response:
    """Ask for a correction: it is tried out, and changes nothing until another person approves it."""
    _require_desk(caller)
    wanted = Correction(tuple(Retimed(it.version, it.at) for it in body.times), tuple(_entry(it) for it in body.steps))

    async def act() -> Response:
        asked = await correcting.ask(tx, code, wanted, _person(caller, body.actor), body.reason, _procedures(request))
        await exchanges.keep(tx, web.exchange_id(request), caller.client_id, [code])
        return Response(strict_json.dumps(shown(asked)), 201, media_type="application/json")

    return await idempotency.once(tx, request, caller, key, act)


@router.get("/v1/dossiers/{code}/corrections", response_model=CorrectionsAnswer, responses=web.errors(NotFound))
async def listed(
    code: web.DossierInPath, _caller: Annotated[Caller, web.requires("dossier:read")], rx: web.InReading
) -> Response:
    """Corrections asked for, oldest first, with what became of them."""
    items = [shown(row) for row in await correcting.listed(rx, code)]
    return Response(strict_json.dumps({"items": items, "next_cursor": None}), media_type="application/json")


@router.post(
    "/v1/dossiers/{code}/corrections/decision",
    response_model=DecisionAnswer,
    responses=web.errors(
        NotFound, ActionNotForRole, SamePerson, CorrectionDecided, *_GUARDS, IdempotencyKeyReused, RequestInProgress
    ),
)
async def decide(
    *,
    request: Request,
    code: web.DossierInPath,
    caller: Desk,
    tx: web.InTransaction,
    body: DecisionBody,
    key: Key = None,
) -> Response:
    """Approve or reject a correction; whoever approves is not who asked. The answer has the dossier as it is then."""
    _require_desk(caller)
    person = _person(caller, body.actor)

    async def act() -> Response:
        answer: dict[str, Any] = {"correction_id": body.correction_id, "state": "rejected", "dossier": None}
        if body.decision == "approve":
            cause = web.cause(request)
            step = await correcting.approve(tx, code, body.correction_id, person, _procedures(request), cause)
            answer |= {"state": "approved", "dossier": view.public_record(step.after)}
        else:
            await correcting.reject(tx, code, body.correction_id, person)
            await exchanges.keep(tx, web.exchange_id(request), caller.client_id, [code])
        return Response(strict_json.dumps(answer), media_type="application/json")

    return await idempotency.once(tx, request, caller, key, act)


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A correction as it is read: persons by name, title and unit."""
    return {
        "correction_id": row["id"],
        "state": row["state"],
        "reason": row["reason"],
        "times": row["wanted"]["times"],
        "steps": [{"action": it["action"], "at": it["at"], "reason": it["reason"]} for it in row["wanted"]["steps"]],
        "asked_by": _named(row["asked_by"]),
        "asked_at": row["asked_at"],
        "decided_by": _named(row["decided_by"]),
        "decided_at": row["decided_at"],
        "version": row["version"],
    }


def _named(person: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if person is None else {name: person[name] for name in ("name", "title", "unit")}


def _require_desk(caller: Caller) -> None:
    if caller.role != "desk":
        raise ActionNotForRole


def _person(caller: Caller, actor: NamedActor) -> Person:
    return Person(caller.client_id, caller.subject, actor.name, actor.title, actor.unit)


def _entry(body: StepBody) -> Entry:
    return Entry(
        version=0, action=body.action, at=body.at, reason=body.reason or None,
        actor=None if body.actor is None else body.actor.__dict__,
        documents=() if body.result is None else tuple(it.__dict__ for it in body.result.documents),
        attachments=tuple(it.__dict__ for it in body.attachments),
        legal_exception=body.legal_exception or None, identity_reason=body.identity_reason or None,
    )  # fmt: skip


def _procedures(request: Request) -> Procedures:
    procedures: Procedures = request.app.state.procedures
    return procedures
