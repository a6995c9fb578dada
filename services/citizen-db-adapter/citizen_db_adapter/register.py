"""The national population database over SOAP 1.1 (wire document, section 3): services 033 and 037.

    033  XacThucThongTinCongDanRequest   is there a person with this number and this name?    TonTai true | false
    037  TraCuuThongTinCongDan           the records with this number                         CongdanCollection

Both are read-only, so a question whose answer was lost is simply asked again. What an answer means:

    HTTP 200, the expected element          an answer
    SOAP fault Client, Client.Refused       RegisterRefused: our question is refused, asking again will not help
    any other fault, 4xx, 5xx, not XML      UpstreamUnavailable / UpstreamInvalid: no answer; the question waits
"""

import base64
import hashlib
import re
import time
from dataclasses import dataclass
from xml.sax.saxutils import escape

from lxml import etree

from citizen_db_adapter.citizen import Person, Record
from shared.errors import HubError, UpstreamInvalid, UpstreamUnavailable
from shared.http import Answer, Peer

NAMESPACE = "http://dancuquocgia.bca"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_ENVELOPE = (
    f'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="{_SOAP}" xmlns:dan="{NAMESPACE}">'
    "<soapenv:Header/><soapenv:Body>%s</soapenv:Body></soapenv:Envelope>"
)
# Children stand in the order of the document: the register refuses another one.
_VERIFY = _ENVELOPE % (
    "<dan:XacThucThongTinCongDanRequest><dan:MaYeuCau>{request}</dan:MaYeuCau><dan:MaDichVu>033</dan:MaDichVu>"
    "<dan:MaCanBo>VDXP_VPCP</dan:MaCanBo><dan:SoDinhDanh>{personal_id}</dan:SoDinhDanh><dan:SoCMND>{old_id}</dan:SoCMND>"
    "<dan:HoVaTen>{name}</dan:HoVaTen></dan:XacThucThongTinCongDanRequest>"
)
_LOOK_UP = _ENVELOPE % (
    "<dan:TraCuuThongTinCongDan><dan:MaYeuCau>{request}</dan:MaYeuCau><dan:MaDVC>{procedure}</dan:MaDVC>"
    "<dan:MaTichHop>037</dan:MaTichHop><dan:MaCanBo>{officer}</dan:MaCanBo>{number}"
    "<dan:HoVaTen>{name}</dan:HoVaTen>{birth}</dan:TraCuuThongTinCongDan>"
)
# `Client.Authentication` is not among them: broken access says nothing about the citizen.
_REFUSALS = frozenset({"Client", "Client.Refused"})
# XML 1.0 cannot carry these signs, not even escaped.
_UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Answers of 037 are a few kilobytes a person; anything near this is not an answer.
LARGEST_ANSWER_BYTES = 1 << 20

# Look-up fields: the hub's name and where 037 puts it below `CongDan`.
LOOKUP_FIELDS = {
    "full_name": "HoVaTen",
    "date_of_birth": "NgayThangNamSinh",
    "gender": "GioiTinh",
    "ethnicity": "DanToc",
    "religion": "TonGiao",
    "marital_status": "TinhTrangHonNhan",
    "blood_group": "NhomMau",
    "nationality": "QuocTich",
    "old_id": "SoCMND",
    "birth_registration": "NoiDangKyKhaiSinh",
    "place_of_origin": "QueQuan",
    "permanent_address": "ThuongTru",
    "current_address": "NoiOHienTai",
    "household_number": "SoSoHoKhau",
}


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was asked and answered, word for word: the evidence of a verification."""

    request: bytes
    answer: bytes


class RegisterRefused(HubError):
    """The register understood the question and declines to answer it; `exchange` is the proof."""

    status, code, title = 502, "register_refused", "The population database refuses the question"
    exchange: Exchange


@dataclass(frozen=True, slots=True)
class Credentials:
    """Access of the province: user name, secret, the path that the password's digest covers, and the proxy's names."""

    username: str
    secret: str
    path: str
    client: str
    api_key: str

    def headers(self, epoch_milliseconds: int) -> dict[str, str]:
        """Headers of the direct C06 service (wire document 3.4): a password digest bound to this moment."""
        stamp = str(epoch_milliseconds)
        text = f"{self.path}{self.username}{stamp}{self.secret}"
        password = hashlib.sha256(text.encode()).hexdigest()
        basic = base64.b64encode(f"{self.username}:{password}".encode()).decode()
        return {
            "Timestamp": stamp,
            "Authorization": f"Basic {basic}",
            "X-Road-Client": self.client,
            "ApiKey": self.api_key,
            "SOAPAction": '""',
            "Content-Type": "application/xml",
        }


class Register:
    """The register as the province reaches it. `officer` is `MaCanBo` of 037."""

    def __init__(self, peer: Peer, credentials: Credentials, *, officer: str) -> None:
        self._peer = peer
        self._credentials = credentials
        self._officer = officer

    @property
    def breaker_state(self) -> str:
        """`closed`, `open` or `half_open`; workers ask before they take questions out of the queue."""
        return self._peer.breaker.state

    async def exists(self, question: str, person: Person) -> tuple[bool, Exchange]:
        """Service 033: `TonTai` of the number together with the name. `question` becomes `MaYeuCau`."""
        text = verify_message(question, person)
        root, exchange = await self._ask(text)
        found = root.findtext(f".//{{{NAMESPACE}}}TonTai") or root.findtext(".//TonTai")
        if found is None or found.strip().lower() not in {"true", "false", "1", "0"}:
            raise UpstreamInvalid("The population database answered 033 without TonTai.")
        return found.strip().lower() in {"true", "1"}, exchange

    async def records(self, question: str, person: Person, procedure_code: str) -> tuple[list[Record], Exchange]:
        """Service 037: what the register holds under the person's number."""
        text = lookup_message(question, person, procedure_code, self._officer)
        root, exchange = await self._ask(text)
        collection = next((e for e in root.iter() if _local(e) == "CongdanCollection"), None)
        if collection is None:
            raise UpstreamInvalid("The population database answered 037 without CongdanCollection.")
        return [record_of(e) for e in collection if _local(e) == "CongDan"], exchange

    async def _ask(self, text: str) -> tuple[etree._Element, Exchange]:
        request = text.encode()
        headers = self._credentials.headers(time.time_ns() // 1_000_000)
        answer = await self._peer.send("POST", self._credentials.path, content=request, headers=headers)
        try:
            return read_answer(answer), Exchange(request, answer.content)
        except RegisterRefused as refusal:
            # SOAP 1.1 sends every fault with HTTP 500, but whoever refuses is alive.
            self._peer.breaker.succeeded()
            refusal.exchange = Exchange(request, answer.content)
            raise


def verify_message(question: str, person: Person) -> str:
    """The envelope of 033. The number goes into `SoDinhDanh`, one of nine digits into `SoCMND`."""
    is_old = len(person.personal_id) == 9
    return _VERIFY.format(
        request=_text(f"{question}-033"),
        personal_id="" if is_old else _text(person.personal_id),
        old_id=_text(person.personal_id) if is_old else "",
        name=_text(person.full_name.upper()),
    )


def lookup_message(question: str, person: Person, procedure_code: str, officer: str) -> str:
    """The envelope of 037, `NgayThangNamSinh` with the year alone or the whole date, left out when not known."""
    tag = "SoCMND" if len(person.personal_id) == 9 else "SoDinhDanh"
    digits = "".join(sign for sign in person.date_of_birth or "" if sign.isdigit())
    part = "Nam" if len(digits) == 4 else "NgayThangNam"
    birth = f"<dan:NgayThangNamSinh><dan:{part}>{digits}</dan:{part}></dan:NgayThangNamSinh>" if digits else ""
    return _LOOK_UP.format(
        request=_text(f"{question}-037"),
        procedure=_text(procedure_code[:20]),
        officer=_text(officer),
        number=f"<dan:{tag}>{_text(person.personal_id)}</dan:{tag}>",
        name=_text(person.full_name.upper()),
        birth=birth,
    )


def read_answer(answer: Answer) -> etree._Element:
    """The answer's envelope, or the error that the table at the top of this module gives it."""
    root = _parse(answer.content)
    fault = root.find(f".//{{{_SOAP}}}Fault") if root is not None else None
    if fault is not None:
        code = (fault.findtext("faultcode") or "").rpartition(":")[2]
        if code in _REFUSALS:
            raise RegisterRefused("The population database refuses the question.", internal=f"faultcode {code}")
        raise UpstreamUnavailable("The population database is not available.", internal=f"faultcode {code}")
    if answer.status >= 400:
        raise UpstreamUnavailable("The population database is not available.", internal=f"HTTP {answer.status}")
    if root is None or root.tag != f"{{{_SOAP}}}Envelope":
        raise UpstreamInvalid("The population database answered something that is not SOAP.")
    return root


def _parse(content: bytes) -> etree._Element | None:
    # No DTD, no entities, no network, lxml's own size limits: a hostile answer costs nothing (entity bombs).
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    return None if root.getroottree().docinfo.internalDTD is not None else root


def record_of(element: etree._Element) -> Record:
    """A `CongDan` of 037: the fields that are there, in the hub's names."""
    fields = {name: _spoken(element, tag) for name, tag in LOOKUP_FIELDS.items()}
    return Record(
        personal_id=_spoken(element, "SoDinhDanh"),
        full_name=fields["full_name"],
        date_of_birth=fields["date_of_birth"],
        fields={name: value for name, value in fields.items() if value},
    )


def _spoken(person: etree._Element, tag: str) -> str:
    """The text of a child; names are joined (Ho, ChuDem, Ten), of a birth the date wins over the year alone."""
    child = next((e for e in person if _local(e) == tag), None)
    if child is None:
        return ""
    if tag == "NgayThangNamSinh":
        parts = {_local(e): (e.text or "").strip() for e in child}
        return _dated(parts.get("NgayThangNam") or parts.get("Nam") or (child.text or "").strip())
    if len(child):
        # An address reads from the house to the province; its codes are joined in the order they come.
        return " ".join(text for e in child if (text := (e.text or "").strip()))
    return (child.text or "").strip()


def _dated(text: str) -> str:
    digits = text.replace("-", "")
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}" if len(digits) == 8 else digits[:4]


def _local(element: etree._Element) -> str:
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _text(value: str) -> str:
    return escape(_UNSPEAKABLE.sub("", value))
