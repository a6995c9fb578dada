"""Lines of batches, and single calls, until every one of them is accepted.

A line that a rule refuses for good ends the play with a sentence. Others are sent again under the same key:
```
request_in_progress, overloaded, 5xx          the hub is busy or was restarted
identity_pending, charge_open,                a fact is still on its way (only where the caller says so)
transition_not_allowed
```
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from sandbox.plan import PlannedDossier
from sandbox.replay_client import GaveUp, HubClient, Refused

LINES_A_REQUEST = 500
"""What the hub commits as one group."""
_TOO_EARLY = frozenset(("identity_pending", "charge_open", "transition_not_allowed"))

Accept = Callable[[PlannedDossier, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to do with one dossier."""

    dossier: PlannedDossier
    body: dict[str, Any]
    key: str


async def send(client: HubClient, path: str, lines: Sequence[Line], accept: Accept, *, may_wait: bool = False) -> None:
    """Batches of lines until all are accepted. Raises `Refused`, `GaveUp`."""
    waiting = [(line, orjson.dumps({**line.body, "idempotency_key": line.key})) for line in lines]
    patience = _Patience(client.patience_seconds)
    while waiting:
        again: list[tuple[Line, bytes]] = []
        said = ""
        for start in range(0, len(waiting), LINES_A_REQUEST):
            some = waiting[start : start + LINES_A_REQUEST]
            answers = await client.batch(path, [body for _, body in some])
            if len(answers) != len(some):
                raise Refused(f"POST {path} got {len(some)} lines and answered {len(answers)}.")
            for (line, body), answer in zip(some, answers, strict=True):
                if answer["status"] < 300:
                    accept(line.dossier, answer)
                    continue
                said = _require_repeatable(path, line, answer["status"], answer.get("problem") or {}, may_wait)
                again.append((line, body))
        await patience.wait(moved=len(again) < len(waiting), left=len(again), path=path, said=said)
        waiting = again


async def send_single(client: HubClient, path: str, line: Line, accept: Accept, *, may_wait: bool = False) -> None:
    """One call until it is accepted. Raises `Refused`, `GaveUp`."""
    patience = _Patience(client.patience_seconds)
    while True:
        answer = await client.post(path, line.body, line.key)
        if answer.status < 300:
            return accept(line.dossier, answer.json())
        said = _require_repeatable(path, line, answer.status, answer.json(), may_wait)
        await patience.wait(moved=False, left=1, path=path, said=said)


def _require_repeatable(path: str, line: Line, status: int, problem: dict[str, Any], may_wait: bool) -> str:
    code = str(problem.get("code"))
    if status >= 500 or status == 429 or code == "request_in_progress" or (may_wait and code in _TOO_EARLY):
        return code
    said = f"{status} {code}: {problem.get('detail', '')} {problem.get('errors', '')}".strip()
    raise Refused(f"POST {path} refused dossier {line.dossier.number} ({line.key}): {said}")


class _Patience:
    """Waits longer and longer while nothing moves, and gives up in the end."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._moved_at = time.monotonic()
        self._wait = 0.05

    async def wait(self, *, moved: bool, left: int, path: str, said: str) -> None:
        if not left:
            return
        if moved:
            self._moved_at, self._wait = time.monotonic(), 0.05
        elif time.monotonic() - self._moved_at > self._seconds:
            raise GaveUp(f"{left} lines of POST {path} were refused for {self._seconds:.0f} s: {said}.")
        await asyncio.sleep(self._wait)
        self._wait = min(self._wait * 1.7, 1.5)
