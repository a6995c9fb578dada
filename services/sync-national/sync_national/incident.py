"""What failures have in common. Failures of one cause are one incident, however many dossiers it hits.

A cause is: the destination, whose fault it is, and the words without what differs from dossier to dossier (codes,
numbers, times, what stands in quotation marks). Numbers that say what happened stay: HTTP statuses, error codes.
"""

import hashlib
import re
from typing import NamedTuple

from shared import vietnamese
from shared.errors import Owner

_CODE = re.compile(r"\b[a-z]\d{2}(\.\d+)*-\d{6}-\d{4,}\b")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|“[^”]*”|«[^»]*»")
_KEPT = re.compile(r"\b(http|error_code|mã lỗi)[\s:=]*(-?\d+)")
_NUMBER = re.compile(r"\d[\d.,:/-]*")
_MOST = 300
_LETTERS = str.maketrans("0123456789", "ⓞⓐⓑⓒⓓⓔⓕⓖⓗⓘ")
_DIGITS = str.maketrans("ⓞⓐⓑⓒⓓⓔⓕⓖⓗⓘ", "0123456789")


class Failure(NamedTuple):
    """One dossier's visit that ended in trouble."""

    dossier_code: str
    agency_code: str
    owner: Owner
    reason: str


def normalised(reason: str) -> str:
    """The words that failures of one cause share."""
    text = _QUOTED.sub("…", vietnamese.normal(reason).lower())
    text = _KEPT.sub(lambda found: found[0].translate(_LETTERS), _CODE.sub("…", text))
    text = _NUMBER.sub("…", text).translate(_DIGITS)
    return " ".join(text.split())[:_MOST]


def fingerprint(destination: str, owner: str, message: str) -> str:
    """What tells causes apart; `message` is normalised."""
    return hashlib.sha256("\n".join((destination, owner, message)).encode()).hexdigest()[:32]
