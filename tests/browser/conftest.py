"""A whole local stack of this session's own, and Chromium with its ears open.

The stack is the one `make up` starts, on free ports and in a temporary folder. Chromium is Debian's (`make setup`
installs it); a test fails for any message on its console and any violation of the pages' security policy.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
# As root without a sandbox of its own; quiet, since nothing outside this machine may be asked for.
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
UP_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Stack:
    """Where the stack is, and who may use it."""

    gateway: str
    sandbox: str
    clients: dict[str, Any]
    operator: dict[str, str]

    def headers(self, name: str) -> dict[str, str]:
        """A fresh token of one of the local clients."""
        client = self.clients[name]
        form = {"grant_type": "client_credentials", "scope": client["scope"]}
        answer = httpx2.post(
            f"{self.gateway}/oauth/token",
            data=form,
            auth=(client["client_id"], client["client_secret"]),
            trust_env=False,
            timeout=10,
        )
        return {"authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The services for real."""
    with tempfile.TemporaryDirectory(prefix="lgsp-browser-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        _stack("up", name, "--free-ports")
        try:
            folder = Path(name)
            places = json.loads((folder / "stack.json").read_text())
            clients = json.loads((folder / "clients.json").read_text())
            operator = json.loads((folder / "operators.json").read_text())
            yield Stack(places["gateway"], places["sandbox"], clients, operator)
        finally:
            _stack("down", name)


def _stack(verb: str, folder: str, *options: str) -> None:
    # Servers of its own, whatever the caller's environment names: it makes databases under the services' names.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    command = [sys.executable, "-m", "deploy.local", verb, "--dir", folder, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=UP_SECONDS, check=False)
    if done.returncode and verb == "up":
        raise RuntimeError(f"the stack did not come up: {done.stdout[-2000:]}{done.stderr[-2000:]}")


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
    # The live part may be asking when the page is left.
    assert [text for text in complaints if "ERR_ABORTED" not in text] == []
    context.close()
