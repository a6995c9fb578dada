"""What every visit of the console needs: a dossier, the way in, and a look whether all can use the page."""

from typing import Any

import httpx2
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.support.stack import Stack

FILING: dict[str, Any] = {
    "procedure_code": "2.000488",
    "agency_code": "H08.15",
    "channel": "online",
    "applicant": {
        "kind": "citizen",
        "full_name": "Nguyễn Thị An",
        "personal_id": "052190000123",
        "date_of_birth": "1990-04-12",
    },
    "abstract": "Cấp Phiếu lý lịch tư pháp",
    "form": {},
    "attachments": [],
    "return_method": "electronic",
}


def file_and_receive(stack: Stack) -> str:
    """A dossier as the one-stop shop makes it, and its reception."""
    with httpx2.Client(base_url=stack.gateway, headers=stack.headers("desk"), trust_env=False, timeout=20) as desk:
        code = str(desk.post("/v1/dossiers", json=FILING).json()["code"])
        actor = {"name": "Trần Văn Bình", "title": "Chuyên viên", "unit": "Bộ phận Một cửa"}
        step = {"action": "receive", "reason": "Đủ thành phần", "actor": actor}
        assert desk.post(f"/v1/dossiers/{code}/transitions", json=step).status_code == 200
    return code


def sign_in(page: Page, stack: Stack) -> None:
    """From the console's address through the gateway's form and back."""
    page.goto(f"{stack.gateway}/console/sync")
    page.get_by_label("Tên đăng nhập").fill(stack.operator["username"])
    page.get_by_label("Mật khẩu").fill(stack.operator["password"])
    page.get_by_role("button", name="Đăng nhập").click()
    page.wait_for_url(f"{stack.gateway}/console/sync")


def assert_accessible(page: Page) -> None:
    """axe finds nothing."""
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
