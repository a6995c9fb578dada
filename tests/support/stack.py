"""A whole local stack of the session's own: the one `make up` starts, on free ports, in a temporary folder."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

UP_SECONDS = 240
# Taken out of the environment like the servers' addresses: no service knows it.
GIVEN = os.environ.pop("HUB_STACK_DIR", None)


@dataclass(slots=True)
class Stack:
    """Where the stack is, who may use it, and hands to use it with: only through the gateway."""

    folder: Path
    gateway: str
    sandbox: str
    clients: dict[str, Any]
    operator: dict[str, str]
    _tokens: dict[str, str] = field(default_factory=dict)

    def headers(self, name: str) -> dict[str, str]:
        """`Authorization` of one of the local clients."""
        if name not in self._tokens:
            client = self.clients[name]
            form = {"grant_type": "client_credentials", "scope": client["scope"]}
            credentials = (client["client_id"], client["client_secret"])
            answer = httpx2.post(
                f"{self.gateway}/oauth/token", data=form, auth=credentials, trust_env=False, timeout=20
            )
            self._tokens[name] = answer.json()["access_token"]
        return {"authorization": f"Bearer {self._tokens[name]}"}

    def call(self, method: str, path: str, *, by: str | None = None, **request: Any) -> httpx2.Response:
        """One exchange through the gateway."""
        headers = (self.headers(by) if by else {}) | request.pop("headers", {})
        return httpx2.request(method, f"{self.gateway}{path}", headers=headers, trust_env=False, timeout=30, **request)

    def read(self, path: str, *, by: str = "operator", **request: Any) -> Any:
        """The JSON of a GET that must succeed."""
        answer = self.call("GET", path, by=by, **request)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def control(self, path: str, body: Any = None) -> Any:
        """The sandbox's controls."""
        method = "GET" if body is None else "POST"
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        answer = httpx2.request(
            method, f"{self.sandbox}{path}", content=content, headers=headers, trust_env=False, timeout=30
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


def eventually(found: Callable[[], Any], *, seconds: float = 60.0, why: str = "") -> Any:
    """What `found` gives once it gives something; asked again and again until then."""
    ends = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < ends, f"did not come: {why or found}"
        time.sleep(0.1)
    return value


@contextmanager
def a_stack(settings: Sequence[str] = ()) -> Iterator[Stack]:
    """Up, until the block ends. `settings`: `service:HUB_NAME=value`."""
    with tempfile.TemporaryDirectory(prefix="lgsp-stack-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        try:
            _run("up", name, "--free-ports", *(part for each in settings for part in ("--set", each)))
            yield _found(folder)
        finally:
            _run("down", name)


@contextmanager
def the_stack() -> Iterator[Stack]:
    """The one of HUB_STACK_DIR, which goes on running; or one for as long as the block lasts."""
    if GIVEN:
        yield _found(Path(GIVEN))
        return
    with a_stack(("dossier:HUB_STUCK_CHECK_SECONDS=3",)) as stack:  # a story waits for the next look
        yield stack


def _found(folder: Path) -> Stack:
    places = json.loads((folder / "stack.json").read_text())
    clients = json.loads((folder / "clients.json").read_text())
    operator = json.loads((folder / "operators.json").read_text())
    return Stack(folder, places["gateway"], places["sandbox"], clients, operator)


def _run(verb: str, folder: str, *options: str) -> None:
    # Servers of its own, whatever the caller's environment names: it makes databases under the services' names.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    command = [sys.executable, "-m", "deploy.local", verb, "--dir", folder, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=UP_SECONDS, check=False)
    if done.returncode and verb == "up":
        raise RuntimeError(f"the stack did not come up: {done.stdout[-2000:]}{done.stderr[-2000:]}")
