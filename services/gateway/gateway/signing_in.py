"""Operators signing in: one form, one password, one generic answer.

The form carries a token bound to a cookie of the same browser and to the very request it was made for, so that no
other site can post it (login CSRF). Tries are counted per name and per address in this process.
"""

import asyncio
import hmac
import secrets
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from hashlib import sha256

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from gateway import store_clients
from gateway.store_clients import Operator
from shared.db import Reading
from shared.errors import Forbidden, TooManyRequests, Unauthenticated

FORM_SECONDS = 900
_HASHES_AT_ONCE = 2
"""Argon2 takes 64 MiB each."""
_MOST_NAMES = 10_000

_hasher = PasswordHash((Argon2Hasher(),))
_nobodys = _hasher.hash(secrets.token_hex(16))
"""Checked when there is no such operator, so that both cases take as long."""


class WrongPassword(Unauthenticated):
    """The name or the password is wrong; which of them is not said."""

    code, title = "wrong_password", "Tên đăng nhập hoặc mật khẩu không đúng"


class StaleForm(Forbidden):
    """The form is too old, or was not made for this browser and request."""

    code, title = "stale_form", "Biểu mẫu đăng nhập đã hết hạn"


def hashed(password: str) -> str:
    """Argon2id of a password."""
    return _hasher.hash(password)


@dataclass(frozen=True, slots=True)
class Forms:
    """Makes and checks the form's token."""

    key: bytes

    def token(self, cookie: str, request: str) -> str:
        """A token for this browser (`cookie`) and this authorization request."""
        made_at = str(int(time.time()))
        return f"{made_at}.{self._seal(made_at, cookie, request)}"

    def check(self, token: str, cookie: str, request: str) -> None:
        """Raises `StaleForm`."""
        made_at, _, seal = token.partition(".")
        fits = hmac.compare_digest(seal.encode(), self._seal(made_at, cookie, request).encode())
        if not fits or not cookie or not made_at.isdigit() or int(made_at) < time.time() - FORM_SECONDS:
            raise StaleForm

    def _seal(self, made_at: str, cookie: str, request: str) -> str:
        return hmac.new(self.key, "\n".join((made_at, cookie, request)).encode(), sha256).hexdigest()


class Tries:
    """Failed tries within a window, per name and per address."""

    def __init__(self, most: int, window_seconds: float) -> None:
        self._most = most
        self._window_seconds = window_seconds
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, *keys: str) -> None:
        """Raises `TooManyRequests` when one of the keys has failed too often."""
        now = time.monotonic()
        for key in keys:
            times = self._failed.get(key)
            while times and times[0] < now - self._window_seconds:
                times.popleft()
            if times and len(times) >= self._most:
                wait_seconds = int(times[0] + self._window_seconds - now) + 1
                raise TooManyRequests(retry_after_seconds=wait_seconds)

    def failed(self, *keys: str) -> None:
        """Count a failure."""
        for key in keys:
            self._failed.setdefault(key, deque(maxlen=self._most)).append(time.monotonic())
            self._failed.move_to_end(key)
        while len(self._failed) > _MOST_NAMES:
            self._failed.popitem(last=False)

    def forget(self, key: str) -> None:
        """A success ends the count of a name."""
        self._failed.pop(key, None)


class SignIn:
    """Checks passwords, a few at a time, off the event loop."""

    def __init__(self, key: bytes, *, tries: int, window_seconds: float) -> None:
        self.forms = Forms(key)
        self._by_name = Tries(tries, window_seconds)
        # Many operators sit behind one address.
        self._by_address = Tries(tries * 20, window_seconds)
        self._hashing = asyncio.Semaphore(_HASHES_AT_ONCE)

    async def operator(self, rx: Reading, username: str, password: str, address: str) -> Operator:
        """Who this is. Raises `WrongPassword` or `TooManyRequests`."""
        self._by_name.check(username)
        self._by_address.check(address)
        found = await store_clients.operator(rx, username) if username.isprintable() else None
        async with self._hashing:
            right = await asyncio.to_thread(_matches, password, found.password_hash if found else _nobodys)
        if found is None or not right:
            self._by_name.failed(username)
            self._by_address.failed(address)
            raise WrongPassword
        self._by_name.forget(username)
        return found


def _matches(password: str, password_hash: str) -> bool:
    return _hasher.verify(password, password_hash)
