"""What the national portal sends, read: filings, supplements, withdrawals, and refusals in its own words."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier.portal_message import Message, PortalRefused, read

CODE = "000.00.15.H08-230301-900001"


def a_record(**changes: Any) -> dict[str, Any]:
    """A dossier as the portal has it; invented."""
    record = {
        "MaHoSo": CODE, "MaTTHC": "2.000488", "KenhThucHien": "2", "ChuHoSo": "Trần Thị Bích", "LoaiDoiTuong": "1",
        "SoGiayToChuHoSo": "052190000124", "TrangThaiHoSo": "1", "NgayNopHoSo": "20230301083000", "HinhThuc": "1",
        "DinhDanhCHS": [{"LoaiDinhDanh": "1", "SoDinhDanh": "052190000124"}], "TrichYeuHoSo": "Cấp phiếu",
        "TaiLieuNop": [{"TenTepDinhKem": "don.pdf", "DuongDanTaiTepTin": "https://tep.example/1", "DuocSoHoa": "1"}],
        "MotTruongMoi": {"x": 1},
    }  # fmt: skip
    return record | changes


def message(*records: Any, updating: str = "False", **changes: Any) -> bytes:
    return json.dumps({"madonvi": "H08.15", "isUpdating": updating, "data": list(records)} | changes).encode()


def taken(body: bytes) -> Message:
    return read(body, lambda code: code in {"000.00.15.H08", "H08.15"})


def refusal(body: bytes) -> str:
    with pytest.raises(PortalRefused) as refused:
        taken(body)
    return refused.value.words


def test_a_new_dossier_becomes_a_filing_with_the_portals_code() -> None:
    (filing,) = taken(message(a_record())).filings.values()
    assert (filing.external_reference, filing.agency_code) == (CODE, "000.00.15.H08")
    assert filing.applicant.personal_id == "052190000124"
    assert filing.submitted_at is not None
    assert filing.submitted_at.isoformat() == "2023-03-01T01:30:00+00:00", "Vietnam's time"
    assert filing.return_method == "post"
    assert (filing.attachments[0].digitised, filing.attachments[0].url) == (True, "https://tep.example/1")


def test_the_agency_is_the_codes_own_else_the_addressee() -> None:
    (filing,) = taken(message(a_record(MaHoSo="G22.99-230301-0001"))).filings.values()
    assert filing.agency_code == "H08.15"


def test_a_former_cards_number_is_no_personal_id() -> None:
    old = [{"LoaiDinhDanh": "2", "SoDinhDanh": "210000000"}]
    (filing,) = taken(message(a_record(DinhDanhCHS=old, SoGiayToChuHoSo="210000000"))).filings.values()
    assert filing.applicant.personal_id is None


def test_a_deleted_paper_is_left_out() -> None:
    papers = [{"TenTepDinhKem": "cu.pdf", "IsDeleted": "True"}, {"TenTepDinhKem": "moi.pdf"}]
    (filing,) = taken(message(a_record(TaiLieuNop=papers))).filings.values()
    assert [it.name for it in filing.attachments] == ["moi.pdf"]


def test_an_update_is_a_withdrawal_or_the_last_answered_supplement() -> None:
    rounds = [
        {"HoSoBoSungId": 1, "TrangThaiBoSung": True, "NgayTiepNhanBoSung": "20230302080000"},
        {"HoSoBoSungId": 2, "NoiDungBoSung": "Thiếu", "DanhSachGiayToBoSung": [{"TenTepDinhKem": "moi.pdf"}]},
        {"HoSoBoSungId": 3, "NoiDungBoSung": "Thiếu nữa", "TrangThaiBoSung": False, "NgayTiepNhanBoSung": ""},
    ]
    (update,) = taken(message(a_record(DanhSachHoSoBoSung=rounds), updating="True")).updates
    assert (update.part, [it["name"] for it in update.attachments]) == ("supplement:2", ["moi.pdf"])
    (update,) = taken(message(a_record(TrangThaiHoSo="7", GhiChu="Nộp nhầm"), updating="True")).updates
    assert (update.part, update.reason) == ("withdrawal", "Nộp nhầm")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b'{"data": [], "data": []}', "JSON"),
        (b"[]", "bản tin"),
        (b"{}", "trường data"),
        (message(), "trường data"),
        (message(*({"MaHoSo": f"H08.15-230301-{n:04d}"} for n in range(101))), "trường data"),
        (message(a_record(), updating="yes"), "isUpdating"),
        (message(a_record(), service="XoaHoSo"), "service"),
        (message("x"), "không mã"),
        (message(a_record(MaHoSo="H08.15/1")), "không mã"),
        (message(a_record(MaHoSo="a' OR 1=1")), "không mã"),
        (message(a_record(), a_record()), "lặp lại"),
        (message(a_record(TrangThaiHoSo="4")), "TrangThaiHoSo là 1"),
        (message(a_record(TrangThaiHoSo="11")), "TrangThaiHoSo"),
        (message(a_record(NgayNopHoSo="2023-03-01")), "NgayNopHoSo"),
        (message(a_record(NgayNopHoSo="20230231083000")), "NgayNopHoSo"),
        (message(a_record(MaTTHC="")), "MaTTHC"),
        (message(a_record(ChuHoSo="  ")), "ChuHoSo"),
        (message(a_record(TaiLieuNop=[{"TenTepDinhKem": ""}])), "TenTepDinhKem"),
        (message(a_record(TaiLieuNop=[{"TenTepDinhKem": "a", "DuongDanTaiTepTin": "ftp://x/1"}])), "DuongDanTaiTepTin"),
        (message(a_record(), updating="True"), "không có bổ sung"),
        (message(a_record(DanhSachHoSoBoSung=[{"HoSoBoSungId": "x"}]), updating="True"), "HoSoBoSungId"),
    ],
)
def test_what_cannot_be_read_is_refused_by_the_portals_names(body: bytes, words: str) -> None:
    assert words in refusal(body)


def test_no_refusal_repeats_what_was_sent() -> None:
    for body in (message(a_record(MaHoSo="RIENG")), message(a_record(MaTTHC="RIENG", NgayNopHoSo="RIENG"))):
        assert "RIENG" not in refusal(body)


_atoms = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=20) | st.just("1")
_values = st.recursive(_atoms, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))


@given(data=st.data(), updating=st.sampled_from(["True", "False"]))
def test_whatever_a_member_holds_it_is_read_or_refused(data: st.DataObject, updating: str) -> None:
    record = a_record(DanhSachHoSoBoSung=[{"HoSoBoSungId": 1, "TrangThaiBoSung": True}])
    place = data.draw(st.sampled_from(["", "TaiLieuNop", "DinhDanhCHS", "DanhSachHoSoBoSung"]))
    held = record if not place else record[place][0]
    held[data.draw(st.sampled_from(sorted(held)))] = data.draw(_values)
    with suppress(PortalRefused):
        taken(message(record, updating=updating))
