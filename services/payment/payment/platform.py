"""The payment platform of the national portal over JSON (wire document, section 2): INIT, QUERY, CONFIRM.

Every message is signed with `MaXacThuc`: lower-case hexadecimal SHA-256 of the named fields joined by `|`, the shared
secret last (a plain hash, not an HMAC). The order in which the platform signs its *replies* is in no document: what
answers our own calls is trusted as far as the connection is, and must repeat our reference and partner code.

    INIT     error_code "0"  → `message` is a JSON text with UrlThanhToan      else → InitRefused
    QUERY    TrangThaiGD     1 success · 4 failed · 3 and anything else: wait
    CONFIRM  MaLoi "00"      success; anything else failed
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from payment.charge import CallbackNotVerified, Line, Notice
from shared import clock, strict_json, vietnamese
from shared.errors import HubError, InvalidRequest, UpstreamInvalid, UpstreamUnavailable
from shared.http import Answer, Peer

VERSION = "1.0.6"


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_INIT_SIGNED = _names(
    "LoaiBanTin PhienBan MaDoiTac MaThamChieu SoTien LoaiHinhThanhToan MaKenhThanhToan MaThietBi NgonNgu "
    "MaTienTe MaNganHang ThongTinGiaoDich ThoiGianGD Ip"
)
_QUERY_SIGNED = _names("LoaiBanTin PhienBan MaDoiTac MaThamChieu ThoiGianGD")
_CONFIRM_SIGNED = _names(
    "LoaiBanTin MaLoi MaDoiTac MaThamChieu SoTien MaTienTe MaGiaoDich MaNganHang ThoiGianGD ThongTinGiaoDich"
)
# Sent as "" when they do not concern the charge: fines, traffic fines.
_UNUSED_RECEIPT_FIELDS = _names(
    "MaLoaiHinhThuPhat TenLoaiHinhThuPhat MaCoQuanQD TenCoQuanQD KhoBac NgayQD SoQD ThoiGianViPham DiaDiemViPham "
    "TenNguoiViPham TaiKhoanThuNSNN HuyenNguoiNop TinhNguoiNop"
)
_LONGEST_CALLBACK_TEXT = 512


class InitRefused(HubError):
    """The platform understood INIT and declines it; `internal` says why in its words."""

    status, code, title = 502, "init_refused", "The payment platform refuses the payment"


@dataclass(frozen=True, slots=True)
class Partner:
    """The hub as the platform knows it, and where the money goes."""

    code: str
    secret: str
    caller_ip: str
    beneficiary_account: str
    beneficiary_bank: str
    beneficiary_name: str


@dataclass(frozen=True, slots=True)
class Payer:
    """Names that INIT carries; read from the dossier when it is sent and kept nowhere."""

    procedure_code: str
    procedure_name: str
    agency_code: str
    agency_name: str
    full_name: str
    personal_id: str
    address: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A charge as the platform's messages need it."""

    reference: str
    dossier_code: str
    amount_vnd: int
    at: datetime
    lines: Sequence[Line]


class Platform:
    """The platform's calls. `init` and `query` raise the Upstream errors when there is no answer."""

    def __init__(self, peer: Peer, partner: Partner) -> None:
        self._peer = peer
        self.partner = partner

    @property
    def breaker_state(self) -> str:
        """`closed`, `open` or `half_open`; workers ask before they take charges out of the queue."""
        return self._peer.breaker.state

    async def init(self, asked: Asked, payer: Payer) -> str:
        """INIT; the link for the payer. The same reference again answers the same link."""
        message = init_message(self.partner, asked, payer)
        body = _object(await self._peer.send("POST", "/init", json=message))
        if str(body.get("error_code")) != "0":
            raise InitRefused(internal=f"{body.get('error_code')}: {body.get('message')}"[:200])
        return _payment_url(body.get("message"))

    async def query(self, reference: str, at: datetime) -> Notice:
        """QUERY; what has become of the transaction."""
        message = query_message(self.partner, reference, at)
        return _queried(self.partner, reference, _object(await self._peer.send("POST", "/query", json=message)))


def init_message(partner: Partner, asked: Asked, payer: Payer) -> dict[str, Any]:
    """INIT with its receipt data, every value a text; `ThongTinBienLai` is not covered by the checksum."""
    message: dict[str, Any] = {
        "LoaiBanTin": "INIT",
        "PhienBan": VERSION,
        "MaDoiTac": partner.code,
        "MaThamChieu": asked.reference,
        "SoTien": str(asked.amount_vnd),
        "LoaiHinhThanhToan": "PAY",
        "MaKenhThanhToan": "1",
        "MaThietBi": "1",
        "NgonNgu": "vi-VN",
        "MaTienTe": "VND",
        "MaNganHang": "PAYMENT",
        "ThongTinGiaoDich": vietnamese.unaccented(f"THANH TOAN HO SO {asked.dossier_code}"),
        "ThoiGianGD": clock.to_wire(asked.at),
        "Ip": partner.caller_ip,
    }
    message["MaXacThuc"] = checksum(message, _INIT_SIGNED, partner.secret)
    message["ThongTinBienLai"] = _receipt(partner, asked, payer)
    return message


def query_message(partner: Partner, reference: str, at: datetime) -> dict[str, str]:
    """QUERY about a reference, with the time of its INIT."""
    message = {
        "LoaiBanTin": "QUERY",
        "PhienBan": VERSION,
        "MaDoiTac": partner.code,
        "MaThamChieu": reference,
        "ThoiGianGD": clock.to_wire(at),
    }
    message["MaXacThuc"] = checksum(message, _QUERY_SIGNED, partner.secret)
    return message


def checksum(message: Mapping[str, Any], fields: Sequence[str], secret: str) -> str:
    """`MaXacThuc` (wire document 2.2)."""
    text = "|".join([*(str(message[name]) for name in fields), secret])
    return hashlib.sha256(text.encode()).hexdigest()


def read_confirm(partner: Partner, body: bytes) -> tuple[Notice, dict[str, Any]]:
    """A verified CONFIRM and its fields as they came. Raises `CallbackNotVerified` for anything else.

    The checksum covers every field that is used. It is compared in constant time; there is no time window, because a
    success that comes days late is still a success.
    """
    try:
        message = strict_json.loads(body)
    except InvalidRequest as fault:
        raise CallbackNotVerified(internal="not JSON") from fault
    if not isinstance(message, dict) or not all(_is_spoken(message.get(name)) for name in _CONFIRM_SIGNED):
        raise CallbackNotVerified(internal="a signed field is missing or no text")
    given = message.get("MaXacThuc")
    expected = checksum(message, _CONFIRM_SIGNED, partner.secret)
    if not isinstance(given, str) or not hmac.compare_digest(given.lower().encode(), expected.encode()):
        raise CallbackNotVerified(internal="wrong checksum")
    amount = str(message["SoTien"])
    if message["LoaiBanTin"] != "CONFIRM" or message["MaDoiTac"] != partner.code or not _is_amount(amount):
        raise CallbackNotVerified(internal="signed, but no CONFIRM of ours")
    notice = Notice(
        reference=str(message["MaThamChieu"]),
        transaction_number=str(message["MaGiaoDich"]),
        status="paid" if str(message["MaLoi"]) == "00" else "failed",
        amount_vnd=int(amount),
        currency=str(message["MaTienTe"]),
        at=_moment(message["ThoiGianGD"]),
        via="confirm",
    )
    return notice, message


def confirm_reply(message: Mapping[str, Any]) -> dict[str, Any]:
    """Reply to a CONFIRM. The checksum order of replies is unknown; real senders take the echo (wire 2.3)."""
    return {
        "MaLoi": "00",
        "MoTaLoi": "Thành công",
        "MaDoiTac": message["MaDoiTac"],
        "MaThamChieu": message["MaThamChieu"],
        "ThoiGianGD": message["ThoiGianGD"],
        "MaXacThuc": message["MaXacThuc"],
    }


def _receipt(partner: Partner, asked: Asked, payer: Payer) -> dict[str, Any]:
    return {
        "MaDichVu": "2",
        "MaDVC": f"{payer.procedure_code}.01",
        "TenDVC": payer.procedure_name[:250],
        "MaTTHC": payer.procedure_code,
        "TenTTHC": payer.procedure_name[:250],
        "MaDonVi": payer.agency_code,
        "TenDonVi": payer.agency_name,
        "MaHoSo": asked.dossier_code,
        "TKThuHuong": partner.beneficiary_account,
        "MaNHThuHuong": partner.beneficiary_bank,
        "TenTKThuHuong": partner.beneficiary_name,
        **dict.fromkeys(_UNUSED_RECEIPT_FIELDS, ""),
        "NoiDungThanhToan": f"Thanh toán hồ sơ {asked.dossier_code}",
        "HoTenNguoiNop": payer.full_name,
        "SoCMNDNguoiNop": payer.personal_id or "000000000",
        "DiaChiNguoiNop": payer.address,
        "PhiLePhi": [
            {
                "LoaiPhiLePhi": "LePhi" if line["kind"] == "fee" else "Phi",
                "MaPhiLePhi": line["code"],
                "TenPhiLePhi": line["name"],
                "SoTien": str(line["amount_vnd"]),
            }
            for line in asked.lines
        ],
        "DSKhoanNop": [{"NoiDung": line["name"], "SoTien": str(line["amount_vnd"])} for line in asked.lines],
    }


def _object(answer: Answer) -> dict[str, Any]:
    if answer.status >= 500 or answer.status == 429:
        raise UpstreamUnavailable(
            "The payment platform is not available.", outcome_unknown=True, internal=f"HTTP {answer.status}"
        )
    try:
        body = strict_json.loads(answer.content)
    except InvalidRequest:
        body = None
    if answer.status != 200 or not isinstance(body, dict):
        raise UpstreamInvalid(
            "The payment platform answered nonsense.", outcome_unknown=True, internal=f"HTTP {answer.status}"
        )
    return body


def _payment_url(message: Any) -> str:
    """`UrlThanhToan` out of the JSON text inside the JSON (an object is taken as well)."""
    try:
        inner = strict_json.loads(message.encode()) if isinstance(message, str) else message
    except InvalidRequest:
        inner = None
    url = inner.get("UrlThanhToan") if isinstance(inner, dict) else None
    if not isinstance(url, str) or not url.startswith(("http://", "https://")) or len(url) > 2000:
        raise UpstreamInvalid("The payment platform gave no link.", outcome_unknown=True)
    return url


def _queried(partner: Partner, reference: str, body: Mapping[str, Any]) -> Notice:
    if body.get("MaThamChieu") != reference or body.get("MaDoiTac") != partner.code:
        raise UpstreamInvalid("The payment platform answered about something else.")
    amount, number = str(body.get("SoTien", "")), body.get("MaGiaoDich")
    state = str(body.get("TrangThaiGD", "")) if str(body.get("MaLoi")) == "00" else ""
    status: Literal["paid", "failed", "waiting"] = "waiting"
    if state == "4":
        status = "failed"
    elif state == "1" and _is_amount(amount) and isinstance(number, str) and number:
        status = "paid"
    return Notice(
        reference=reference,
        transaction_number=number if isinstance(number, str) else "",
        status=status,
        amount_vnd=int(amount) if _is_amount(amount) else 0,
        currency=str(body.get("MaTienTe", "")),
        at=_moment(body.get("ThoiGianGD")),
        via="query",
    )


def _moment(text: Any) -> datetime | None:
    try:
        return clock.from_wire(str(text))
    except ValueError:
        return None


def _is_amount(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15


def _is_spoken(value: Any) -> bool:
    """A text or a whole number, as the wire has them; true and false are numbers in Python but not here."""
    if isinstance(value, str):
        return len(value) <= _LONGEST_CALLBACK_TEXT
    return isinstance(value, int) and not isinstance(value, bool)
