"""Bodies of the identity routes: what may come in, and what goes out."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from citizen_db_adapter.citizen import Outcome
from shared.web import PRESENT_FORM, Answer, Body


def _birth(value: Any) -> Any:
    """`yyyy-mm-dd`, or the year alone where no more is known (wire document 3.1)."""
    if isinstance(value, str) and len(value) == 4 and value.isascii() and value.isdigit():
        return value
    try:
        if isinstance(value, str) and len(value) == 10:
            date.fromisoformat(value)
            return value
    except ValueError:
        pass
    raise ValueError("must be a date like 1990-04-12, or a year")


Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=100)]
DossierCode = Annotated[Code, PRESENT_FORM]
PersonalId = Annotated[str, StringConstraints(pattern=r"^([0-9]{12}|[0-9]{9})$")]
FullName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
BirthDate = Annotated[str, BeforeValidator(_birth)]
LookupField = Literal[
    "full_name",
    "date_of_birth",
    "gender",
    "ethnicity",
    "religion",
    "marital_status",
    "blood_group",
    "nationality",
    "old_id",
    "birth_registration",
    "place_of_origin",
    "permanent_address",
    "current_address",
    "household_number",
]


class VerifyBody(Body):
    """`POST /v1/citizens/verify`: who, what for, on what legal basis, for which dossier, asked by whom."""

    personal_id: PersonalId
    full_name: FullName
    date_of_birth: BirthDate | None = None
    purpose: Text
    legal_basis: Text
    dossier_code: DossierCode
    officer: Text


class LookupBody(Body):
    """`POST /v1/citizens/lookup`. Without a purpose it is refused as `purpose_not_permitted`."""

    personal_id: PersonalId
    full_name: FullName
    date_of_birth: BirthDate | None = None
    purpose: Annotated[str, StringConstraints(max_length=500)] = ""
    legal_basis: Text
    dossier_code: DossierCode | None = None
    officer: Text
    fields: Annotated[list[LookupField], Field(min_length=1, max_length=30)]


class VerifyAnswer(Answer):
    """A verification's outcome; `pending` while the register has not answered."""

    verification_id: str
    outcome: Outcome
    mismatched_fields: list[str]
    checked_at: datetime | None
    source: Literal["register", "cache"] | None


class VerificationAnswer(VerifyAnswer):
    """A verification as it is kept."""

    dossier_code: str
    agency_code: str
    purpose: str | None
    legal_basis: str | None
    officer: str | None
    recorded_at: datetime


class LookupAnswer(Answer):
    """What may be told about a person; `withheld` gives the reason per field: not_permitted or not_recorded."""

    lookup_id: str
    outcome: Outcome
    mismatched_fields: list[str]
    fields: dict[str, str]
    withheld: dict[str, str]
    checked_at: datetime
    source: Literal["register"] = "register"
