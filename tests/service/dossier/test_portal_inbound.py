"""What the national portal brings: once, whole or not at all, with its own code kept, answered in its words."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest_asyncio
from pydantic import SecretStr

from shared import clock, strict_json
from tests.service.dossier.conftest import Hub

CODE = "H08.15-230301-900001"
CREDENTIAL = {"authorization": "Basic " + base64.b64encode(b"dvcqg:bi-mat").decode()}


@pytest_asyncio.fixture
async def hub(start_hub: Callable[..., Awaitable[Hub]]) -> Hub:
    return await start_hub(portal_inbound_secret=SecretStr("bi-mat"))


def a_record(code: str = CODE, **changes: Any) -> dict[str, Any]:
    """A dossier as the portal has it; invented."""
    record = {
        "MaHoSo": code, "MaTTHC": "2.000488", "KenhThucHien": "2", "ChuHoSo": "Trần Thị Bích", "LoaiDoiTuong": "1",
        "TrangThaiHoSo": "1", "NgayNopHoSo": "20230301083000", "TrichYeuHoSo": "Cấp phiếu lý lịch tư pháp",
        "DinhDanhCHS": [{"LoaiDinhDanh": "1", "SoDinhDanh": "052190000124"}],
        "TaiLieuNop": [{"TenTepDinhKem": "don.pdf", "DuongDanTaiTepTin": "https://tep.example/1", "DuocSoHoa": "1"}],
    }  # fmt: skip
    return record | changes


async def sent(
    hub: Hub, *records: Any, updating: bool = False, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """The portal's message, and what it is answered."""
    message = {"madonvi": "H08.15", "service": "DongBoHoSoMC", "isUpdating": str(updating), "data": list(records)}
    answer = await hub.client.post(
        "/dvcqg/dossiers",
        content=strict_json.dumps(message),
        headers={"content-type": "application/json", **(CREDENTIAL if headers is None else headers)},
    )
    return answer.status_code, answer.json()


async def filed(hub: Hub, code: str = CODE, **changes: Any) -> str:
    """The province's code of a dossier that was filed at the portal."""
    status, answer = await sent(hub, a_record(code, **changes))
    assert (status, answer["error_code"]) == (200, 0), answer
    return str(answer["result"][0]["MaHoSoTiepNhan"])


def answered(number: int = 1, at: str = "") -> list[dict[str, Any]]:
    """A supplement that the citizen has brought."""
    papers = [{"TenTepDinhKem": "bo-sung.pdf", "DuongDanTaiTepTin": "https://tep.example/2"}]
    return [{"HoSoBoSungId": number, "TrangThaiBoSung": True, "NgayTiepNhanBoSung": at, "DanhSachGiayToBoSung": papers}]


async def counts(hub: Hub) -> tuple[int, ...]:
    """Everything that could have been stored."""
    tables = ("dossier", "transition", "portal_received", "idempotency")
    return tuple([(await hub.rows(f"SELECT count(*) AS n FROM {table}"))[0]["n"] for table in tables])


async def test_a_dossier_is_taken_in_with_the_portals_code(hub: Hub) -> None:
    headers = CREDENTIAL | {"hub-exchange-id": "0192-exchange"}
    status, answer = await sent(hub, a_record(), headers=headers)
    assert (status, answer["error_code"], answer["message"]) == (200, 0, "Thành công")
    code = answer["result"][0]["MaHoSoTiepNhan"]
    found = (await hub.get(f"/v1/dossiers/{code}", headers={"hub-purpose": "Thu ly"})).json()
    assert (found["status"], found["portal_code"], found["external_reference"]) == ("submitted", CODE, CODE)
    assert found["submitted_at"] == "2023-03-01T01:30:00+00:00", "the portal's time, however long ago"
    assert found["applicant"]["personal_id"] == "052190000124"
    assert (found["digitised"], found["identity"]["outcome"]) == (True, "pending")
    (event,) = await hub.events(code)
    assert event["type"] == "vn.lgsp.dossier.submitted.v1"
    (row,) = await hub.rows("SELECT exchange_id, client_id FROM exchange_effect WHERE dossier_code = $1", code)
    assert tuple(row) == ("0192-exchange", "dvcqg")


async def test_a_repeat_is_a_duplicate_with_the_same_code_and_no_effect(hub: Hub) -> None:
    code = await filed(hub)
    before = await counts(hub)
    for record in (a_record(), a_record(ChuHoSo="Người Khác", TrichYeuHoSo="Khác")):
        status, answer = await sent(hub, record)
        assert (status, answer["error_code"]) == (200, 1)
        assert answer["result"][0]["MaHoSoTiepNhan"] == code
        assert answer["result"][0]["message"] == f"Hồ sơ {CODE} đã tồn tại"
    assert await counts(hub) == before


async def test_many_at_once_make_one_dossier(hub: Hub) -> None:
    answers = [answer for _, answer in await asyncio.gather(*(sent(hub, a_record()) for _ in range(8)))]
    assert sorted(answer["error_code"] for answer in answers) == [0] + [1] * 7
    assert len({answer["result"][0]["MaHoSoTiepNhan"] for answer in answers}) == 1
    assert (await counts(hub))[:3] == (1, 1, 1)


async def test_new_and_known_ones_in_a_message(hub: Hub) -> None:
    known = await filed(hub)
    other = "H08.15-230301-900002"
    status, answer = await sent(hub, a_record(), a_record(other))
    by_code = {it["MaHoSo"]: it for it in answer["result"]}
    assert (status, answer["error_code"]) == (200, 0)
    assert (by_code[CODE]["error_code"], by_code[CODE]["MaHoSoTiepNhan"]) == (1, known)
    assert by_code[other]["error_code"] == 0


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"MaTTHC": "9.999999"}, "không thực hiện thủ tục"),
    ({"MaTTHC": "x y"}, "MaTTHC"),
    ({"code": "H99.15-230301-900009"}, "đơn vị tiếp nhận"),
    ({"NgayNopHoSo": (clock.now() + timedelta(days=2)).strftime("%Y%m%d%H%M%S")}, "tương lai"),
    ({"TaiLieuNop": [{"TenTepDinhKem": "a", "DuongDanTaiTepTin": "http://169.254.169.254/"}]}, "DuongDanTaiTepTin"),
    ({"ChuHoSo": "a\x00b"}, "JSON"),
]


async def test_one_bad_record_refuses_the_message_and_stores_nothing(hub: Hub) -> None:
    before = await counts(hub)
    for wrong, words in WRONG:
        record = a_record(**{"code": "H08.15-230301-900002"} | wrong)
        message = {"madonvi": "", "isUpdating": "False", "data": [a_record(), record]}
        answer = await hub.client.post("/dvcqg/dossiers", content=strict_json.dumps(message), headers=CREDENTIAL)
        assert answer.status_code == 200
        said = answer.json()
        assert (said["error_code"], said["result"]) == (-1, [])
        assert words in said["message"], said
    assert await counts(hub) == before


async def test_a_supplement_goes_on_with_the_dossier_once(hub: Hub) -> None:
    code = await filed(hub)
    await hub.act(code, "receive")
    assert (await hub.act(code, "request_supplement", reason="Thiếu bản sao")).status_code == 200
    record = a_record(DanhSachHoSoBoSung=answered(at=clock.to_wire(clock.now())))
    status, answer = await sent(hub, record, updating=True)
    assert (status, answer["error_code"]) == (200, 0), answer
    found = (await hub.get(f"/v1/dossiers/{code}", headers={"hub-purpose": "Thu ly"})).json()
    assert found["status"] == "received"
    assert [paper["name"] for paper in found["attachments"]] == ["don.pdf", "bo-sung.pdf"]
    before = await counts(hub)
    status, answer = await sent(hub, record, updating=True)
    assert (status, answer["error_code"]) == (200, 1), "the repeat"
    assert await counts(hub) == before


async def test_a_supplement_that_nobody_waits_for_is_refused(hub: Hub) -> None:
    code = await filed(hub)
    before = await counts(hub)
    for rounds in (answered(1), answered(2), []):
        status, answer = await sent(hub, a_record(DanhSachHoSoBoSung=rounds), updating=True)
        assert (status, answer["error_code"]) == (200, -1), answer
    assert await counts(hub) == before
    await hub.act(code, "receive")
    await hub.act(code, "request_supplement", reason="Thiếu bản sao")
    await hub.act(code, "supplement", role="portal")  # brought to the counter
    status, answer = await sent(hub, a_record(DanhSachHoSoBoSung=answered(1)), updating=True)
    assert (status, answer["error_code"]) == (200, -1)
    assert "trạng thái 2" in answer["message"]
    assert (await counts(hub))[2] == 1, "a refused supplement may come again"


async def test_a_withdrawal_ends_the_dossier_once(hub: Hub) -> None:
    code = await filed(hub)
    record = a_record(TrangThaiHoSo="7", GhiChu="Nộp nhầm đơn vị")
    assert (await sent(hub, record, updating=True))[1]["error_code"] == 0
    found = (await hub.get(f"/v1/dossiers/{code}", headers={})).json()
    assert found["status"] == "withdrawn"
    assert (await sent(hub, record, updating=True))[1]["error_code"] == 1
    finished = await filed(hub, "H08.15-230301-900003", DinhDanhCHS=[], SoGiayToChuHoSo="")
    for action in ("receive", "start"):
        await hub.act(finished, action)
    await hub.act(finished, "finish", reason="Đã xong", result={"documents": [{"name": "Kết quả"}]})
    record = a_record("H08.15-230301-900003", TrangThaiHoSo="7")
    answer = (await sent(hub, record, updating=True))[1]
    assert (answer["error_code"], "trạng thái 9" in answer["message"]) == (-1, True)


async def test_an_update_of_what_never_came_is_refused(hub: Hub) -> None:
    status, answer = await sent(hub, a_record(TrangThaiHoSo="7"), updating=True)
    assert (status, answer["error_code"], answer["message"]) == (200, -1, f"Hồ sơ {CODE}: không tồn tại")


async def test_the_portals_seconds_do_not_lie_before_what_was_done_here(hub: Hub) -> None:
    code = await filed(hub)
    await hub.act(code, "receive")
    await hub.act(code, "request_supplement", reason="Thiếu bản sao")
    long_ago = clock.to_wire(datetime(2023, 3, 1, tzinfo=UTC))
    assert (await sent(hub, a_record(DanhSachHoSoBoSung=answered(at=long_ago)), updating=True))[1]["error_code"] == 0


async def test_without_the_credential_nothing_happens(hub: Hub) -> None:
    before = await counts(hub)
    for headers in ({}, {"authorization": "Basic x"}, {"authorization": "Bearer bi-mat"}, hub.headers("portal")):
        status, answer = await sent(hub, a_record(), headers=headers)
        assert (status, answer["code"]) == (401, "unauthenticated"), headers
    assert await counts(hub) == before


async def test_without_a_configured_secret_the_door_is_shut(start_hub: Callable[..., Awaitable[Hub]]) -> None:
    hub = await start_hub()
    for headers in (CREDENTIAL, {"authorization": "Basic " + base64.b64encode(b"dvcqg:").decode()}):
        assert (await sent(hub, a_record(), headers=headers))[0] == 401


async def test_another_agencys_desk_does_not_see_it_and_the_synchronisation_learns_the_portals_code(hub: Hub) -> None:
    code = await filed(hub)
    assert (await hub.get(f"/v1/dossiers/{code}", agencies=("H08.16",))).status_code == 404
    answer = await hub.client.post(
        "/internal/dossiers/read",
        content=strict_json.dumps({"codes": [code], "view": "sync"}),
        headers=hub.issuer.internal_headers("sync-national") | {"content-type": "application/json"},
    )
    assert answer.json()["items"][0]["portal_code"] == CODE
    own = await hub.file(external_reference="portal-0001")
    assert (await hub.get(f"/v1/dossiers/{own}")).json()["portal_code"] is None


async def test_while_the_same_dossier_is_locked_the_portal_is_told_to_come_again(hub: Hub) -> None:
    code = await filed(hub)
    connection = await asyncpg.connect(hub.urls.system)
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM dossier WHERE code = $1 FOR UPDATE", code)
            status, answer = await sent(hub, a_record(TrangThaiHoSo="7"), updating=True)
        assert (status, answer["code"]) == (503, "overloaded")
    finally:
        await connection.close()
    assert (await sent(hub, a_record(TrangThaiHoSo="7"), updating=True))[1]["error_code"] == 0
