"""The national portal as the wire document describes it (§1.1 to §1.5)."""

from typing import Any

import httpx2
import pytest

from tests.support.national_messages import CODE, PORTAL_HEADERS, a_progress_row, a_record
from tests.support.national_sandbox import Province

OTHER = "H08.15-230301-0002"


async def test_an_insert_is_stored_once_and_a_second_one_says_that_it_exists(province: Province) -> None:
    assert await province.push(a_record()) == {"error_code": "0", "message": "Thành công", "result": []}
    again = await province.push(a_record())
    assert again["error_code"] == "-3"
    assert "đã tồn tại" in again["message"]
    assert CODE in again["message"]
    (held,) = await province.items("portal/dossiers")
    assert (held["code"], held["inserted"], held["updated"]) == (CODE, 1, 0)
    assert held["record"] == a_record()


async def test_an_update_replaces_and_of_an_unknown_code_is_an_error(province: Province) -> None:
    assert (await province.push(a_record(), updating=True))["error_code"] == "-4"
    await province.push(a_record())
    assert (await province.push(a_record(TrangThaiHoSo="4"), updating=True))["error_code"] == "0"
    (held,) = await province.items("portal/dossiers")
    assert (held["inserted"], held["updated"], held["record"]["TrangThaiHoSo"]) == (1, 1, "4")


async def test_one_bad_record_refuses_the_whole_batch_and_is_named(province: Province) -> None:
    answer = await province.push(a_record(), a_record(OTHER, KenhThucHien="9"))
    assert answer["error_code"] == "-5"
    assert OTHER in answer["message"]
    assert CODE not in answer["message"]
    assert await province.items("portal/dossiers") == []


async def test_the_same_code_twice_in_a_batch_exists_already(province: Province) -> None:
    assert (await province.push(a_record(), a_record()))["error_code"] == "-3"
    assert await province.items("portal/dossiers") == []


async def test_per_record_answers_store_the_good_ones(province: Province) -> None:
    await province.order("portal", answers="record")
    answer = await province.push(a_record(), a_record(OTHER, KenhThucHien="9"))
    assert answer["error_code"] == "-6"
    assert [(line["MaHoSo"], line["error_code"]) for line in answer["result"]] == [(CODE, "0"), (OTHER, "-5")]
    assert [held["code"] for held in await province.items("portal/dossiers")] == [CODE]


async def test_a_look_up_returns_the_record_with_its_progress(province: Province) -> None:
    assert await province.look_up(CODE) == []
    await province.push(a_record())
    rows = [a_progress_row(TrangThai="1", ThoiDiemXuLy="20230301081500"), a_progress_row()]
    assert (await province.push_progress(*rows))["error_code"] == "0"
    (found,) = await province.look_up(CODE)
    assert found == {**a_record(), "TienDoXuLy": rows}


@pytest.mark.parametrize(("switch", "written", "shown"), [("ignore", 1, 1), ("show", 2, 2), ("neither", 2, None)])
async def test_an_equal_progress_row(province: Province, switch: str, written: int, shown: int | None) -> None:
    await province.order("portal", progress=switch)
    await province.push(a_record())
    for _ in range(2):
        assert (await province.push_progress(a_progress_row()))["error_code"] == "0"
    (held,) = await province.items("portal/dossiers")
    assert held["progress"] == [{"row": a_progress_row(), "written": written, "sent": 2}]
    (found,) = await province.look_up(CODE)
    assert ("TienDoXuLy" in found) is (shown is not None)
    assert len(found.get("TienDoXuLy", [])) == (shown or 0)


async def test_progress_of_an_unknown_dossier_or_a_bad_row_stores_nothing(province: Province) -> None:
    await province.push(a_record())
    unknown = await province.push_progress(a_progress_row(), a_progress_row(OTHER))
    assert (unknown["error_code"], OTHER in unknown["message"]) == ("-4", True)
    bad = await province.push_progress(a_progress_row(), a_progress_row(TrangThai="11"))
    assert bad["error_code"] == "-5"
    (held,) = await province.items("portal/dossiers")
    assert held["progress"] == []


@pytest.mark.parametrize(
    ("style", "success", "failure"), [("integer", 0, -3), ("double_zero", "00", "-3"), ("string", "0", "-3")]
)
async def test_error_codes_come_in_three_styles(province: Province, style: str, success: Any, failure: Any) -> None:
    await province.order("portal", error_code=style)
    assert (await province.push(a_record()))["error_code"] == success
    assert (await province.push(a_record()))["error_code"] == failure


@pytest.mark.parametrize("name", ["dstcode", "Charset", "Accept", "Content-Type"])
async def test_every_header_is_needed(province: Province, name: str) -> None:
    headers = {header: value for header, value in PORTAL_HEADERS.items() if header != name}
    answer = await province.client.post(
        "/portal/login", content=b'{"username":"hub","password":"hub"}', headers=headers
    )
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "-1"


@pytest.mark.parametrize(
    "body",
    [
        {"isUpdating": True, "data": [a_record()]},
        {"isUpdating": "false", "data": [a_record()]},
        {"isUpdating": "False", "data": []},
        {"isUpdating": "False", "data": a_record()},
        {"isUpdating": "False"},
    ],
)
async def test_a_push_without_its_parameters_is_refused(province: Province, body: dict[str, Any]) -> None:
    assert (await province.call("integration", "DongBoHoSoMC", **body))["error_code"] == "-1"


async def test_services_live_at_their_own_endpoint(province: Province) -> None:
    assert (await province.call("share", "DongBoHoSoMC", isUpdating="False", data=[a_record()]))["error_code"] == "-1"
    assert (await province.call("integration", "TraCuuHoSo", mahoso=CODE))["error_code"] == "-1"
    answer = await province.client.post("/portal/integration", content=b"[", headers=PORTAL_HEADERS)
    assert answer.json()["error_code"] == "-1"


async def test_a_wrong_password_or_session_opens_nothing(province: Province) -> None:
    assert (await province.portal("login", username="hub", password="ố"))["error_code"] == "-1"
    for wrong in ("", "abc", None, 7, ["x"]):
        province.session = wrong  # type: ignore[assignment]
        answer = await province.push(a_record())
        assert (answer["error_code"], "hết hạn" in answer["message"]) == ("-2", True)


async def test_sessions_end_on_order_and_after_so_many_calls(province: Province) -> None:
    await province.order("portal", mode="expire_session", every_calls=2)
    assert (await province.call("share", "TraCuuHoSo", mahoso=CODE))["error_code"] == "-2"
    await province.log_in()
    codes = [(await province.call("share", "TraCuuHoSo", mahoso=CODE))["error_code"] for _ in range(3)]
    assert codes == ["0", "0", "-2"]


async def test_the_catalogue_reads_have_upper_case_keys(province: Province) -> None:
    (procedure,) = (await province.call("share", "LayThuTuc", maTTHC="2.000488"))["result"]
    assert procedure["CACHTHUCTHUCHIEN"][0]["THOIGIAN"][0]["PHILEPHI"][0]["SOTIEN"] == "200000"
    for service, key in (
        ("LayDanhSachTTHC", "MATTHC"),
        ("LayDanhMucCoQuan", "MADONVI"),
        ("LayDanhMucLinhVuc", "MALINHVUC"),
    ):
        assert key in (await province.call("share", service))["result"][0]


async def test_a_lost_answer_was_executed(province: Province) -> None:
    await province.order("portal", mode="lose_answer", operations=["DongBoHoSoMC"], times=1)
    with pytest.raises(httpx2.RemoteProtocolError):
        await province.push(a_record())
    assert [found["MaHoSo"] for found in await province.look_up(CODE)] == [CODE]
    assert (await province.push(a_record()))["error_code"] == "-3"


async def test_chosen_records_are_rejected(province: Province) -> None:
    await province.order("portal", mode="reject_record", codes=[OTHER])
    assert (await province.push(a_record(), a_record(OTHER)))["error_code"] == "-5"
    assert (await province.push(a_record()))["error_code"] == "0"


async def test_pages_follow_the_cursor(province: Province) -> None:
    codes = [f"H08.15-230301-{number:04d}" for number in range(1, 8)]
    await province.push(*(a_record(code) for code in codes))
    assert [held["code"] for held in await province.items("portal/dossiers", limit=3)] == codes
