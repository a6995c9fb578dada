"""Chromium with its ears open, in front of the session's stack. It is Debian's (`make setup`
installs it); a test fails for any message on its console and any violation of the pages' security policy.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
# As root without a sandbox of its own; quiet, since nothing outside this machine may be asked for.
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window; gone before asynchronous tests run: its loop would be theirs."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, headless=True)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a fresh profile; whatever it complains about fails the test."""
    context = browser.new_context(viewport={"width": 1360, "height": 900}, locale="vi-VN")
    page = context.new_page()
    complaints: list[str] = []
    # A violation of the content security policy is reported on the console, as an error.
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url} {request.failure}"))
    yield page
    # The live part may be asking when the page is left; a refused form (409) is told on the page itself.
    expected = ("ERR_ABORTED", "status of 409")
    assert [text for text in complaints if not any(it in text for it in expected)] == []
    context.close()
