"""Taking dossiers in: checked against the catalogue of their day, given a code, made into rows.

`check` says what a filing becomes or why not; `line` makes everything one dossier writes (its row, its first
transition, its event, its answer), so that one statement stores one dossier or five hundred (`intake_store`).
"""

from datetime import date, datetime
from typing import NamedTuple

from dossier import numbering, reusing, view
from dossier.bodies import IMPORT_SCOPE, Filing
from dossier.catalogue import Procedure
from dossier.cataloguing import Catalogue
from dossier.dossier import AHEAD, BACK, SUBMITTERS
from dossier.intake_store import Line
from dossier.numbering import Day
from dossier.person import PersonKeys
from dossier.record import Dossier, Status
from dossier.refusal import ActionNotForRole, AgencyNotValid, ProcedureNotValid
from dossier.store import SOURCE
from shared import clock, events, strict_json
from shared.auth import Caller
from shared.db import Database
from shared.errors import AgencyNotPermitted, FieldError, InsufficientScope, InvalidRequest
from shared.events import Cause, Event, new_event


class Draft(NamedTuple):
    """A filing that the rules accept, without its code. `day`: the agency's day that its number is drawn from."""

    filing: Filing
    procedure: Procedure
    submitted_at: datetime
    now: datetime
    day: Day
    receiver_code: str | None = None


class Sender(NamedTuple):
    """Who filed it, in which exchange, under which key."""

    caller: Caller
    cause: Cause
    key: str | None
    body_sha256: str | None


def check(filing: Filing, caller: Caller, catalogue: Catalogue, now: datetime) -> Draft:
    """Role, agency, procedure, time. Raises the first refusal."""
    if caller.role not in SUBMITTERS:
        raise ActionNotForRole
    reusing.require_officer([paper.__dict__ for paper in filing.attachments], caller.role)
    submitted_at = _submitted_at(filing, caller, now)
    day = clock.local_date(submitted_at)
    agency = catalogue.agency(filing.agency_code, day)
    # Whoever may not file for an agency does not learn whether it exists.
    receiver = _receiver(filing, caller, catalogue, day)
    if receiver is None:
        caller.require_agency(filing.agency_code if agency is None else agency.code)
    if agency is None:
        raise AgencyNotValid
    procedure = catalogue.procedure(filing.procedure_code, day)
    filed_with = catalogue.find_agency(filing.agency_code)
    performers = {agency.code} if filed_with is None else {agency.code, filed_with.code}
    if procedure is None or not catalogue.is_performed_by(procedure, performers, day):
        raise ProcedureNotValid
    for_another = None if receiver == agency.code else receiver
    return Draft(filing, procedure, submitted_at, now, (agency.code, day), for_another)


def _receiver(filing: Filing, caller: Caller, catalogue: Catalogue, day: date) -> str | None:
    """The agency whose desk takes the papers in for the competent one: there the caller must be at home."""
    if filing.receiving_agency_code is None:
        return None
    found = catalogue.agency(filing.receiving_agency_code, day)
    caller.require_agency(filing.receiving_agency_code if found is None else found.code)
    if found is None:
        raise AgencyNotValid
    return found.code


async def check_afresh(
    filing: Filing, caller: Caller, catalogue: Catalogue, now: datetime, database: Database
) -> Draft:
    """`check`, and once more with a fresh catalogue: the code may be younger than our copy of it."""
    try:
        return check(filing, caller, catalogue, now)
    except (AgencyNotValid, ProcedureNotValid, AgencyNotPermitted):
        if not await catalogue.check(database):
            raise
        return check(filing, caller, catalogue, now)


def line(draft: Draft, number: int, sender: Sender, person_keys: PersonKeys, *, in_batch: bool) -> Line:
    """Everything that is written for one dossier."""
    filing, applicant = draft.filing, draft.filing.applicant
    agency_code, day = draft.day
    digitised = any(paper.digitised for paper in filing.attachments)
    dossier = Dossier(
        code=numbering.code(agency_code, day, number),
        agency_code=agency_code,
        procedure_code=filing.procedure_code,
        procedure_version=draft.procedure.version,
        channel=filing.channel,
        status=Status.SUBMITTED,
        version=1,
        transition_version=1,
        last_at=draft.submitted_at,
        submitted_at=draft.submitted_at,
        identity_outcome="pending" if applicant.personal_id else "not_required",
        has_digitised=digitised,
        receiver_code=draft.receiver_code,
    )
    event = _submitted(dossier, draft, sender.cause.traceparent)
    return Line(
        dossier=dossier,
        client_id=sender.caller.client_id,
        exchange_id=sender.cause.exchange_id,
        external_reference=filing.external_reference,
        recorded_at=draft.now,
        person=person_keys.sealed(applicant.personal_id, dossier.code),
        applicant=_json({name: value for name, value in applicant.__dict__.items() if name != "personal_id"}),
        abstract=filing.abstract,
        form=_json(filing.form),
        attachments=_json([paper.__dict__ for paper in filing.attachments]),
        return_method=filing.return_method,
        event_id=event.id,
        event=events.encode(event).decode(),
        key=sender.key,
        body_sha256=sender.body_sha256,
        answer=batch_answer(dossier.code) if in_batch else _json(answer(dossier, filing)),
        headers="{}" if in_batch else _json({"location": location(dossier.code)}),
    )


def _submitted(dossier: Dossier, draft: Draft, traceparent: str | None) -> Event:
    data = view.event_data(dossier, "submit", None, draft.submitted_at, draft.now)
    kind = "vn.lgsp.dossier.submitted.v1"
    return new_event(SOURCE, kind, dossier.code, draft.submitted_at, data, 1, traceparent=traceparent)


def answer(dossier: Dossier, filing: Filing) -> dict[str, object]:
    """The body of 201."""
    return {
        **view.public_record(dossier),
        "abstract": filing.abstract,
        "return_method": filing.return_method,
        "external_reference": filing.external_reference,
    }


def batch_answer(code: str) -> str:
    """What a batch line is answered, without its index."""
    return _json({"status": 201, "code": code})


def location(code: str) -> str:
    """Where a dossier is read."""
    return f"/v1/dossiers/{code}"


def _submitted_at(filing: Filing, caller: Caller, now: datetime) -> datetime:
    submitted_at = filing.submitted_at
    if submitted_at is None:
        return now
    if submitted_at > now + AHEAD:
        raise InvalidRequest(errors=[FieldError("/submitted_at", "lies more than 5 minutes ahead")])
    if submitted_at < now - BACK and IMPORT_SCOPE not in caller.scopes:
        raise InsufficientScope("A submitted_at more than an hour back needs scope dossier:import")
    return submitted_at


def _json(value: object) -> str:
    return strict_json.dumps(value).decode()
