"""Messages as a province sends them to the national systems, for tests of the sandbox. Invented people only."""

import base64
import hashlib
import time
from typing import Any
from xml.sax.saxutils import escape

from sandbox import checksum, payment_platform_message

PORTAL_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Charset": "utf-8",
    "dstcode": "VN:GOV:DVCQG",
}
CODE = "H08.15-230301-0001"
SECRET = "TEST-SECRET"


def a_record(code: str = CODE, **changes: Any) -> dict[str, Any]:
    """A dossier record (wire §1.4) of a dossier that was received."""
    record: dict[str, Any] = {
        "MaHoSo": code,
        "MaTTHC": "2.000488",
        "TenTTHC": "Cấp Phiếu lý lịch tư pháp cho công dân Việt Nam",
        "MaLinhVuc": "G15-TP01",
        "TenLinhVuc": "Lý lịch tư pháp",
        "KenhThucHien": "2",
        "SoGiayToChuHoSo": "052190000123",
        "ChuHoSo": "Nguyễn Thị An",
        "LoaiDoiTuong": "1",
        "ThongTinKhac": "",
        "Email": "",
        "SoDienThoai": "0905000000",
        "TrichYeuHoSo": "Cấp Phiếu lý lịch tư pháp số 1",
        "NgayTiepNhan": "20230301083000",
        "NgayHenTra": "20230310170000",
        "TrangThaiHoSo": "2",
        "DonViXuLy": "Sở Tư pháp",
        "TaiLieuNop": [a_document()],
        "DanhSachLePhi": [
            {"TenPhiLePhi": "Phí", "MaPhiLePhi": "P1", "HinhThucThu": "1", "Gia": "200000", "LoaiPhiLePhi": "1"}
        ],
        "DanhSachTepDinhKemKhac": [{"TenGiayTo": "Ảnh", "SoLuong": 1, "LoaiGiayTo": 1}],
        "DanhSachHoSoBoSung": [a_supplement()],
        "DanhSachGiayToKetQua": [],
        "NoiNopHoSo": "2",
        "HoSoCoThanhPhanSoHoa": "1",
        "TaiKhoanDuocXacThucVoiVNeID": "0",
        "DuocThanhToanTrucTuyen": "0",
        "NgayTuChoi": "",
        "DinhDanhCHS": [{"LoaiDinhDanh": "1", "SoDinhDanh": "052190000123"}],
        "NgayNopHoSo": "20230301081500",
        "DSKetNoiCSDL": [{"MaCSDL": "7"}],
    }
    return record | changes


def a_document(**changes: Any) -> dict[str, Any]:
    """One entry of TaiLieuNop."""
    return {
        "TepDinhKemId": "1",
        "TenTepDinhKem": "don.pdf",
        "IsDeleted": "False",
        "MaThanhPhanHoSo": "KQ.G15.000488",
        "DuongDanTaiTepTin": "https://files.example/don.pdf",
        "DuocSoHoa": "1",
        "DuocTaiSuDung": "0",
        "DuocLayTuKhoDMQG": "0",
        "MaKetQuaThayThe": "",
    } | changes


def a_supplement(**changes: Any) -> dict[str, Any]:
    """One entry of DanhSachHoSoBoSung, not answered yet."""
    return {
        "HoSoBoSungId": 1,
        "NguoiYeuCauBoSung": "Trần Văn Bình",
        "NoiDungBoSung": "Bổ sung bản sao",
        "NgayBoSung": "20230302090000",
        "NguoiTiepNhanBoSung": "",
        "ThongTinTiepNhan": "",
        "NgayTiepNhanBoSung": "",
        "TrangThaiBoSung": False,
        "DanhSachGiayToBoSung": [],
        "DanhSachLePhiBoSung": [],
        "NgayHenTraTruoc": "20230310170000",
        "NgayHenTraMoi": "",
    } | changes


def a_progress_row(code: str = CODE, **changes: str) -> dict[str, Any]:
    """A progress row (wire §1.5)."""
    return {
        "MaHoSo": code,
        "NguoiXuLy": "Trần Văn Bình",
        "ChucDanh": "Chuyên viên",
        "ThoiDiemXuLy": "20230301083000",
        "PhongBanXuLy": "Bộ phận một cửa",
        "NoiDungXuLy": "Tiếp nhận hồ sơ",
        "TrangThai": "2",
        "NgayBatDau": "20230301083000",
        "NgayKetThucTheoQuyDinh": "20230310170000",
    } | changes


def an_init(
    reference: str = "dvcH0815230301000120230301083000", amount_vnd: int = 200_000, **changes: Any
) -> dict[str, Any]:
    """A signed INIT of the payment platform (wire §2.1)."""
    receipt: dict[str, Any] = dict.fromkeys(payment_platform_message.RECEIPT, "")
    receipt |= {
        "MaDichVu": "2",
        "MaDVC": "2.000488.01",
        "MaTTHC": "2.000488",
        "MaDonVi": "H08.15",
        "MaHoSo": CODE,
        "HoTenNguoiNop": "Nguyễn Thị An",
        "SoCMNDNguoiNop": "052190000123",
        "PhiLePhi": [{"LoaiPhiLePhi": "Phi", "MaPhiLePhi": "P1", "TenPhiLePhi": "Phí", "SoTien": str(amount_vnd)}],
        "DSKhoanNop": [],
    }
    message = {
        "LoaiBanTin": "INIT",
        "PhienBan": "1.0.6",
        "MaDoiTac": "LGSP-HUB",
        "MaThamChieu": reference,
        "SoTien": str(amount_vnd),
        "LoaiHinhThanhToan": "PAY",
        "MaKenhThanhToan": "1",
        "MaThietBi": "1",
        "NgonNgu": "vi-VN",
        "MaTienTe": "VND",
        "MaNganHang": "PAYMENT",
        "ThongTinGiaoDich": f"THANH TOAN HO SO {CODE}",
        "ThoiGianGD": "20230301083000",
        "Ip": "127.0.0.1",
        "ThongTinBienLai": receipt,
    } | changes
    return {"MaXacThuc": checksum.checksum(message, checksum.INIT, SECRET)} | message


def a_query(reference: str = "dvcH0815230301000120230301083000", kind: str = "QUERY") -> dict[str, Any]:
    """A signed QUERY or GET_BILL."""
    message = {
        "LoaiBanTin": kind,
        "PhienBan": "1.0.6",
        "MaDoiTac": "LGSP-HUB",
        "MaThamChieu": reference,
        "ThoiGianGD": "20230301083000",
    }
    return {**message, "MaXacThuc": checksum.checksum(message, checksum.QUERY, SECRET)}


def soap(operation: str, children: list[tuple[str, str]]) -> bytes:
    """An envelope for the population register; a child's text that begins with `<` is put in as it is."""
    inner = "".join(f"<{name}>{text if text.startswith('<') else escape(text)}</{name}>" for name, text in children)
    return (
        '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Header/><soap:Body>'
        f'<{operation} xmlns="http://dancuquocgia.bca">{inner}</{operation}></soap:Body></soap:Envelope>'
    ).encode()


def a_verify(personal_id: str = "052190000123", full_name: str = "NGUYỄN THỊ AN") -> bytes:
    """A request 033."""
    return soap(
        "XacThucThongTinCongDanRequest",
        [
            ("MaYeuCau", "1"),
            ("MaDichVu", "033"),
            ("MaCanBo", "VDXP_VPCP"),
            ("SoDinhDanh", personal_id),
            ("SoCMND", ""),
            ("HoVaTen", full_name),
        ],
    )


def a_look_up(personal_id: str = "052190000123", full_name: str = "NGUYỄN THỊ AN") -> bytes:
    """A request 037."""
    return soap(
        "TraCuuThongTinCongDan",
        [
            ("MaYeuCau", "1"),
            ("MaDVC", "2.000488"),
            ("MaTichHop", "037"),
            ("MaCanBo", "can-bo"),
            ("SoDinhDanh", personal_id),
            ("HoVaTen", full_name),
            ("NgayThangNamSinh", "<NgayThangNam>19900412</NgayThangNam>"),
        ],
    )


def register_headers(*, skew_seconds: float = 0, secret: str = "hub", username: str = "hub") -> dict[str, str]:
    """Headers of the direct C06 service (wire §3.4)."""
    timestamp = str(int((time.time() + skew_seconds) * 1000))
    digest = hashlib.sha256(f"/population{username}{timestamp}{secret}".encode()).hexdigest()
    return {
        "Content-Type": "application/xml",
        "SOAPAction": '""',
        "X-Road-Client": "VN/GOV/H08/HUB",
        "ApiKey": "key",
        "Timestamp": timestamp,
        "Authorization": "Basic " + base64.b64encode(f"{username}:{digest}".encode()).decode(),
    }
