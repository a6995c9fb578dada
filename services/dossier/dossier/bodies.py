"""Bodies of the dossier routes: what may come in, and what it becomes for the use cases."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from dossier.catalogue import AGENCY_CODE, PROCEDURE_CODE, Channel
from dossier.record import STATUS_NAMES, Command
from shared import agency_codes, clock, idempotency, problems, strict_json
from shared.auth import Caller
from shared.errors import FieldError, InvalidRequest
from shared.public_url import is_public
from shared.web import PRESENT_FORM, Body

IMPORT_SCOPE = "dossier:import"
MAX_VND = 10**12
MAX_ATTACHMENTS = 200
B = TypeVar("B", bound=BaseModel)


def _moment(value: Any) -> Any:
    """RFC 3339 with offset, nothing looser (pydantic would take bare numbers for seconds since 1970)."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or len(value) < 20 or value[4] != "-" or value[10] not in "Tt ":
        raise ValueError("must be a time as in RFC 3339, with an offset")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a time as in RFC 3339, with an offset") from None
    if moment.tzinfo is None:
        raise ValueError("must have an offset")
    if not 1990 <= moment.year <= 2059:
        raise ValueError("must lie between 1990 and 2059")
    return moment.astimezone(UTC)


def _day(value: Any) -> Any:
    try:
        if isinstance(value, str) and len(value) == 10 and value[4] == "-":
            return date.fromisoformat(value)
    except ValueError:
        pass
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError("must be a date of the form 1990-04-12")


def _public(url: str) -> str:
    if not is_public(url):
        raise ValueError("must lead to a public host")
    return url


Moment = Annotated[datetime, BeforeValidator(_moment)]
Day = Annotated[date, BeforeValidator(_day)]
VISIBLE = r"[^\s\x1c-\x1f]"
"""Of a text: anything to be seen. Blanks around it are cut off, but not these four separators, and the portal takes a
name of nothing else for none."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=VISIBLE)]
LongText = Annotated[str, StringConstraints(max_length=4000)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=VISIBLE)]
DossierCode = Annotated[Code, PRESENT_FORM]
"""Its agency's code stands in either form."""
PersonalId = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
AgencyCode = Annotated[str, StringConstraints(pattern=f"{AGENCY_CODE}|{agency_codes.OLD_FORM}", max_length=35)]
ProcedureCode = Annotated[str, StringConstraints(pattern=PROCEDURE_CODE)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{64}$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$", max_length=2048), AfterValidator(_public)]
LineKey = Annotated[str, StringConstraints(min_length=1, max_length=idempotency.MAX_KEY_LENGTH)]
AmountVnd = Annotated[int, Field(strict=True, ge=1, le=MAX_VND)]


class Applicant(Body):
    """Who files: personal data, read again only for a stated purpose."""

    kind: Literal["citizen", "business", "state_agency", "organisation"]
    full_name: Text
    personal_id: PersonalId | None = None
    date_of_birth: Day | None = None
    phone: Annotated[str, StringConstraints(max_length=30)] | None = None
    email: Annotated[str, StringConstraints(max_length=254)] | None = None
    organisation_tax_code: Annotated[str, StringConstraints(pattern=r"^[0-9][0-9\-]{8,13}$")] | None = None
    address: Annotated[str, StringConstraints(max_length=1000)] | None = None


class Attachment(Body):
    """A paper that was handed in; the hub keeps where it is and its digest, not its bytes."""

    component_code: Code | None = None
    name: Text
    media_type: Annotated[str, StringConstraints(max_length=255)] | None = None
    size: Annotated[int, Field(strict=True, ge=0)] | None = None
    sha256: Sha256 | None = None
    url: Url | None = None
    digitised: Annotated[bool, Field(strict=True)] = False
    reused: Literal["none", "component", "result"] = "none"
    reused_from: DossierCode | None = None
    """The earlier dossier whose document this is, found there by `sha256`."""
    certified: Annotated[bool, Field(strict=True)] = False
    """An officer has compared it with the original: later dossiers may reuse it."""


Attachments = Annotated[list[Attachment], Field(max_length=MAX_ATTACHMENTS)]


class Filing(Body):
    """`POST /v1/dossiers`."""

    procedure_code: ProcedureCode
    agency_code: AgencyCode
    channel: Channel
    applicant: Applicant
    abstract: LongText = ""
    submitted_at: Moment | None = None
    form: dict[str, Any] = Field(default_factory=dict)
    attachments: Attachments = Field(default_factory=list)
    return_method: Literal["direct", "post", "electronic"] = "direct"
    external_reference: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    receiving_agency_code: AgencyCode | None = None
    """Whose desk took the papers in, if that is not the competent agency's own."""


class FilingLine(Filing):
    """One line of `POST /v1/dossiers/batch`."""

    idempotency_key: LineKey | None = None


class ActorBody(Body):
    """The officer who acted."""

    name: Text | None = None
    title: Annotated[str, StringConstraints(max_length=500)] | None = None
    unit: Annotated[str, StringConstraints(max_length=500)] | None = None


class DocumentBody(Body):
    """A result document. With `url` and `sha256` it counts as an electronic result."""

    result_code: Code | None = None
    name: Text
    number: Annotated[str, StringConstraints(max_length=100)] | None = None
    url: Url | None = None
    sha256: Sha256 | None = None


class ResultBody(Body):
    """What a dossier ends with."""

    documents: Annotated[list[DocumentBody], Field(max_length=MAX_ATTACHMENTS)]


class FeeBody(Body):
    """One line of what is to be paid, in đồng. `fee` is lệ phí, `charge` is phí."""

    code: Code
    name: Text
    kind: Literal["fee", "charge"]
    amount_vnd: AmountVnd


Fees = Annotated[list[FeeBody], Field(max_length=100)]


class TransitionBody(Body):
    """`POST /v1/dossiers/{code}/transitions`."""

    action: Code
    reason: LongText | None = None
    actor: ActorBody | None = None
    at: Moment | None = None
    result: ResultBody | None = None
    fees: Fees = Field(default_factory=list)
    attachments: Attachments = Field(default_factory=list)
    new_due_at: Moment | None = None
    identity_reason: LongText | None = None
    legal_exception: Annotated[bool, Field(strict=True)] | LongText | None = None
    apology: DocumentBody | None = None
    expected_version: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)] | None = None


class TransitionLine(TransitionBody):
    """One line of `POST /v1/dossiers/transitions/batch`."""

    code: DossierCode
    idempotency_key: LineKey | None = None


class RatingBody(Body):
    """`POST /v1/ratings`."""

    dossier_code: DossierCode
    score: Literal["very_satisfied", "satisfied", "dissatisfied"]
    at: Moment | None = None


class SearchBody(Body):
    """`POST /v1/dossiers/search`: what must not stand in a URL."""

    personal_id: PersonalId
    agency: AgencyCode | None = None
    status: Code | None = None
    cursor: Annotated[str, StringConstraints(max_length=500)] | None = None
    limit: Annotated[int, Field(strict=True, ge=1, le=500)] = 100


class ReadBody(Body):
    """`POST /internal/dossiers/read`."""

    codes: Annotated[list[Code], Field(max_length=500)]
    view: Literal["identity", "payment", "sync"]


@cache
def _adapter(kind: type[BaseModel]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def parse(kind: type[B], body: bytes) -> B:
    """The body, decoded strictly and validated once. Raises `InvalidRequest`, never echoing a value."""
    value = strict_json.loads(body)
    try:
        parsed: B = _adapter(kind).validate_python(value)
    except ValidationError as failure:
        raise problems.invalid(failure) from None
    return parsed


def command(body: TransitionBody, caller: Caller, now: datetime) -> Command:
    """The action a caller asks for."""
    exception = body.legal_exception
    return Command(
        action=body.action,
        role=caller.role,
        now=now,
        at=body.at,
        reason=body.reason or None,
        actor=None if body.actor is None else body.actor.__dict__,
        documents=() if body.result is None else tuple(it.__dict__ for it in body.result.documents),
        fees=tuple(it.__dict__ for it in body.fees),
        attachments=tuple(it.__dict__ for it in body.attachments),
        new_due_at=body.new_due_at,
        identity_reason=body.identity_reason or None,
        legal_exception=("yes" if exception is True else exception) or None,
        apology=None if body.apology is None else dict(body.apology.__dict__),
        expected_version=body.expected_version,
        may_import=IMPORT_SCOPE in caller.scopes,
        agencies=caller.agencies,
    )


def status_codes(text: str | None) -> list[int] | None:
    """A filter by status: names or numbers, several with commas. Raises `InvalidRequest`."""
    if text is None:
        return None
    known = {name: int(status) for status, name in STATUS_NAMES.items()}
    known |= {str(int(status)): int(status) for status in STATUS_NAMES}
    wanted = [part.strip() for part in text.split(",")]
    if not all(part in known for part in wanted):
        raise InvalidRequest(errors=[FieldError("query:status", "is not a status")])
    return sorted({known[part] for part in wanted})


def moment_or_day(name: str, text: str | None, *, end: bool) -> datetime | None:
    """A filter's time: RFC 3339, or a day (`received_to` includes the whole day)."""
    if text is None:
        return None
    try:
        if len(text) == 10:
            day = date.fromisoformat(text)
            if not 1990 <= day.year <= 2059:  # as of times; on the edges of the calendar nothing can be reckoned
                raise ValueError
            day += timedelta(days=1 if end else 0)
            return datetime(day.year, day.month, day.day, tzinfo=clock.VIETNAM).astimezone(UTC)
        moment: datetime = _moment(text.replace(" ", "+"))
    except ValueError:
        raise InvalidRequest(errors=[FieldError(f"query:{name}", "is neither a time nor a day")]) from None
    return moment
