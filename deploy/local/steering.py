"""Stopping and starting one program of a running stack: two small files that its supervisor looks at.

```
held/<name>        as long as it stands, the program is not started again
next/<name>.json   settings of its next start only: gone once it has been read
```
"""

import contextlib
import signal
import time
from collections.abc import Mapping

from deploy.local import process
from deploy.local.layout import Layout, read_json, write_json
from deploy.local.problem import StackError

# PostgreSQL takes SIGTERM as "when the last client has gone".
ORDERLY = {"postgres": signal.SIGINT}
STOP_SECONDS = 40.0
START_SECONDS = 60.0


def stop(layout: Layout, name: str, how: signal.Signals | None = None) -> None:
    """End the program (its own orderly signal by default) and keep it down."""
    layout.held(name).touch()
    running = process.recall(layout.pid_file(name))
    if running is not None:
        process.end([running], how or ORDERLY.get(name, signal.SIGTERM), STOP_SECONDS)


def start(layout: Layout, name: str, settings: Mapping[str, str] | None = None) -> None:
    """Let the program run again, this once with these settings on top; returns when it answers."""
    if settings:
        write_json(layout.next_start(name), dict(settings))
    layout.held(name).unlink(missing_ok=True)
    deadline = time.monotonic() + START_SECONDS
    while not is_up(layout, name):
        if time.monotonic() > deadline:
            raise StackError(f"{name} did not start within {START_SECONDS:.0f} s: see {layout.log(name)}.")
        time.sleep(0.05)


def is_up(layout: Layout, name: str) -> bool:
    """Whether the supervisor has found the running process to answer."""
    told = ((read_json(layout.state) or {}).get("programs") or {}).get(name) or {}
    running = process.recall(layout.pid_file(name))
    return running is not None and told.get("state") == "up" and told.get("pid") == running.pid


def take_next(layout: Layout, name: str) -> dict[str, str]:
    """The settings meant for this start alone."""
    given = read_json(layout.next_start(name)) or {}
    with contextlib.suppress(FileNotFoundError):
        layout.next_start(name).unlink()
    return {str(setting): str(value) for setting, value in given.items()}


def forget(layout: Layout) -> None:
    """A new supervisor holds nothing down."""
    for folder in (layout.held("x").parent, layout.next_start("x").parent):
        for path in folder.glob("*"):
            path.unlink()
