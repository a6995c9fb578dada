"""Sessions of the national portal (wire §1.1): a login opens one, age or use ends it."""

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass

MAX_SESSIONS = 1000


@dataclass(slots=True)
class Session:
    ends_at: float
    calls: int = 0


class Sessions:
    """Sessions live in memory: a restart of the portal ends them all, as a real one may."""

    def __init__(self, life_seconds: float) -> None:
        self._life_seconds = life_seconds
        self._open: OrderedDict[str, Session] = OrderedDict()

    def start(self) -> str:
        token = secrets.token_hex(32)
        self._open[token] = Session(time.monotonic() + self._life_seconds)
        if len(self._open) > MAX_SESSIONS:
            self._open.popitem(last=False)
        return token

    def is_valid(self, token: object, every_calls: int | None) -> bool:
        """Count a call of this session; False when it is unknown, too old, or has used up its calls."""
        session = self._open.get(token) if isinstance(token, str) else None
        if session is None:
            return False
        session.calls += 1
        if session.ends_at < time.monotonic() or (every_calls is not None and session.calls > every_calls):
            self._open.pop(str(token))
            return False
        return True

    def end(self, token: object) -> None:
        self._open.pop(str(token), None)

    def end_all(self) -> None:
        self._open.clear()
