"""An operator in front of the console, in real Chromium, on the real stack."""

import time

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.browser.visiting import assert_accessible, file_and_receive, sign_in
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(300)

SYNCED_SECONDS = 60


def test_operator_watches_a_dossier_arrive_and_opens_it(page: Page, stack: Stack) -> None:
    sign_in(page, stack)
    expect(page.get_by_role("heading", level=1)).to_have_text("Đồng bộ với hệ thống quốc gia")
    assert_accessible(page)
    total = page.locator(".headline")
    before = total.inner_text()
    code = file_and_receive(stack)
    # No reload: the page asks by itself.
    expect(total).not_to_have_text(before, timeout=20_000)
    expect(page.locator(".big strong")).to_have_text("100 %", timeout=SYNCED_SECONDS * 1000)
    page.get_by_label("Mã hồ sơ").fill(code)
    page.get_by_role("button", name="Tìm").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(code)
    _until_pushed(page)
    kinds = page.locator(".hop-kind").all_inner_texts()
    assert {"Trao đổi", "Hồ sơ", "Danh tính", "Đồng bộ"} <= set(kinds)
    page.locator("details summary", has_text="Nội dung đã gửi").first.click()
    expect(page.locator("details[open] pre").first).to_contain_text("MaHoSo")
    assert_accessible(page)


def test_reports_show_what_was_received(page: Page, stack: Stack) -> None:
    code = file_and_receive(stack)
    sign_in(page, stack)
    year = f"20{code.split('-')[1][:2]}"
    for kind in ("agencies", "fees"):
        page.goto(f"{stack.gateway}/console/reports/{kind}?from={year}-01-01&to={year}-12-31&province=H08")
        expect(page.locator("tbody tr")).to_have_count(18)
        assert_accessible(page)
    page.goto(f"{stack.gateway}/console/reports/agencies?from={year}-01-01&to={year}-12-31&province=H08")
    justice = page.get_by_role("row", name="Sở Tư pháp")
    deadline = time.monotonic() + 20
    while justice.get_by_role("cell").nth(1).inner_text() == "0" and time.monotonic() < deadline:
        page.reload()
    assert int(justice.get_by_role("cell").nth(1).inner_text()) >= 1
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert "Sở Tư pháp" in download.value.path().read_text("utf-8")


def test_signing_out_ends_the_session(page: Page, stack: Stack) -> None:
    sign_in(page, stack)
    page.get_by_role("link", name="Trục tích hợp").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Bảng điều hành")
    assert_accessible(page)
    page.get_by_role("button", name="Đăng xuất").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Đã đăng xuất")
    assert_accessible(page)
    page.goto(f"{stack.gateway}/console")
    expect(page.get_by_label("Mật khẩu")).to_be_visible()


def _until_pushed(page: Page) -> None:
    deadline = time.monotonic() + SYNCED_SECONDS
    while page.locator(".kind-push").count() == 0 and time.monotonic() < deadline:
        page.wait_for_timeout(500)
        page.reload()


def test_operator_opens_the_record_of_a_reconciliation_and_prints_it(page: Page, stack: Stack) -> None:
    with httpx2.Client(
        base_url=stack.gateway, headers=stack.headers("operator"), trust_env=False, timeout=20
    ) as operator:
        begun = operator.post("/v1/sync/reconciliations", json={"from": "2026-01-01", "reason": "Đối soát quý"})
        assert begun.status_code == 201, begun.text
        ends = time.monotonic() + SYNCED_SECONDS
        while operator.get(begun.headers["location"]).json()["state"] != "done":
            assert time.monotonic() < ends, "the reconciliation's end"
            time.sleep(0.2)
    sign_in(page, stack)
    page.get_by_role("link", name="Đối soát", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Đối soát với hệ thống quốc gia")
    assert_accessible(page)
    page.get_by_role("row", name="Đối soát quý").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Biên bản đối soát với Cổng Dịch vụ công quốc gia")
    assert_accessible(page)
    signature = page.get_by_text("Lãnh đạo đơn vị")
    expect(signature).to_be_hidden()
    page.emulate_media(media="print")
    expect(signature).to_be_visible()
    expect(page.get_by_role("navigation")).to_be_hidden()
