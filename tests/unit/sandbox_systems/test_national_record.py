"""The portal's strict check of records and progress rows (wire §1.4, §1.5)."""

from typing import Any

import pytest

from sandbox.portal_record import RECORD, RECORD_OPTIONAL, fault_of_progress, fault_of_record
from tests.support.national_messages import a_document, a_progress_row, a_record, a_supplement


def test_a_complete_record_is_good() -> None:
    assert fault_of_record(a_record()) is None


def test_optional_fields_may_stand_there() -> None:
    more: dict[str, Any] = dict.fromkeys(RECORD_OPTIONAL, "") | {"MaDoiTuong": None, "HinhThuc": "1"}
    assert fault_of_record(a_record(**more)) is None


@pytest.mark.parametrize("name", sorted(RECORD.keys() - RECORD_OPTIONAL))
def test_every_required_field_is_missed(name: str) -> None:
    record = a_record()
    del record[name]
    assert fault_of_record(record) == f"thiếu trường {name}"


@pytest.mark.parametrize("name", sorted(RECORD))
def test_no_field_takes_a_number_for_a_string(name: str) -> None:
    assert name in (fault_of_record(a_record() | {name: 7}) or "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MaHoSo", "H08.15/230301/0001"),
        ("MaTTHC", "488"),
        ("KenhThucHien", "4"),
        ("LoaiDoiTuong", "0"),
        ("ChuHoSo", " "),
        ("TrichYeuHoSo", "x" * 1001),
        ("NgayHenTra", "2023-03-10"),
        ("NgayHenTra", "20230230170000"),
        ("NgayHenTra", "20230310240000"),
        ("TrangThaiHoSo", "11"),
        ("HinhThuc", "2"),
        ("NoiNopHoSo", "3"),
        ("HoSoCoThanhPhanSoHoa", "true"),
        ("DuocThanhToanTrucTuyen", "4"),
        ("NgayNopHoSo", ""),
        ("NgayTiepNhan", ""),
        ("TaiLieuNop", {}),
        ("TaiLieuNop", [a_document(IsDeleted="false")]),
        ("TaiLieuNop", [a_document(DuongDanTaiTepTin="ftp://files.example/a")]),
        ("DanhSachTepDinhKemKhac", [{"TenGiayTo": "Ảnh", "SoLuong": True, "LoaiGiayTo": 1}]),
        ("DanhSachHoSoBoSung", [a_supplement(TrangThaiBoSung="0")]),
        ("DinhDanhCHS", [{"LoaiDinhDanh": "1", "SoDinhDanh": "123456789"}]),
        ("DinhDanhCHS", [{"LoaiDinhDanh": "2", "SoDinhDanh": "052190000123"}]),
        ("DSKetNoiCSDL", [{"MaCSDL": 7}]),
        ("MaHoso", "x"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: Any) -> None:
    assert name in (fault_of_record(a_record(**{name: value})) or "")


@pytest.mark.parametrize("status", ["1", "3", "5", "6", "7"])
def test_a_dossier_that_was_never_received_needs_no_time_of_receipt(status: str) -> None:
    assert fault_of_record(a_record(TrangThaiHoSo=status, NgayTiepNhan="")) is None


@pytest.mark.parametrize("record", [None, [], "x", 1])
def test_what_is_no_object_is_refused(record: Any) -> None:
    assert fault_of_record(record) is not None
    assert fault_of_progress(record) is not None


def test_a_progress_row_is_good_with_empty_optional_times() -> None:
    assert fault_of_progress(a_progress_row(NgayBatDau="", NgayKetThucTheoQuyDinh="")) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("ThoiDiemXuLy", ""), ("TrangThai", "0"), ("NguoiXuLy", "x" * 51), ("NgayBatDau", "1.3.2023"), ("La", "x")],
)
def test_a_wrong_progress_row_names_its_field(name: str, value: str) -> None:
    assert name in (fault_of_progress(a_progress_row(**{name: value})) or "")
