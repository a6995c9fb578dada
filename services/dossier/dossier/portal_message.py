"""A message of the national portal as filings and actions of the hub. Pure: nothing is asked of the database.

`POST /dvcqg/dossiers` carries `{madonvi, service, isUpdating: "True"|"False", data: [records]}`. With `"False"` the
records are new dossiers; with `"True"` each is a withdrawal (`TrangThaiHoSo` 7) or the answer to the supplement that
the province asked for (the last answered one of `DanhSachHoSoBoSung`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from dossier.bodies import Attachment, Filing
from dossier.portal_wire import CODE, NAMES, Envelope, Paper, Record
from shared import problems, strict_json
from shared.errors import InvalidRequest

_CHANNELS = {"1": "counter", "2": "online", "3": "post"}
_KINDS = {"1": "citizen", "2": "business", "3": "state_agency", "4": "organisation"}
_RETURNED = {"0": "direct", "1": "post", "": "electronic"}
_REUSED = {"0": "none", "1": "component", "2": "result"}
_NEW, _WITHDRAWN = "1", "7"
_WITHDRAWN_THERE = "Công dân yêu cầu rút hồ sơ trên Cổng Dịch vụ công quốc gia"
M = TypeVar("M", Envelope, Record, Filing, Attachment)


class PortalRefused(Exception):
    """Why a message is refused, in the portal's language. Nothing of it is stored."""

    def __init__(self, words: str, portal_code: str | None = None) -> None:
        self.words = words if portal_code is None else f"Hồ sơ {portal_code}: {words}"
        super().__init__(self.words)


@dataclass(frozen=True, slots=True)
class Update:
    """A withdrawal, or (with the number of a supplement) what the citizen brought for it."""

    portal_code: str
    reason: str | None
    supplement: int | None = None
    at: datetime | None = None
    attachments: tuple[dict[str, Any], ...] = ()

    @property
    def part(self) -> str:
        """What it repeats, if that was here before."""
        return "withdrawal" if self.supplement is None else f"supplement:{self.supplement}"


@dataclass(frozen=True, slots=True)
class Message:
    """New dossiers by the portal's code, or updates of known ones; never both."""

    filings: Mapping[str, Filing]
    updates: Sequence[Update]


def read(body: bytes, is_agency: Callable[[str], bool]) -> Message:
    """The message. `is_agency`: whether a code names one. Raises `PortalRefused`."""
    try:
        value = strict_json.loads(body)
    except InvalidRequest:
        raise PortalRefused("nội dung không phải là JSON đúng chuẩn") from None
    envelope = _validated(Envelope, value)
    records = [_record(row) for row in envelope.records]
    codes: set[str] = set()
    for record in records:
        if record.code in codes:
            raise PortalRefused("mã hồ sơ lặp lại trong cùng một bản tin", record.code)
        codes.add(record.code)
    if envelope.is_updating == "True":
        return Message({}, [_update(record) for record in records])
    return Message({it.code: _filing(it, envelope.agency_code, is_agency) for it in records}, ())


def _record(row: Any) -> Record:
    named = row.get("MaHoSo") if isinstance(row, dict) else None
    is_code = isinstance(named, str) and len(named) <= 60 and re.fullmatch(CODE, named)
    return _validated(Record, row, named if is_code else "(không mã)")


def _filing(record: Record, addressed_to: str, is_agency: Callable[[str], bool]) -> Filing:
    """The new dossier a record is. Its agency is the one its code begins with (TT 01/2018 Đ19), else `madonvi`."""
    if record.status != _NEW:
        raise PortalRefused("hồ sơ mới phải có TrangThaiHoSo là 1", record.code)
    own = record.code.rsplit("-", 2)[0]
    other = {"MaDoiTuong": record.owner_account, "ThongTinKhac": record.other}
    filing = {
        "procedure_code": record.procedure_code,
        "agency_code": own if is_agency(own) or not addressed_to else addressed_to,
        "channel": _CHANNELS[record.channel],
        "applicant": {
            "kind": _KINDS[record.owner_kind],
            "full_name": record.owner,
            "personal_id": _personal_id(record),
            "email": record.email or None,
            "phone": record.phone or None,
        },
        "abstract": record.abstract,
        "submitted_at": record.submitted_at,
        "form": {name: value for name, value in other.items() if value},
        "attachments": [_paper(it) for it in record.papers if it.is_deleted == "False"],
        "return_method": _RETURNED[record.returned_how],
        "external_reference": record.code,
    }
    return _validated(Filing, filing, record.code)


def _update(record: Record) -> Update:
    if record.status == _WITHDRAWN:
        return Update(record.code, record.note or record.other or _WITHDRAWN_THERE)
    answered = [it for it in record.supplements if it.is_answered]
    if not answered:
        raise PortalRefused("không có bổ sung hay yêu cầu rút hồ sơ nào", record.code)
    last = max(answered, key=lambda it: it.number)
    brought = [_validated(Attachment, _paper(it), record.code) for it in last.papers if it.is_deleted == "False"]
    papers = tuple(dict(it.__dict__) for it in brought)
    return Update(record.code, last.note or None, last.number, last.at, papers)


def _paper(it: Paper) -> dict[str, Any]:
    return {
        "component_code": it.component_code or None,
        "name": it.name,
        "url": it.url or None,
        "digitised": it.digitised == "1",
        "reused": _REUSED[it.reused],
    }


def _personal_id(record: Record) -> str | None:
    """The 12-digit number; a former card's number, or a tax code, is none."""
    given = [it.number for it in record.identifiers if it.kind == "1"]
    own = record.owner_number or ""
    return given[0] if given else own if re.fullmatch(r"[0-9]{12}", own) else None


def _validated(kind: type[M], value: Any, portal_code: str | None = None) -> M:
    try:
        return kind.model_validate(value)
    except ValidationError as failure:
        raise PortalRefused(_words(problems.invalid(failure)), portal_code) from None


def _words(refusal: InvalidRequest) -> str:
    """The first field that is wrong, by its name on the wire; never its value."""
    path = [NAMES.get(step, step) for step in refusal.errors[0].pointer.split("/")] if refusal.errors else []
    place = ".".join(step for step in path if step)
    return f"trường {place[:100]} thiếu hoặc sai" if place else "nội dung không phải là bản tin của Cổng"
