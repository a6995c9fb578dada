"""Rules of identity: who is compared with whom, and what the four outcomes mean.

Outcomes (TT 136/2026/TT-BCA, wire document 3.5) from the two services of the register:

    033 TonTai   037 records                      outcome               mismatched fields
    true         not asked                        match                 none
    false        none                             no_information        none
    false        one, and no field differs        match                 none
    false        one, and a field differs         mismatch              those that differ
    false        several                          insufficient_basis    none
    refused (a fault that blames the asker), or the question itself cannot be asked
                                                  insufficient_basis    none

A register that is down, slow or talks nonsense gives no outcome at all: the verification stays `pending`.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.errors import Forbidden, NotFound

PERSONAL_ID = re.compile(r"[0-9]{12}")
"""Personal identification number, 12 digits (NĐ 137/2015/NĐ-CP art. 13); it has no check digit."""

OLD_ID = re.compile(r"[0-9]{9}")
"""Number of the identity card before 2016 (CMND), 9 digits; the register still finds people by it."""

LONGEST_NAME = 100
"""`HoVaTen` is String(100) on the wire (wire document 3.2)."""

# Codes of TrangThaiHoSo in which nobody works on a dossier any more: not accepted, withdrawn, processed, returned.
CLOSED_STATUSES = frozenset({3, 7, 9, 10})


class Outcome(StrEnum):
    """What the register said about a person; `pending` while it has not said anything yet."""

    PENDING = "pending"
    MATCH = "match"
    MISMATCH = "mismatch"
    NO_INFORMATION = "no_information"
    INSUFFICIENT_BASIS = "insufficient_basis"


class PurposeNotPermitted(Forbidden):
    """A look-up needs an open dossier and a stated purpose (TT 136/2026/TT-BCA)."""

    code = "purpose_not_permitted"
    title = "Look-up not permitted for this purpose"


class DossierUnknown(NotFound):
    """The dossier does not exist or belongs to an agency that the caller does not cover."""


class VerificationUnknown(NotFound):
    """The verification does not exist or belongs to an agency that the caller does not cover."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as a dossier or an officer names them. `date_of_birth` is `yyyy-mm-dd`, `yyyy` or None."""

    personal_id: str
    full_name: str
    date_of_birth: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """A person as the register holds them; `fields` are the look-up fields in the hub's names, "" left out."""

    personal_id: str
    full_name: str
    date_of_birth: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """An outcome with the fields that differ (`full_name`, `date_of_birth`)."""

    outcome: Outcome
    mismatched_fields: tuple[str, ...] = ()


def can_be_asked(person: Person) -> bool:
    """True when the person can be put into the register's message at all."""
    known = PERSONAL_ID.fullmatch(person.personal_id) or OLD_ID.fullmatch(person.personal_id)
    return bool(known) and 0 < len(person.full_name.strip()) <= LONGEST_NAME


def judge(person: Person, records: Sequence[Record]) -> Finding:
    """The outcome of service 037, asked after 033 said no. Names come in their normal form (see `verifying`)."""
    if not records:
        return Finding(Outcome.NO_INFORMATION)
    if len(records) > 1:
        return Finding(Outcome.INSUFFICIENT_BASIS)
    differing = tuple(_differing(person, records[0]))
    return Finding(Outcome.MISMATCH, differing) if differing else Finding(Outcome.MATCH)


def _differing(person: Person, record: Record) -> list[str]:
    fields = []
    if not same_name(person.full_name, record.full_name):
        fields.append("full_name")
    if not same_birth(person.date_of_birth, record.date_of_birth):
        fields.append("date_of_birth")
    return fields


def same_name(left: str, right: str) -> bool:
    """Same name, letter case and spaces aside.

    Accents count ("An" is not "Ân") unless one side is written without any: two vendors send names unaccented.
    """
    one, other = _plain(left), _plain(right)
    if one == other:
        return True
    if one.isascii() or other.isascii():
        return _unaccented(one) == _unaccented(other)
    return False


def same_birth(left: str | None, right: str | None) -> bool:
    """Same birth date; a side that knows only the year is compared by the year, one that knows nothing agrees."""
    one, other = _digits(left), _digits(right)
    if not one or not other:
        return True
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def is_open(status_code: int) -> bool:
    """True while somebody still works on the dossier."""
    return status_code not in CLOSED_STATUSES


def require_purpose(purpose: str, status_code: int) -> None:
    """Raise unless a look-up for this purpose in a dossier of this status is allowed."""
    if not purpose.strip():
        raise PurposeNotPermitted("A look-up needs a stated purpose.")
    if not is_open(status_code):
        raise PurposeNotPermitted("A look-up needs an open dossier; this one is closed.")


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


def _unaccented(name: str) -> str:
    letters = unicodedata.normalize("NFD", name.replace("đ", "d"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _digits(birth: str | None) -> str:
    return "".join(sign for sign in birth or "" if sign.isdigit())
