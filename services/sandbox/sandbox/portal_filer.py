"""Citizens at the national portal: they file, bring what is missing, and withdraw; the portal tells the province.

`POST <HUB_INBOUND_URL>` with the shared credential, the same record and envelope as the province's own pushes (wire
§1.1, §1.4). What the province took in is stored at the portal, so that its later pushes are updates.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import aiohttp
import orjson
from pydantic import BaseModel, ConfigDict, Field

from sandbox import portal_store
from sandbox.store import Store
from shared.errors import Conflict, NotFound, UpstreamUnavailable

_VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")
_SECONDS = 30.0
_DONE = (0, 1, "0", "1", "00")


class FilingOrder(BaseModel):
    """What a citizen does at the portal. `repeat`: how often the portal tells it, as after a lost answer."""

    model_config = ConfigDict(extra="forbid")

    do: Literal["file", "supplement", "withdraw"] = "file"
    code: Annotated[str, Field(pattern=r"^[0-9A-Z.]+-[0-9]{6}-[0-9]{4,12}$")] | None = None
    """The portal's code; of a new dossier it is drawn when not given."""
    agency_code: str = "H08.15"
    procedure_code: str = "2.000488"
    full_name: str = "Trần Thị Bích"
    personal_id: str = "052190000124"
    papers: list[str] = ["to-khai.pdf"]
    reason: str = "Công dân xin rút hồ sơ"
    repeat: Annotated[int, Field(ge=1, le=10)] = 1


class Filer:
    """Sends to the province. `secret` is the credential it knows the portal by."""

    def __init__(self, store: Store, *, url: str, secret: str) -> None:
        self._store = store
        self._url = url
        self._auth = aiohttp.encode_basic_auth("dvcqg", secret)
        self._drawn = 0

    async def carry_out(self, order: FilingOrder) -> dict[str, Any]:
        """Do it and tell the province; the message and its answers. Raises `NotFound`, `Conflict`."""
        record = self._filed(order) if order.do == "file" else self._changed(order)
        message = {
            "madonvi": order.agency_code,
            "service": "DongBoHoSoMC",
            "isUpdating": "False" if order.do == "file" else "True",
            "data": [record],
        }
        answers = [await self._send(message) for _ in range(order.repeat)]
        is_done = any(it["status"] == 200 and it["answer"].get("error_code") in _DONE for it in answers)
        if is_done and not portal_store.known_codes(self._store, [record["MaHoSo"]]):
            portal_store.insert(self._store, [record])
        return {"code": record["MaHoSo"], "message": message, "answers": answers}

    async def _send(self, message: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"content-type": "application/json", "authorization": self._auth}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS)) as session,
                session.post(self._url, data=orjson.dumps(message), headers=headers) as answer,
            ):
                return {"status": answer.status, "answer": orjson.loads(await answer.read())}
        except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as fault:
            raise UpstreamUnavailable("The province does not answer", internal=type(fault).__name__) from fault

    def _filed(self, order: FilingOrder) -> dict[str, Any]:
        now = datetime.now(_VIETNAM)
        self._drawn += 1
        code = order.code or f"{order.agency_code}-{now:%y%m%d}-9{now:%H%M%S}{self._drawn % 1000:03d}"
        return _record(code, order, f"{now:%Y%m%d%H%M%S}")

    def _changed(self, order: FilingOrder) -> dict[str, Any]:
        found = portal_store.look_up(self._store, order.code or "", with_progress=False)
        if not found:
            raise NotFound("The portal has no such dossier")
        record = dict(found[0])
        if order.do == "withdraw":
            return record | {"TrangThaiHoSo": "7", "GhiChu": order.reason}
        asked = [dict(it) for it in record["DanhSachHoSoBoSung"]]
        if not asked:
            raise Conflict("The province has asked for nothing yet")
        asked[-1] |= {
            "TrangThaiBoSung": True,
            "NgayTiepNhanBoSung": f"{datetime.now(_VIETNAM):%Y%m%d%H%M%S}",
            "DanhSachGiayToBoSung": _papers(record["MaHoSo"], order.papers),
        }
        return record | {"DanhSachHoSoBoSung": asked}


def _record(code: str, order: FilingOrder, at: str) -> dict[str, Any]:
    return {
        "MaHoSo": code, "MaTTHC": order.procedure_code, "TenTTHC": "Thủ tục trên Cổng", "MaLinhVuc": "G03-GD10",
        "TenLinhVuc": "Lĩnh vực", "KenhThucHien": "2", "SoBienNhan": "", "SoGiayToChuHoSo": order.personal_id,
        "ChuHoSo": order.full_name, "LoaiDoiTuong": "1", "MaDoiTuong": "", "ThongTinKhac": "", "Email": "", "Fax": "",
        "SoDienThoai": "0905000001", "TrichYeuHoSo": "Hồ sơ nộp trên Cổng Dịch vụ công quốc gia", "NgayTiepNhan": "",
        "NgayHenTra": "", "TrangThaiHoSo": "1", "NgayTra": "", "ThongTinTra": "", "HinhThuc": "0",
        "NgayKetThucXuLy": "", "DonViXuLy": order.agency_code, "GhiChu": "", "TaiLieuNop": _papers(code, order.papers),
        "DanhSachLePhi": [], "DanhSachTepDinhKemKhac": [], "DanhSachHoSoBoSung": [], "DanhSachGiayToKetQua": [],
        "NoiNopHoSo": "1", "HoSoCoThanhPhanSoHoa": "1", "TaiKhoanDuocXacThucVoiVNeID": "1",
        "DuocThanhToanTrucTuyen": "0", "NgayTuChoi": "", "NgayNopHoSo": at, "DSKetNoiCSDL": [],
        "DinhDanhCHS": [{"LoaiDinhDanh": "1", "SoDinhDanh": order.personal_id}] if order.personal_id else [],
    }  # fmt: skip


def _papers(code: str, names: list[str]) -> list[dict[str, str]]:
    return [
        {
            "TepDinhKemId": f"{code}-{number}", "TenTepDinhKem": name, "IsDeleted": "False", "MaThanhPhanHoSo": "",
            "DuongDanTaiTepTin": f"https://tep.dichvucong.example/{code}/{number}", "DuocSoHoa": "1",
            "DuocTaiSuDung": "0", "DuocLayTuKhoDMQG": "0", "MaKetQuaThayThe": "",
        }
        for number, name in enumerate(names, 1)
    ]  # fmt: skip
