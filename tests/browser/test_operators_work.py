"""What an operator does in the console when the portal misbehaves, and what a supervisor reads there."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from shared import clock
from tests.browser.visiting import FILING, assert_accessible, file_and_receive, sign_in
from tests.support.stack import Stack, eventually

pytestmark = pytest.mark.timeout(300)
PATIENCE = 60_000  # ms

CLOUD_EVENT = {"content-type": "application/cloudevents+json"}
ACTOR = {"name": "Trần Văn Bình", "title": "Chuyên viên", "unit": "Bộ phận Một cửa"}


@contextmanager
def refusing(stack: Stack, codes: list[str]) -> Iterator[None]:
    """The portal refuses these dossiers while the block lasts."""
    stack.control("/_sandbox/faults", {"system": "portal", "mode": "reject_record", "rate": 1.0, "codes": codes})
    try:
        yield
    finally:
        stack.control("/_sandbox/faults", {"system": "portal", "mode": "normal"})


def in_state(stack: Stack, codes: list[str], state: str) -> None:
    """Wait until the synchronisation says so of each."""

    def all_are() -> bool:
        answers = [stack.call("GET", f"/v1/sync/dossiers/{code}", by="operator") for code in codes]
        return all(it.status_code == 200 and it.json()["state"] == state for it in answers)

    eventually(all_are, why=f"{codes} {state}")


def test_an_operator_holds_plans_releases_and_clears_an_incident(page: Page, stack: Stack) -> None:
    sign_in(page, stack)
    page.get_by_role("link", name="Tạm giữ và bảo trì").click()
    now = page.get_by_role("region", name="Cổng Dịch vụ công quốc gia")
    now.get_by_label("Lý do").fill("Cổng nâng cấp")
    now.get_by_role("button", name="Tạm giữ").click()
    try:
        expect(page.get_by_text("Đang tạm giữ", exact=True)).to_be_visible()
        assert_accessible(page)
        codes = [file_and_receive(stack) for _ in range(2)]
        in_state(stack, codes, "held")
    finally:
        page.get_by_role("button", name="Mở giữ toàn bộ").click()
    expect(page.get_by_role("button", name="Mở giữ toàn bộ")).to_have_count(0)
    expect(page.get_by_text("Lần mở giữ gần nhất")).to_be_visible()
    _plan_maintenance(page)
    in_state(stack, codes, "synced")
    with refusing(stack, codes):
        for code in codes:
            step = {"action": "start", "reason": "Đủ điều kiện", "actor": ACTOR}
            assert stack.call("POST", f"/v1/dossiers/{code}/transitions", by="desk", json=step).status_code == 200
        in_state(stack, codes, "parked")
    _retry_alone(page, stack, codes[0])
    _clear_the_incident(page, stack, codes[1])
    _plan_and_cancel(page)


def _plan_maintenance(page: Page) -> None:
    """Into the calendar, and out again."""
    begins = (clock.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    ends = (clock.now() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    calendar = page.get_by_role("region", name="Lịch bảo trì", exact=True)
    calendar.get_by_label("Từ lúc").fill(begins)
    calendar.get_by_label("Đến lúc").fill(begins)
    calendar.get_by_label("Lý do").fill("Bảo trì tháng")
    calendar.get_by_role("button", name="Ghi vào lịch").click()
    # What was written stays in the form, beside what is wrong with it.
    expect(page.get_by_role("alert")).to_contain_text("thời điểm kết thúc")
    calendar.get_by_label("Đến lúc").fill(ends)
    calendar.get_by_role("button", name="Ghi vào lịch").click()
    entry = page.get_by_role("row", name="Bảo trì tháng").first
    expect(entry).to_contain_text("Sắp tới")
    assert_accessible(page)
    entry.get_by_role("button").click()
    expect(page.get_by_role("row", name="Bảo trì tháng").first).to_contain_text("Đã hủy")


def _retry_alone(page: Page, stack: Stack, code: str) -> None:
    page.goto(f"{stack.gateway}/console/dossiers/{code}")
    page.get_by_label("Vì sao đẩy lại").fill("Cổng đã sửa")
    page.get_by_role("button", name="Đẩy lại hồ sơ này").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(code)
    in_state(stack, [code], "synced")


def _clear_the_incident(page: Page, stack: Stack, code: str) -> None:
    """Resolved with a note; the replay it offers is confirmed once, though two operators want to."""
    page.goto(f"{stack.gateway}/console/sync/incidents")
    assert_accessible(page)
    page.get_by_role("row", name="không hợp lệ").first.get_by_role("link").first.click()
    assert_accessible(page)
    page.get_by_label("Đã khắc phục thế nào").fill("Cổng đã nạp mã thủ tục")
    page.get_by_role("button", name="Đóng sự cố").click()
    confirm = page.get_by_role("button", name="Xác nhận đẩy lại")
    expect(confirm).to_be_visible()
    expect(page.get_by_role("row", name=code)).to_contain_text("Bên kết nối")
    assert_accessible(page)
    plan = page.url
    other = page.context.new_page()
    other.goto(plan)
    confirm.click()
    expect(page.get_by_text("Đã xong", exact=True)).to_be_visible(timeout=PATIENCE)
    other.get_by_role("button", name="Xác nhận đẩy lại").click()
    expect(other.get_by_role("alert")).to_contain_text("đã được xác nhận hoặc hủy")
    expect(other.get_by_text(f"Người xác nhận{stack.operator['username']}")).to_be_visible()
    other.close()
    in_state(stack, [code], "synced")


def _plan_and_cancel(page: Page) -> None:
    """A filter that nothing fits: its plan is shown, and cancelled."""
    page.get_by_role("link", name="Đẩy lại hàng loạt").click()
    page.get_by_label("Đơn vị").fill("H08.99")
    page.get_by_label("Vì sao đẩy lại").fill("Thử điều kiện lọc")
    page.get_by_role("button", name="Lập danh sách").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("0 hồ sơ")
    page.get_by_role("button", name="Hủy danh sách").click()
    expect(page.get_by_text("Đã hủy", exact=True)).to_be_visible()
    page.get_by_role("link", name="Tất cả danh sách").click()
    expect(page.get_by_role("row", name="Thử điều kiện lọc").first).to_contain_text("Đã hủy")
    assert_accessible(page)


def an_export(stack: Stack, otherwise: dict[str, str]) -> bytes:
    """What the portal holds as its export file, but for the status of these."""
    lines, cursor = ["MaHoSo,TrangThaiHoSo"], 0
    while True:
        found = stack.control(f"/_sandbox/portal/dossiers?limit=500&cursor={cursor}")
        for it in found["items"]:
            code = it["record"]["MaHoSo"]
            lines.append(f"{code},{otherwise.get(code, it['record']['TrangThaiHoSo'])}")
        cursor = found["next_cursor"]
        if not cursor:
            return "\n".join(lines).encode()


def test_an_operator_compares_with_a_file_approves_the_repair_and_sees_it_verified(page: Page, stack: Stack) -> None:
    code = file_and_receive(stack)
    in_state(stack, [code], "synced")
    sign_in(page, stack)
    page.get_by_role("link", name="Đối soát", exact=True).click()
    page.get_by_role("link", name="Đối soát bằng tệp").click()
    assert_accessible(page)
    page.get_by_label("Tệp", exact=True).set_input_files(
        {"name": "xuat-tu-cong.csv", "mimeType": "text/csv", "buffer": an_export(stack, {code: "4"})}
    )
    page.get_by_label("Lý do").fill("Cổng báo lệch")
    page.get_by_role("button", name="Gửi tệp và so sánh").click()
    # The page renews itself until the comparison is done, and again until its repair is verified.
    page.get_by_role("link", name="Khác trạng thái").click(timeout=PATIENCE)
    expect(page.get_by_role("row", name=code)).to_contain_text("trạng thái 4 (Đang xử lý)")
    assert_accessible(page)
    page.get_by_label("Lý do duyệt").fill("Cho phép sửa")
    page.get_by_role("button", name="Duyệt sửa sai lệch").click()
    page.get_by_role("link", name="kết quả kiểm tra lại").click(timeout=PATIENCE)
    expect(page.get_by_text("Hai bên khớp nhau")).to_be_visible(timeout=PATIENCE)
    page.emulate_media(media="print")
    expect(page.get_by_text("Lãnh đạo đơn vị")).to_be_visible()


def a_dossier_judged_otherwise(stack: Stack) -> str:
    """Two supplements in March, finished in time: on time here, late for the nation, and never handed over."""
    importing = {"name": "importer", "role": "desk", "agencies": ["H08"]}
    scope = "dossier:write dossier:read dossier:transition dossier:import"
    if "importer" not in stack.clients:
        made = stack.call("POST", "/v1/clients", by="bootstrap", json={**importing, "scope": scope}).json()
        stack.call("POST", f"/v1/clients/{made['client_id']}/approve", by="bootstrap")
        stack.clients["importer"] = {**made, "scope": scope}
    applicant = {"kind": "citizen", "full_name": "Nguyễn Thị An"}
    filing = {**FILING, "applicant": applicant, "submitted_at": "2026-03-02T08:00:00+07:00"}
    code = str(stack.call("POST", "/v1/dossiers", by="importer", json=filing).json()["code"])
    for action, at, more in (
        ("receive", "02T09:00", {}), ("request_supplement", "03T09:00", {}), ("supplement", "04T09:00", {}),
        ("request_supplement", "05T09:00", {"legal_exception": "Khoản 2 Điều 17"}), ("supplement", "06T09:00", {}),
        ("start", "06T10:00", {}), ("finish", "09T09:00", {}),
    ):  # fmt: skip
        step = {"action": action, "reason": "Theo quy định", "actor": ACTOR, "at": f"2026-03-{at}:00+07:00", **more}
        done = stack.call("POST", f"/v1/dossiers/{code}/transitions", by="importer", json=step)
        assert done.status_code == 200, done.text
    return code


def test_a_supervisor_reads_both_clocks_and_finds_who_needs_attention(page: Page, stack: Stack) -> None:
    code, fresh = a_dossier_judged_otherwise(stack), file_and_receive(stack)
    sign_in(page, stack)
    page.goto(f"{stack.gateway}/console/dossiers/{code}")
    local, national = page.locator("#clock-local"), page.locator("#clock-national")
    expect(local).to_contain_text("Đúng hạn")
    expect(national).to_contain_text("Quá hạn")
    expect(national).to_contain_text("Yêu cầu bổ sung quá một lần")
    expect(local.get_by_role("img")).to_have_attribute("aria-label", re.compile("Đã dùng 3 ngày làm việc, đã kết thúc"))
    expect(local.locator("rect.clock-pause")).to_have_count(2)
    page.get_by_text("Từng khoảng thời gian (5)").click()
    expect(page.get_by_role("row", name="Chờ bổ sung giấy tờ")).to_have_count(2)
    possible = page.get_by_role("list", name="Bước tiếp theo có thể thực hiện").get_by_role("listitem")
    expect(possible.filter(has_text="Trả kết quả")).to_contain_text("cán bộ một cửa")
    assert_accessible(page)
    page.get_by_role("link", name="Cần chú ý").click()
    page.get_by_role("link", name="Đánh giá khác nhau").click()
    expect(page.get_by_role("row", name=code)).to_contain_text("Quy tắc 2.1: quá hạn.")
    assert_accessible(page)
    page.goto(f"{stack.gateway}/console/attention?show=late&hours=2000&agency={fresh.split('-')[0]}")
    expect(page.get_by_role("row", name=fresh)).to_contain_text("Bắt đầu xử lý ngay")
    # The next look over all dossiers finds it.
    stuck = f"/v1/dossiers/stuck?kind=finished_not_returned&agency={code.split('-')[0]}"
    eventually(lambda: code in [it["code"] for it in stack.read(stuck)["items"]], seconds=120, why="the look")
    page.get_by_role("link", name="Đứng yên").click()
    page.get_by_role("link", name="Đã xong, chưa trả kết quả").click()
    expect(page.get_by_role("row", name=code)).to_contain_text("Trả kết quả cho người nộp.")
    assert_accessible(page)


def test_an_operator_finds_a_ministrys_event_that_nobody_understands_yet(page: Page, stack: Stack) -> None:
    """Among the others, alone with its way through the hub, and with its dossier."""
    code = file_and_receive(stack)
    source, id_ = "/bo-tu-phap/thu", f"chua-biet-{code}"
    event = {
        "specversion": "1.0", "id": id_, "source": source, "type": "vn.moj.chua-biet.v1", "subject": code,
        "time": clock.now().isoformat(), "datacontenttype": "application/json", "data": {"dossier_code": code},
    }  # fmt: skip
    pushed = stack.call("POST", "/v1/events", by="ministry", json=event, headers=CLOUD_EVENT)
    assert pushed.status_code == 202, pushed.text
    kept = f"/v1/events?source={source}&id={id_}"

    def is_unmapped() -> bool:
        answer = stack.call("GET", kept, by="operator")
        return answer.status_code == 200 and answer.json()["items"][0]["state"] == "unmapped"

    eventually(is_unmapped, why="the dossier service has taken it in")
    sign_in(page, stack)
    page.get_by_role("link", name="Bộ, ngành", exact=True).click()
    page.get_by_role("link", name="Chưa hiểu được").click()
    expect(page.get_by_role("row", name=id_)).to_contain_text("Loại sự kiện chưa có trong từ điển")
    assert_accessible(page)
    page.get_by_role("link", name=id_).click()
    expect(page.get_by_role("row", name=id_)).to_contain_text("Bổ sung từ điển")
    assert_accessible(page)
    page.get_by_role("row", name=id_).get_by_role("link", name=code).click()
    page.get_by_role("link", name="Sự kiện của bộ, ngành").click()
    expect(page.get_by_role("row", name=id_)).to_contain_text("Chưa hiểu được")
