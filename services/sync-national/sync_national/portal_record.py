"""The national portal's records, exactly as wire §1.4 (DongBoHoSoMC) and §1.5 (CapNhatTienDoHoSoMC).

Every value is a string unless the wire types it otherwise; dates are `yyyyMMddHHmmss` in Vietnam's time, "" when
absent. What real senders get wrong (wire §1.7) is not repeated: statuses go as they are, a counter payment is not
shown as online, no submitted file poses as a result, no placeholder stands for a missing ID, the time of
submission is not the time of receipt, and no row is invented.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

import orjson

from shared.clock import to_wire
from sync_national.portal_profile import NATIONAL, Profile

Item = Mapping[str, Any]
"""One dossier as `/internal/dossiers/read` gives it, view `sync`."""

EqualRows = Literal["ignore", "show", "neither"]
"""What the portal does with a progress row that it has: nothing; keep and show it twice; keep it twice, show none."""

PROGRESS_FIELD = "TienDoXuLy"
"""Where TraCuuHoSo shows the progress rows, on portals that show them."""

_CHANNEL = {"counter": "1", "online": "2", "post": "3"}
_OWNER_KIND = {"citizen": "1", "business": "2", "state_agency": "3", "organisation": "4"}
_RETURN_METHOD = {"direct": "0", "post": "1"}  # electronic has no code on the wire (A lists 0 and 1 only)
_REUSED = {"none": "0", "component": "1", "result": "2"}
_FEE_KIND = {"fee": "1", "charge": "2"}
_PAID_ON_PLATFORM, _PAID_AT_COUNTER, _NOT_PAID = "1", "3", "0"
_SUBMITTED_TO_PORTAL, _SUBMITTED_TO_PROVINCE = "1", "2"
# Code lists unknown; the one value seen (wire §1.4, B).
_COLLECTION_FORM = _FEE_CODE = "1"
_POPULATION_DATABASE = "1"  # MaCSDL; code list unknown
_REGISTER_OUTCOMES = {"match", "mismatch", "no_information"}
_ENDED_WITHOUT_RESULT = {3, 7}
_MAX_ABSTRACT, _MAX_FILE_NAME, _MAX_RESULT_NAME, _MAX_OFFICER = 1000, 4000, 2000, 50

_MASKED = ("SoGiayToChuHoSo", "ChuHoSo", "MaDoiTuong", "Email", "Fax", "SoDienThoai", "TrichYeuHoSo", "GhiChu")


class MappingFailed(Exception):
    """The dossier cannot be said in the portal's words: our own fault, a person must look."""


class Prepared(NamedTuple):
    """A dossier ready for the wire."""

    code: str
    agency_code: str
    version: int
    record: Mapping[str, Any]
    text: bytes
    """The record as JSON, as it goes on the wire."""
    digest: bytes
    rows: Sequence[Mapping[str, str]]
    """All its progress rows; row number n stands at n - 1."""

    @property
    def portal_code(self) -> str:
        """`MaHoSo`: what the portal calls it."""
        return str(self.record["MaHoSo"])


def prepare(item: Item, profile: Profile = NATIONAL) -> Prepared:
    """Map one dossier, as the destination wants it. Raises `MappingFailed`."""
    try:
        sent = profile.shaped(record(item))
        text = orjson.dumps(sent)
        rows = [profile.shaped(row) for row in progress_rows(item)]
        return Prepared(item["code"], item["agency_code"], item["version"], sent, text, digest(text), rows)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as fault:
        raise MappingFailed(f"{type(fault).__name__}: {fault}") from fault


def digest(text: bytes) -> bytes:
    """Fingerprint of a record as it goes on the wire."""
    return blake2b(text, digest_size=16).digest()


def shown_digest(sent: Mapping[str, Any], shown: Mapping[str, Any]) -> bytes:
    """Fingerprint of what the portal shows, over the fields we send and in our order.

    Further fields of its own do not matter, nor in which order it keeps the members of an object.
    """
    return digest(orjson.dumps(_as_sent(sent, shown)))


def members_unlike(sent: Mapping[str, Any], shown: Mapping[str, Any], known: Sequence[str]) -> tuple[str, ...]:
    """Which members the portal shows otherwise than we send them, those in `known` left out."""
    return tuple(
        name for name, value in sent.items() if name not in known and _as_sent(value, shown.get(name)) != value
    )


def _as_sent(sent: Any, shown: Any) -> Any:
    if isinstance(sent, Mapping) and isinstance(shown, Mapping):
        return {name: _as_sent(value, shown.get(name)) for name, value in sent.items()}
    if isinstance(sent, list) and isinstance(shown, list) and len(sent) == len(shown):
        return [_as_sent(one, other) for one, other in zip(sent, shown, strict=True)]
    return shown


def rows_shown(rows: Sequence[Mapping[str, str]], shown: Sequence[Any]) -> int:
    """How many of our rows, from the first on without a gap, the portal has.

    A row has no key on the wire: (ThoiDiemXuLy, TrangThai) stands for it (architecture §Guarantees 4). What is shown
    and is no row is none.
    """
    there = {
        (at, status)
        for row in shown
        if isinstance(row, Mapping)
        and isinstance(at := row.get("ThoiDiemXuLy"), str)
        and isinstance(status := row.get("TrangThai"), str)
    }
    for number, row in enumerate(rows):
        if (row["ThoiDiemXuLy"], row["TrangThai"]) not in there:
            return number
    return len(rows)


def portal_code(item: Item) -> str:
    """The code the portal knows a dossier by: its own for one that was filed there, else the province's."""
    return str(item.get("portal_code") or item["code"])


def record(item: Item) -> dict[str, Any]:
    """The DongBoHoSoMC record of a dossier."""
    return {
        "MaHoSo": portal_code(item),
        "MaTTHC": item["procedure_code"],
        "TenTTHC": item["procedure_name"],
        "MaLinhVuc": item["field_code"],
        "TenLinhVuc": item["field_name"],
        "KenhThucHien": _CHANNEL[item["channel"]],
        "SoBienNhan": "",
        **_owner(item["applicant"]),
        "ThongTinKhac": "",
        "TrichYeuHoSo": ((item.get("abstract") or "").strip() or item["procedure_name"])[:_MAX_ABSTRACT],
        "NgayTiepNhan": _time(item["received_at"]),
        "NgayHenTra": _time(item["due_at"]),
        "TrangThaiHoSo": str(item["status_code"]),
        "NgayTra": _time(item["returned_at"]),
        "ThongTinTra": "",
        "HinhThuc": _RETURN_METHOD.get(item["return_method"], ""),
        "NgayKetThucXuLy": _time(_ended_at(item)),
        "DonViXuLy": item["agency_name"],
        "GhiChu": item.get("last_reason") or "",
        "TaiLieuNop": [_document(item["code"], n, a) for n, a in enumerate(item["attachments"], 1)],
        "DanhSachLePhi": [_fee(fee) for fee in item["fees"]],
        "DanhSachTepDinhKemKhac": [],
        "DanhSachHoSoBoSung": [_supplement(supplement) for supplement in item["supplements"]],
        "DanhSachGiayToKetQua": [_result(item["code"], n, r) for n, r in enumerate(item["results"], 1)],
        "NoiNopHoSo": _SUBMITTED_TO_PORTAL if item.get("portal_code") else _SUBMITTED_TO_PROVINCE,
        "HoSoCoThanhPhanSoHoa": "1" if item["digitised"] else "0",
        # The hub does not see how the portal account was opened: it never claims VNeID.
        "TaiKhoanDuocXacThucVoiVNeID": "0",
        "DuocThanhToanTrucTuyen": paid_how(item["payments"]),
        "NgayTuChoi": _time(item["refused_at"]),
        "NgayNopHoSo": _time(item["submitted_at"]),
        "DSKetNoiCSDL": ([{"MaCSDL": _POPULATION_DATABASE}] if item["identity_outcome"] in _REGISTER_OUTCOMES else []),
    }


def progress_rows(item: Item) -> list[dict[str, str]]:
    """The CapNhatTienDoHoSoMC rows of a dossier, one per transition that changed its status, in order.

    A step begins when the one before it ended; the prescribed end is the dossier's due time as it was then.
    """
    rows: list[dict[str, str]] = []
    began = ""
    for step in item["progress"]:
        actor = step.get("actor") or {}
        at = _time(step["at"])
        rows.append(
            {
                "MaHoSo": portal_code(item),
                "NguoiXuLy": (actor.get("name") or "")[:_MAX_OFFICER],
                "ChucDanh": actor.get("title") or "",
                "ThoiDiemXuLy": at,
                "PhongBanXuLy": actor.get("unit") or "",
                "NoiDungXuLy": step.get("reason") or "",
                "TrangThai": str(step["status_code"]),
                "NgayBatDau": began or at,
                "NgayKetThucTheoQuyDinh": _time(step.get("due_at")),
            }
        )
        began = at
    return rows


def masked(sent: Mapping[str, Any]) -> dict[str, Any]:
    """The record as evidence keeps it: nothing in it tells an operator who the citizen is.

    A masked text keeps its length, which is what one looks at when the portal complains about a field.
    """
    kept = dict(sent)
    for name in _MASKED:
        if value := kept.get(name):
            kept[name] = "*" * len(str(value))
    kept["DinhDanhCHS"] = [
        {**one, "SoDinhDanh": "*" * len(one.get("SoDinhDanh") or "")} for one in sent.get("DinhDanhCHS") or ()
    ]
    for name in ("TaiLieuNop", "DanhSachGiayToKetQua", "DanhSachHoSoBoSung"):
        if sent.get(name):
            kept[name] = [_masked_part(part) for part in sent[name]]
    return kept


def revealed(kept: Mapping[str, Any], now: Mapping[str, Any], sent_digest: str) -> dict[str, Any] | None:
    """The record as it was sent, its masked texts taken from the dossier's record of now.

    None unless that is it to the letter (`sent_digest`, hex): who was corrected since is not shown as sent then.
    """
    filled = _filled(kept, now)
    return filled if digest(orjson.dumps(filled)).hex() == sent_digest else None


def _filled(kept: Any, now: Any) -> Any:
    if isinstance(kept, Mapping) and isinstance(now, Mapping):
        return {name: _filled(value, now.get(name)) for name, value in kept.items()}
    if isinstance(kept, list) and isinstance(now, list) and len(kept) == len(now):
        return [_filled(one, other) for one, other in zip(kept, now, strict=True)]
    return now if isinstance(kept, str) and kept and not kept.strip("*") else kept


def masked_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A progress row as evidence keeps it: the officer stays, the free text may name a citizen."""
    return {**row, "NoiDungXuLy": "*" * len(row.get("NoiDungXuLy") or "")}


def _masked_part(part: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict(part)
    for name in ("TenTepDinhKem", "DuongDanTaiTepTin", "TenGiayTo", "DuongDanTepTinKetQua", "NoiDungBoSung"):
        if kept.get(name):
            kept[name] = "*" * len(kept[name])
    return kept


def _owner(applicant: Mapping[str, Any]) -> dict[str, Any]:
    personal_id = applicant.get("personal_id")
    return {
        "SoGiayToChuHoSo": personal_id or applicant.get("organisation_tax_code") or "",
        "ChuHoSo": applicant["full_name"],
        "LoaiDoiTuong": _OWNER_KIND[applicant["kind"]],
        "MaDoiTuong": "",
        "Email": applicant.get("email") or "",
        "Fax": "",
        "SoDienThoai": applicant.get("phone") or "",
        "DinhDanhCHS": _identifiers(personal_id),
    }


def _document(code: str, number: int, attachment: Mapping[str, Any]) -> dict[str, str]:
    return {
        "TepDinhKemId": f"{code}-{number}",
        "TenTepDinhKem": attachment["name"][:_MAX_FILE_NAME],
        "IsDeleted": "False",
        "MaThanhPhanHoSo": attachment.get("component_code") or "",
        "DuongDanTaiTepTin": attachment.get("url") or "",
        "DuocSoHoa": "1" if attachment.get("digitised") else "0",
        "DuocTaiSuDung": _REUSED[attachment.get("reused") or "none"],
        "DuocLayTuKhoDMQG": "0",
        "MaKetQuaThayThe": "",
    }


def _fee(fee: Mapping[str, Any]) -> dict[str, str]:
    return {
        "TenPhiLePhi": fee["name"] or "Phí, lệ phí",
        "MaPhiLePhi": fee["code"] or _FEE_CODE,
        "HinhThucThu": _COLLECTION_FORM,
        "Gia": str(fee["amount_vnd"]),
        "LoaiPhiLePhi": _FEE_KIND[fee["kind"]],
    }


def _supplement(supplement: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "HoSoBoSungId": supplement["number"],
        "NguoiYeuCauBoSung": _name(supplement.get("requested_by")),
        "NoiDungBoSung": supplement.get("reason") or "",
        "NgayBoSung": _time(supplement["requested_at"]),
        "NguoiTiepNhanBoSung": "",
        "ThongTinTiepNhan": "",
        "NgayTiepNhanBoSung": _time(supplement.get("answered_at")),
        "TrangThaiBoSung": supplement.get("answered_at") is not None,
        "DanhSachGiayToBoSung": [],
        "DanhSachLePhiBoSung": [],
        "NgayHenTraTruoc": _time(supplement.get("due_before")),
        "NgayHenTraMoi": _time(supplement.get("due_after")),
    }


def _result(code: str, number: int, result: Mapping[str, Any]) -> dict[str, str]:
    return {
        "TenGiayTo": result["name"][:_MAX_RESULT_NAME],
        "MaThanhPhanHoSo": "",
        "GiayToId": f"{code}-KQ{number}",
        "DuongDanTepTinKetQua": result.get("url") or "",
        "MaGiayToKetQua": result.get("result_code") or "",
    }


def _identifiers(personal_id: str | None) -> list[dict[str, str]]:
    """12 digits: personal ID (1); 9 digits: the former citizen's card (2); nothing stands for a missing one."""
    if not personal_id:
        return []
    return [{"LoaiDinhDanh": "1" if len(personal_id) == 12 else "2", "SoDinhDanh": personal_id}]


def paid_how(payments: Mapping[str, Any]) -> str:
    """DuocThanhToanTrucTuyen."""
    if not payments["paid_vnd"]:
        return _NOT_PAID
    return _PAID_ON_PLATFORM if payments["online"] else _PAID_AT_COUNTER


def _ended_at(item: Item) -> Any:
    """When processing ended: finished, or refused, or withdrawn (whose time only its progress row tells)."""
    if item["finished_at"] or item["status_code"] not in _ENDED_WITHOUT_RESULT:
        return item["finished_at"]
    last = item["progress"][-1] if item["progress"] else None
    return item["refused_at"] or (last["at"] if last and last["status_code"] == item["status_code"] else None)


def _name(person: Any) -> str:
    if isinstance(person, Mapping):
        return person.get("name") or ""
    return person or ""


@lru_cache(maxsize=65536)
def _moment(text: str) -> str:
    # The same moments come again and again (header and progress rows, versions of one dossier).
    return to_wire(datetime.fromisoformat(text))


def _time(moment: str | None) -> str:
    return _moment(moment) if moment else ""
