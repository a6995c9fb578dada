"""The pages on which operators act: what they show, what a form asks of the hub, and whose form is taken."""

import html
import json
import re
from typing import Any
from urllib.parse import unquote

import httpx2

from tests.support.tokens import TokenIssuer

from .acting import CODE, INCIDENT_ID, MAINTENANCE_ID, REPLAY, REPLAY_ID, SHOWN_REPLAY
from .conftest import RECONCILIATION, RECONCILIATION_ID, Console
from .signing import signed_in

INCIDENT, REPLAY_PAGE = f"/console/sync/incidents/{INCIDENT_ID}", f"/console/sync/replays/{REPLAY_ID}"
HOLDS, REPLAYS, FILE = "/console/sync/holds", "/console/sync/replays", "/console/reconciliations/file"
RECORD = f"/console/reconciliations/{RECONCILIATION_ID}"


def seal_in(page: str) -> str:
    found = re.search(r'name="form" value="([^"]+)"', page)
    assert found, page
    return html.unescape(found[1])


async def sent(client: httpx2.AsyncClient, path: str, **fields: Any) -> httpx2.Response:
    """The form of this page, filled in."""
    seal = seal_in((await client.get(path)).text)
    return await client.post(path, data={"form": seal, **fields})


PAGES: list[tuple[str, list[str]]] = [
    ("/console/sync", ["Tạm giữ 1 đơn vị", "Dự kiến xong lúc 08:42:00 01/03/2023", "Bên kết nối: 1"]),
    ("/console/sync/incidents", ["Hồ sơ … &lt;b&gt;không&lt;/b&gt; hợp lệ", "Bên kết nối", ">12<", CODE]),
    (INCIDENT, ["Hồ sơ đang vướng", "2 đơn vị", "Đóng sự cố và lập danh sách đẩy lại"]),
    (HOLDS, ["Sở Tư pháp H08.15", "70 %", "2,5 hồ sơ/giây", "Cổng nâng cấp", "Mở giữ", "Sắp tới"]),
    (REPLAYS, ["Lập danh sách mới", "Cổng đã sửa", "Chờ xác nhận"]),
    (REPLAY_PAGE, ["Xác nhận đẩy lại 4 hồ sơ", "Sở Tư pháp H08.15", "Cần xử lý", "Sai mã", "100 hồ sơ/giây"]),
    ("/console/reconciliations", ["Bắt đầu đối soát"]),
    (FILE, ["dvcqg, bản 1", "MaHoSo"]),
    (RECORD, ["Duyệt sửa sai lệch", "?kind=status_differs"]),
    ("/console/attention", ["hơn 1.000", "Kết thúc xử lý hồ sơ.", "Không có bước xử lý nào", "cursor=n%2F%3D"]),
    ("/console/attention?show=late&hours=8", ["trong 8 giờ làm việc tới", "hoặc gia hạn kèm lý do"]),
    ("/console/attention?show=differs", ["Tại tỉnh: quá hạn.", "Quy tắc 2.1: đúng hạn.", "gửi thư xin lỗi"]),
    ("/console/events", ["1.200", "Một giá trị chưa có trong từ điển", "/data/&lt;b&gt;", "Bổ sung từ điển",
                         "delivery?source=/bo-tu-phap/ho%20tich&amp;id=e/1%26", "cursor=n%2F%3D"]),
    ("/console/events?state=unmapped&source=/bo-tu-phap/ho%20tich", ['aria-current="page"', "source=%2Fbo-tu-phap"]),
    ("/console/events/delivery?source=/a&id=e%2F1", ["Chưa rõ", "không rõ", "08:30:00 01/03/2023", CODE]),
    (f"/console/events/delivery?dossier_code={CODE}", ["Cổng quốc gia nhận", f"/console/dossiers/{CODE}"]),
    (f"/console/dossiers/{CODE}", [
        "Theo đồng hồ của tỉnh", "Theo quy tắc 2.1", "Chờ nộp phí, lệ phí", "Đã dùng 2 ngày làm việc",
        "còn 4 giờ làm việc", "quá 4 giờ làm việc", "Gia hạn", "còn khoản phí, lệ phí chưa nộp", "Đẩy lại hồ sơ này",
    ]),
]  # fmt: skip


async def test_each_page_tells_what_there_is_and_what_can_be_done(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer)
    for path, told in PAGES:
        page = await client.get(path)
        assert page.status_code == 200, page.text
        for text in told:
            assert text in page.text, text


FORMS: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    (INCIDENT, {"reason": "Đã nạp mã"}, f"/v1/sync/incidents/{INCIDENT_ID}/resolve", {"reason": "Đã nạp mã"}),
    (HOLDS, {"do": "hold", "destination": "dvcqg", "agency": " H08.15 ", "reason": "Nâng cấp"}, "/v1/sync/hold",
     {"destination": "dvcqg", "agency": "H08.15", "reason": "Nâng cấp"}),
    (HOLDS, {"do": "release", "destination": "dvcqg", "agency": ""}, "/v1/sync/release", {"destination": "dvcqg"}),
    (HOLDS, {"do": "plan", "destination": "dvcqg", "reason": "Nâng cấp", "starts_at": "2026-12-01T22:00",
             "ends_at": "hôm sau"}, "/v1/sync/maintenance",
     {"destination": "dvcqg", "reason": "Nâng cấp", "starts_at": "2026-12-01T22:00:00+07:00", "ends_at": "hôm sau"}),
    (HOLDS, {"do": "cancel", "id": MAINTENANCE_ID}, f"/v1/sync/maintenance/{MAINTENANCE_ID}/cancel", {}),
    (REPLAYS, {"state": ["failed", "parked"], "owner": "hub", "agency": "", "reason": "", "codes": "A, B\nC",
               "why": "Đã sửa", "per_second": "20"}, "/v1/sync/retries",
     {"filter": {"state": ["failed", "parked"], "owner": "hub", "codes": ["A", "B", "C"]}, "reason": "Đã sửa",
      "per_second": 20}),
    (REPLAY_PAGE, {"do": "confirm", "count": "4"}, f"/v1/sync/retries/{REPLAY_ID}/confirm", {"count": 4}),
    (REPLAY_PAGE, {"do": "cancel"}, f"/v1/sync/retries/{REPLAY_ID}/cancel", {}),
    ("/console/reconciliations", {"from": "2026-01-01", "to": "", "reason": "Quý"}, "/v1/sync/reconciliations",
     {"from": "2026-01-01", "reason": "Quý"}),
    (RECORD, {"reason": "Duyệt"}, f"/v1/sync/reconciliations/{RECONCILIATION_ID}/repair", {"reason": "Duyệt"}),
    (f"/console/dossiers/{CODE}", {"reason": "Đã sửa"}, f"/v1/sync/dossiers/{CODE}/retry", {}),
]  # fmt: skip


async def test_a_form_asks_the_hub_once_however_often_it_is_sent(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer)
    for path, fields, asked, body in FORMS:
        console.neighbours.said[asked] = (200, {"id": REPLAY_ID, "offered": {"id": REPLAY_ID}})
        console.neighbours.asked.clear()
        form = {"form": seal_in((await client.get(path)).text), **fields}
        for _ in range(2):
            done = await client.post(path, data=form)
            assert (done.status_code, done.headers["location"].startswith("/console/")) == (303, True), done.text
        first, second = console.neighbours.asked
        assert (first[0], json.loads(first[2])) == (asked, body)
        # The same key: the hub answers the second one as the first, and acts once.
        assert first[1]["idempotency-key"] == second[1]["idempotency-key"]
        assert first[1]["authorization"].startswith("Bearer ")
        await sent(client, path, **fields)
        assert console.neighbours.asked[-1][1]["idempotency-key"] != first[1]["idempotency-key"]
    # Where the hub's body has no place for the reason, it goes with the request.
    assert unquote(first[1]["hub-purpose"]) == "Đã sửa"


async def test_a_file_passes_as_it_is(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer)
    console.neighbours.said["/v1/sync/reconciliations"] = (201, RECONCILIATION)
    fields = {"layout": "dvcqg", "from": "", "as_of": "2026-11-20T08:00", "reason": "Quý 4 & năm"}
    for content, kind in (
        (b"MaHoSo\nH08.15-230301-0001\n" * 60_000, "text/csv"),
        (b"PK\x03\x04...", "application/vnd."),
    ):
        console.neighbours.asked.clear()
        form = {"form": seal_in((await client.get(FILE)).text), **fields}
        begun = await client.post(FILE, data=form, files={"file": ("xuất từ Cổng.csv", content)})
        assert (begun.status_code, begun.headers["location"]) == (303, RECORD)
        ((target, headers, body),) = console.neighbours.asked
        assert dict(httpx2.URL(f"http://x{target}").params.items()) == {
            "reason": "Quý 4 & năm", "layout": "dvcqg", "as_of": "2026-11-20T08:00:00+07:00",
            "name": "xuất từ Cổng.csv",
        }  # fmt: skip
        assert headers["content-type"].startswith(kind)
        assert (headers["content-length"], body == content) == (str(len(content)), True)


async def test_no_file_is_said_and_nothing_asked(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer)
    seal = seal_in((await client.get(FILE)).text)
    for files in ({"file": ("", b"")}, {"file": ("a.csv", b"")}):
        answer = await client.post(FILE, data={"form": seal, "reason": "Quý"}, files=files)
        assert (answer.status_code, "kiểm tra lại: tệp" in answer.text) == (409, True)
        assert 'value="Quý"' in answer.text
    assert console.neighbours.asked == []


REFUSALS = [
    (INCIDENT, f"/v1/sync/incidents/{INCIDENT_ID}/resolve", 409, "incident_resolved", "đã được người khác xử lý"),
    (REPLAY_PAGE, f"/v1/sync/retries/{REPLAY_ID}/confirm", 409, "plan_not_open", "đã được xác nhận hoặc hủy"),
    (HOLDS, "/v1/sync/hold", 403, "agency_not_permitted", "không phụ trách"),
    (REPLAYS, "/v1/sync/retries", 422, "invalid_request", "Hãy kiểm tra lại: danh sách mã hồ sơ."),
    (RECORD, f"/v1/sync/reconciliations/{RECONCILIATION_ID}/repair", 409, "not_repairable", "Không sửa được"),
    ("/console/reconciliations", "/v1/sync/reconciliations", 409, "brand_new_code", "Yêu cầu không hợp lệ"),
    (f"/console/dossiers/{CODE}", f"/v1/sync/dossiers/{CODE}/retry", 409, "nothing_to_retry",
     "Không có gì để đẩy lại"),
]  # fmt: skip


async def test_a_refusal_is_said_on_the_page_it_concerns(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer)
    for path, asked, status, code, told in REFUSALS:
        problem = {"code": code, "errors": [{"pointer": "/filter/codes/3", "message": "too long"}]}
        console.neighbours.said[asked] = (status, problem if status == 422 else {"code": code})
        answer = await sent(client, path, do={REPLAY_PAGE: "confirm", HOLDS: "hold"}.get(path, ""), reason="Lý <do>")
        assert (answer.status_code, told in answer.text) == (409, True), answer.text
        assert "Chưa thực hiện được" in answer.text
        assert "Lý <do>" not in answer.text


async def test_only_a_form_of_ours_made_for_this_operator_is_taken(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer)
    console.neighbours.said["/v1/sync/hold"] = (200, {})
    seal = seal_in((await client.get(HOLDS)).text)
    form = {"do": "hold", "destination": "dvcqg", "reason": "x"}
    foreign = await client.post(HOLDS, data={**form, "form": seal}, headers={"sec-fetch-site": "cross-site"})
    sibling = await client.post(HOLDS, data={**form, "form": seal}, headers={"sec-fetch-site": "same-site"})
    without, forged = await client.post(HOLDS, data=form), await client.post(HOLDS, data={**form, "form": "x" * 80})
    crooked = await client.post(HOLDS, content=b"--x", headers={"content-type": "multipart/form-data; boundary=x"})
    many = await client.post(HOLDS, data={f"n{number}": "x" for number in range(60)})
    assert [it.status_code for it in (foreign, sibling, without, forged)] == [403] * 4
    assert {crooked.status_code, many.status_code} <= {400, 403}
    assert "chưa có gì được thực hiện" in foreign.text
    client.headers["authorization"] = ""
    await signed_in(console, token_issuer, sub="another")
    others = await client.post(HOLDS, data={**form, "form": seal})
    assert (others.status_code, console.neighbours.asked) == (403, [])
    unknown = await sent(client, HOLDS, do="something else")
    assert (unknown.status_code, "<html" in unknown.text) == (422, True)


async def test_a_lost_answer_is_asked_for_again_under_the_same_key(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer)
    seal = seal_in((await client.get(REPLAYS)).text)
    console.neighbours.is_down = True
    lost = await client.post(REPLAYS, data={"form": seal, "state": ["failed", "parked"], "why": "Đã <sửa>"})
    assert (lost.status_code, "Gửi lại là an toàn" in lost.text) == (503, True)
    offered = re.findall(r'type="hidden" name="([a-z]+)" value="([^"]*)"', lost.text)
    fields: dict[str, list[str]] = {}
    for name, value in offered:
        fields.setdefault(name, []).append(html.unescape(value))
    assert fields == {"form": [seal], "state": ["failed", "parked"], "why": ["Đã <sửa>"]}
    console.neighbours.is_down = False
    console.neighbours.said["/v1/sync/retries"] = (201, REPLAY)
    assert (await client.post(REPLAYS, data=fields)).headers["location"] == REPLAY_PAGE
    first, second = console.neighbours.asked
    assert (first[2], first[1]["idempotency-key"]) == (second[2], second[1]["idempotency-key"])


async def test_a_file_whose_answer_is_lost_is_looked_for_before_it_is_sent_again(
    console: Console, token_issuer: TokenIssuer
) -> None:
    client = await signed_in(console, token_issuer)
    seal = seal_in((await client.get(FILE)).text)
    console.neighbours.is_down = True
    form = {"form": seal, "layout": "dvcqg", "why": "Quý"}
    lost = await client.post(FILE, data=form, files={"file": ("cong.csv", b"MaHoSo\nx")})
    assert (lost.status_code, "Hãy xem danh sách đối soát" in lost.text) == (503, True)
    assert seal not in lost.text


async def test_a_session_that_ended_says_that_nothing_was_done(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer)
    seal = seal_in((await client.get(INCIDENT)).text)
    client.cookies.clear()
    answer = await client.post(INCIDENT, data={"form": seal, "reason": "x"})
    assert (
        answer.headers["location"] == f"/console/sign-in?to=%2Fconsole%2Fsync%2Fincidents%2F{INCIDENT_ID}%3Fexpired%3D1"
    )
    client.headers["authorization"] = ""
    await signed_in(console, token_issuer)
    assert "Phiên làm việc đã hết" in (await client.get(INCIDENT, params={"expired": "1"})).text
    assert console.neighbours.asked == []


async def test_who_may_only_look_sees_no_forms(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer, scopes="sync:read dossier:read")
    for path in (
        INCIDENT,
        HOLDS,
        REPLAYS,
        REPLAY_PAGE,
        "/console/reconciliations",
        FILE,
        RECORD,
        f"/console/dossiers/{CODE}",
    ):
        page = await client.get(path)
        assert (page.status_code, 'name="form"' in page.text) == (200, False), path


async def test_garbage_in_an_address_is_an_apology(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer)
    for path in (
        "/console/sync/incidents?owner=x", "/console/sync/incidents/x", f"{RECORD}?kind=all",
        "/console/sync/replays/%00", "/console/attention?hours=0", "/console/attention?show=x",
        "/console/attention?hours=99999999999", "/console/events?state=x",
    ):  # fmt: skip
        page = await client.get(path)
        assert (page.status_code in {404, 422}, "<html" in page.text) == (True, True), page.text


async def test_progress_renews_itself_until_the_end(console: Console, token_issuer: TokenIssuer) -> None:
    client = await signed_in(console, token_issuer)
    answers = {"state": "running", "executed": 2, "outcomes": {"retried": 2, "left": 2}, "confirmed_by": "vanhanh",
               "confirmed_at": REPLAY["planned_at"]}  # fmt: skip
    console.neighbours.shown[f"/v1/sync/retries/{REPLAY_ID}"] = {**SHOWN_REPLAY, **answers}
    page = (await client.get(REPLAY_PAGE)).text
    assert "every 2s" in page
    assert "Dừng lại, không đẩy phần còn lại" in page
    assert "50 %" in page
    console.neighbours.shown[f"/v1/sync/retries/{REPLAY_ID}"] = {**SHOWN_REPLAY, **answers, "state": "done"}
    assert "every 2s" not in (await client.get(REPLAY_PAGE)).text
    repair = {"id": REPLAY_ID, "state": "running", "count": 1, "executed": 0, "approved_by": "x", "approved_at": None,
              "reason": "", "verification": None}  # fmt: skip
    record = {**RECONCILIATION, "items": [], "next_cursor": None, "repair": repair}
    console.neighbours.shown[f"/v1/sync/reconciliations/{RECONCILIATION_ID}"] = record
    moving = (await client.get(RECORD)).text
    assert "every 2s" in moving
    assert "Duyệt sửa sai lệch" not in moving
    repair["verification"] = INCIDENT_ID
    assert "every 2s" not in (await client.get(RECORD)).text
