"""The national portal's words for a dossier (wire §1.1, §1.4), as models. Its names live here and in `portal_message`.

Of a record only what the hub uses is read: the portal may add fields of its own. Values are strings unless the wire
types them otherwise; times are yyyyMMddHHmmss in Vietnam's time, "" when absent.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from shared import clock

MOST_RECORDS = 100
MOST_PAPERS = 200
CODE = r"^[0-9A-Z]+(\.[0-9A-Z]+)*-[0-9]{6}-[0-9]{4,12}$"


def _moment(value: Any) -> datetime | None:
    if value is None or isinstance(value, str):
        moment = clock.from_wire(value or "")
        if moment is None or 1990 <= moment.year <= 2059:
            return moment
    raise ValueError("must be yyyyMMddHHmmss")


Moment = Annotated[datetime | None, BeforeValidator(_moment)]
Text = Annotated[str, StringConstraints(max_length=4000)]
Short = Annotated[str, StringConstraints(max_length=255)]


class Wire(BaseModel):
    """Base of the portal's models: what the hub does not use is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, str_strip_whitespace=True)


class Paper(Wire):
    """One of `TaiLieuNop` or `DanhSachGiayToBoSung`: a file is told by its URL, never sent along."""

    name: Text = Field("", alias="TenTepDinhKem")
    is_deleted: Literal["False", "True"] = Field("False", alias="IsDeleted")
    component_code: Text | None = Field(None, alias="MaThanhPhanHoSo")
    url: Text = Field("", alias="DuongDanTaiTepTin")
    digitised: Literal["0", "1"] = Field("0", alias="DuocSoHoa")
    reused: Literal["0", "1", "2"] = Field("0", alias="DuocTaiSuDung")


Papers = Annotated[list[Paper], Field(max_length=MOST_PAPERS)]


class Supplement(Wire):
    """One of `DanhSachHoSoBoSung`. Its number is the one the province pushed the request with."""

    number: int = Field(alias="HoSoBoSungId", ge=1, le=10**6, strict=True)
    note: Text | None = Field(None, alias="ThongTinTiepNhan")
    at: Moment = Field(None, alias="NgayTiepNhanBoSung")
    is_done: bool = Field(False, alias="TrangThaiBoSung", strict=True)
    papers: Papers = Field(default_factory=list, alias="DanhSachGiayToBoSung")

    @property
    def is_answered(self) -> bool:
        """Whether the citizen has brought what was asked for."""
        return self.is_done or self.at is not None or bool(self.papers)


class Identifier(Wire):
    """One of `DinhDanhCHS`: kind 1 is the 12-digit personal ID, 2 the former card's number."""

    kind: Short = Field(alias="LoaiDinhDanh")
    number: Short = Field(alias="SoDinhDanh")


class Record(Wire):
    """A DongBoHoSoMC record."""

    code: Annotated[str, StringConstraints(pattern=CODE, max_length=60)] = Field(alias="MaHoSo")
    status: Annotated[str, StringConstraints(pattern=r"^([1-9]|10)$")] = Field("1", alias="TrangThaiHoSo")
    procedure_code: Short = Field("", alias="MaTTHC")
    channel: Literal["1", "2", "3"] = Field("2", alias="KenhThucHien")
    owner: Text = Field("", alias="ChuHoSo")
    owner_kind: Literal["1", "2", "3", "4"] = Field("1", alias="LoaiDoiTuong")
    owner_account: Short | None = Field(None, alias="MaDoiTuong")
    owner_number: Short | None = Field(None, alias="SoGiayToChuHoSo")
    identifiers: Annotated[list[Identifier], Field(max_length=20)] = Field(default_factory=list, alias="DinhDanhCHS")
    email: Text | None = Field(None, alias="Email")
    phone: Text | None = Field(None, alias="SoDienThoai")
    abstract: Text = Field("", alias="TrichYeuHoSo")
    other: Text | None = Field(None, alias="ThongTinKhac")
    note: Text | None = Field(None, alias="GhiChu")
    submitted_at: Moment = Field(None, alias="NgayNopHoSo")
    returned_how: Literal["", "0", "1"] = Field("", alias="HinhThuc")
    papers: Papers = Field(default_factory=list, alias="TaiLieuNop")
    supplements: Annotated[list[Supplement], Field(max_length=100)] = Field(
        default_factory=list, alias="DanhSachHoSoBoSung"
    )


class Envelope(Wire):
    """The body: as the province's own pushes, without a session."""

    agency_code: Short = Field("", alias="madonvi")
    service: Literal["DongBoHoSoMC"] = "DongBoHoSoMC"
    is_updating: Literal["True", "False"] = Field("False", alias="isUpdating")
    records: Annotated[list[Any], Field(min_length=1, max_length=MOST_RECORDS)] = Field(alias="data")


NAMES = {
    "procedure_code": "MaTTHC", "agency_code": "madonvi", "channel": "KenhThucHien", "full_name": "ChuHoSo",
    "personal_id": "DinhDanhCHS", "email": "Email", "phone": "SoDienThoai", "abstract": "TrichYeuHoSo",
    "submitted_at": "NgayNopHoSo", "attachments": "TaiLieuNop", "name": "TenTepDinhKem", "applicant": "",
    "url": "DuongDanTaiTepTin", "component_code": "MaThanhPhanHoSo",
}  # fmt: skip
"""What the hub's own members are called there, for a refusal; "" stands for none."""
