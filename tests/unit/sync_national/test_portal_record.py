"""The portal's record, field by field, against the wire document."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_national.portal_record import (
    MappingFailed,
    digest,
    masked,
    masked_row,
    prepare,
    progress_rows,
    record,
    rows_shown,
    shown_digest,
)
from tests.service.sync_national.province import a_dossier

# Wire §1.4, the union of both sources; §1.5.
NAMES = """
MaHoSo MaTTHC TenTTHC MaLinhVuc TenLinhVuc KenhThucHien SoBienNhan SoGiayToChuHoSo ChuHoSo LoaiDoiTuong MaDoiTuong
ThongTinKhac Email Fax SoDienThoai TrichYeuHoSo NgayTiepNhan NgayHenTra TrangThaiHoSo NgayTra ThongTinTra HinhThuc
NgayKetThucXuLy DonViXuLy GhiChu TaiLieuNop DanhSachLePhi DanhSachTepDinhKemKhac DanhSachHoSoBoSung
DanhSachGiayToKetQua NoiNopHoSo HoSoCoThanhPhanSoHoa TaiKhoanDuocXacThucVoiVNeID DuocThanhToanTrucTuyen NgayTuChoi
DinhDanhCHS NgayNopHoSo DSKetNoiCSDL
"""
ROW_NAMES = """
MaHoSo NguoiXuLy ChucDanh ThoiDiemXuLy PhongBanXuLy NoiDungXuLy TrangThai NgayBatDau NgayKetThucTheoQuyDinh
"""
FIELDS, ROW_FIELDS = set(NAMES.split()), set(ROW_NAMES.split())
RECEIVED, DUE, FINISHED = "2026-03-02T08:30:00+07:00", "2026-03-09T17:00:00+07:00", "2026-03-05T15:05:09+07:00"


def test_all_fields_and_only_they() -> None:
    made = record(a_dossier())
    assert set(made) == FIELDS
    lists = {name for name, value in made.items() if isinstance(value, list)}
    assert lists == {name for name in FIELDS if name.startswith(("DanhSach", "TaiLieu", "DinhDanh", "DSKet"))}
    assert all(isinstance(value, str) for name, value in made.items() if name not in lists)


def test_dates_are_local_and_twenty_four_hours() -> None:
    made = record(a_dossier(received_at=RECEIVED, due_at=DUE, finished_at=FINISHED, status_code=9))
    assert made["NgayTiepNhan"] == "20260302083000"
    assert made["NgayHenTra"] == "20260309170000"
    assert made["NgayKetThucXuLy"] == "20260305150509"
    assert made["NgayTra"] == ""
    assert made["NgayNopHoSo"] == "20260302083000"


@pytest.mark.parametrize(("channel", "code"), [("counter", "1"), ("online", "2"), ("post", "3")])
def test_channels(channel: str, code: str) -> None:
    assert record(a_dossier(channel=channel))["KenhThucHien"] == code


@pytest.mark.parametrize(("method", "code"), [("direct", "0"), ("post", "1"), ("electronic", "")])
def test_return_methods(method: str, code: str) -> None:
    assert record(a_dossier(return_method=method))["HinhThuc"] == code


@pytest.mark.parametrize(
    ("applicant", "kind", "number", "identifiers"),
    [
        ({"kind": "citizen", "personal_id": "052190000123"}, "1", "052190000123", [("1", "052190000123")]),
        ({"kind": "citizen", "personal_id": "210123456"}, "1", "210123456", [("2", "210123456")]),
        ({"kind": "business", "organisation_tax_code": "4100123456"}, "2", "4100123456", []),
        ({"kind": "state_agency"}, "3", "", []),
        ({"kind": "organisation"}, "4", "", []),
    ],
)
def test_owners(applicant: dict[str, Any], kind: str, number: str, identifiers: list[tuple[str, str]]) -> None:
    made = record(a_dossier(applicant={"full_name": "Công ty Minh Họa", **applicant}))
    assert (made["LoaiDoiTuong"], made["SoGiayToChuHoSo"]) == (kind, number)
    assert [(one["LoaiDinhDanh"], one["SoDinhDanh"]) for one in made["DinhDanhCHS"]] == identifiers


@pytest.mark.parametrize(
    ("payments", "code"),
    [
        ({"due_vnd": 0, "paid_vnd": 0, "online": False}, "0"),
        ({"due_vnd": 50000, "paid_vnd": 0, "online": True}, "0"),
        ({"due_vnd": 50000, "paid_vnd": 50000, "online": True}, "1"),
        ({"due_vnd": 50000, "paid_vnd": 50000, "online": False}, "3"),
    ],
)
def test_a_counter_payment_is_not_shown_as_online(payments: dict[str, Any], code: str) -> None:
    assert record(a_dossier(payments=payments))["DuocThanhToanTrucTuyen"] == code


@pytest.mark.parametrize("status", range(1, 11))
def test_statuses_go_as_they_are(status: int) -> None:
    assert record(a_dossier(status_code=status))["TrangThaiHoSo"] == str(status)


def test_a_withdrawn_dossier_ended_when_it_was_withdrawn() -> None:
    rows = [{"number": 1, "status_code": 1, "at": RECEIVED}, {"number": 2, "status_code": 7, "at": FINISHED}]
    assert record(a_dossier(status_code=7, progress=rows))["NgayKetThucXuLy"] == "20260305150509"
    assert record(a_dossier(status_code=4, progress=rows))["NgayKetThucXuLy"] == ""
    refused = record(a_dossier(status_code=3, refused_at=FINISHED))
    assert refused["NgayTuChoi"] == refused["NgayKetThucXuLy"] == "20260305150509"


def test_results_supplements_and_fees() -> None:
    made = record(
        a_dossier(
            results=[{"result_code": "KQ1", "name": "Phiếu", "number": "1", "url": "https://x/kq.pdf", "sha256": None}],
            supplements=[
                {
                    "number": 1,
                    "requested_at": RECEIVED,
                    "requested_by": {"name": "Trần Văn Bình"},
                    "reason": "Thiếu giấy",
                    "answered_at": None,
                    "due_before": DUE,
                    "due_after": None,
                }
            ],
            fees=[{"code": "PHI1", "name": "Phí cấp phiếu", "kind": "fee", "amount_vnd": 200000, "at": RECEIVED}],
        )
    )
    assert made["DanhSachGiayToKetQua"][0]["DuongDanTepTinKetQua"] == "https://x/kq.pdf"
    assert made["DanhSachHoSoBoSung"][0]["TrangThaiBoSung"] is False
    assert made["DanhSachHoSoBoSung"][0]["HoSoBoSungId"] == 1
    assert made["DanhSachHoSoBoSung"][0]["NgayHenTraTruoc"] == "20260309170000"
    assert made["DanhSachLePhi"][0]["Gia"] == "200000"


def test_long_texts_are_cut() -> None:
    made = record(a_dossier(abstract="ă" * 5000, attachments=[{"name": "x" * 9000, "reused": "none"}]))
    assert len(made["TrichYeuHoSo"]) == 1000
    assert len(made["TaiLieuNop"][0]["TenTepDinhKem"]) == 4000


def test_progress_rows_have_all_names_and_invent_nothing() -> None:
    rows = progress_rows(
        a_dossier(
            progress=[
                {"number": 1, "status_code": 1, "at": RECEIVED, "actor": None, "reason": None, "due_at": None},
                {
                    "number": 2,
                    "status_code": 2,
                    "at": FINISHED,
                    "actor": {"name": "B" * 80, "title": "Chuyên viên", "unit": "Một cửa"},
                    "reason": "Tiếp nhận",
                    "due_at": DUE,
                },
            ]
        )
    )
    assert [set(row) for row in rows] == [ROW_FIELDS, ROW_FIELDS]
    assert [row["TrangThai"] for row in rows] == ["1", "2"]
    assert len(rows[1]["NguoiXuLy"]) == 50
    assert rows[1]["NgayBatDau"] == rows[0]["ThoiDiemXuLy"]
    assert rows[1]["NgayKetThucTheoQuyDinh"] == "20260309170000"


def test_what_cannot_be_mapped_says_so() -> None:
    with pytest.raises(MappingFailed):
        prepare(a_dossier(channel="pigeon"))
    with pytest.raises(MappingFailed):
        prepare({"code": "H08.15-260302-0001"})
    with pytest.raises(MappingFailed):  # in Vietnam it would be the year 10,000
        prepare(a_dossier(due_at="9999-12-31T23:59:59+00:00"))


def test_a_blank_abstract_is_none() -> None:
    item = a_dossier(abstract=" \u00a0")
    assert record(item)["TrichYeuHoSo"] == item["procedure_name"]


def test_a_digest_does_not_depend_on_order_or_on_foreign_fields() -> None:
    prepared = prepare(a_dossier())
    made = prepared.record
    shown = {"TienDoXuLy": [], "NgayDongBo": "20260302", **dict(reversed(list(made.items())))}
    shown["TaiLieuNop"] = [dict(reversed(list(made["TaiLieuNop"][0].items())))]
    assert shown_digest(made, shown) == digest(prepared.text) == prepared.digest
    others: list[dict[str, Any]] = [{"TrangThaiHoSo": "9"}, {"TaiLieuNop": []}, {"DinhDanhCHS": None}]
    for other in others:
        assert shown_digest(made, {**shown, **other}) != prepared.digest


@given(st.integers(0, 6), st.sets(st.integers(0, 5)))
def test_rows_shown_counts_without_gaps(number: int, there: set[int]) -> None:
    rows = [{"ThoiDiemXuLy": f"2026030208300{n}", "TrangThai": str(n + 1)} for n in range(number)]
    shown = [rows[n] for n in there if n < number]
    found = rows_shown(rows, shown)
    assert all(row in shown for row in rows[:found])
    assert found == number or rows[found] not in shown


def test_nothing_masked_tells_who_the_citizen_is() -> None:
    dossier = a_dossier(
        applicant={
            "kind": "citizen",
            "full_name": "Nguyễn Thị An",
            "personal_id": "052190000123",
            "phone": "0905000000",
            "email": "an@example.vn",
        },
        last_reason="Bà An nộp lại",
    )
    made = record(dossier)
    text = str(masked(made)) + str([masked_row(row) for row in progress_rows(dossier)])
    for secret in ("Nguyễn", "An", "052190000123", "0905000000", "example", "don.pdf"):
        assert not re.search(rf"\b{re.escape(secret)}\b", text)
    assert masked(made)["SoGiayToChuHoSo"] == "*" * 12
    assert masked(made)["TrangThaiHoSo"] == made["TrangThaiHoSo"]
    assert record(dossier) == made


@pytest.mark.parametrize("odd", [None, "x", 7, [], {}, {"ThoiDiemXuLy": ["x"], "TrangThai": {}}])
def test_what_the_portal_shows_as_a_row_and_is_none_counts_for_none(odd: object) -> None:
    rows = [{"ThoiDiemXuLy": "20260302080000", "TrangThai": "2"}]
    assert rows_shown(rows, [odd]) == 0
    assert rows_shown(rows, [odd, rows[0]]) == 1
