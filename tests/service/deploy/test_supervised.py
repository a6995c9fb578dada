"""One program kept alive, whatever happens to it."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.local import health, steering
from deploy.local.layout import Layout, write_json
from deploy.local.ports import a_free_port
from deploy.local.problem import StackError
from deploy.local.process import Program
from deploy.local.supervised import Supervised

SERVER = """
import http.server, sys
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"{}")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Healthy).serve_forever()
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty stack's folder."""
    made = Layout(tmp_path)
    made.make()
    return made


@pytest_asyncio.fixture
async def server(layout: Layout) -> AsyncIterator[Supervised]:
    """A small web server, started and watched."""
    port = a_free_port()
    program = Program("server", [sys.executable, "-c", SERVER, str(port)], layout.folder)
    answers = partial(health.status_of, f"http://127.0.0.1:{port}", "/healthz", 1.0)

    async def is_alive() -> bool:
        return (await answers())[0] == 200

    one = Supervised("server", layout, lambda: program, is_alive, silent_seconds=1.5)
    await one.start()
    watching = asyncio.create_task(one.watch())
    yield one
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    await one.stop()
    assert one.pid is None
    assert not layout.pid_file("server").exists()


async def _back(one: Supervised, died: int) -> None:
    async with asyncio.timeout(60):
        while one.state != "up" or one.pid in (None, died):
            await asyncio.sleep(0.05)


async def test_a_killed_program_is_started_again(server: Supervised) -> None:
    for restart in (1, 2):
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await _back(server, pid)
        assert server.restarts == restart


async def test_a_program_that_no_longer_answers_is_killed_and_started_again(server: Supervised) -> None:
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    await _back(server, pid)


async def test_a_program_that_cannot_start_is_named_with_its_last_words(layout: Layout) -> None:
    program = Program("broken", [sys.executable, "-c", "raise SystemExit('no such key file')"], layout.folder)

    async def never() -> bool:
        return False

    with pytest.raises(StackError, match=r"broken did not start \(no such key file\): see .*broken\.log"):
        await Supervised("broken", layout, lambda: program, never).start()


async def test_a_stopped_program_stays_down_until_it_is_started(server: Supervised, layout: Layout) -> None:
    pid = server.pid
    assert pid is not None
    await asyncio.to_thread(steering.stop, layout, "server")
    await asyncio.sleep(0.5)
    assert (server.pid, server.state) == (None, "held")
    layout.held("server").unlink()
    await _back(server, pid)


def test_settings_of_the_next_start_are_read_once(layout: Layout) -> None:
    write_json(layout.next_start("dossier"), {"HUB_CRASH": "intake.before:2"})
    assert steering.take_next(layout, "dossier") == {"HUB_CRASH": "intake.before:2"}
    assert steering.take_next(layout, "dossier") == {}
