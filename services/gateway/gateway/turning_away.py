"""Refusals for want of room, as cheap as they can be: under overload they are most of what the gateway does.

Whoever was refused a moment ago and sends on is refused by the protocol, as soon as the head of the request is there:
no task, no scope, no token to verify (measured: a third of the time, which those who are let in would wait for). What
is believed of such a caller serves to refuse it and nothing else, and only while its room is still full.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus

from prometheus_client import Counter

from gateway.room import Crowded, Room, ShareTaken
from gateway.route import Kind, Table
from shared import problems
from shared.errors import HubError
from shared.events import new_id

REFUSED = Counter("hub_refused_total", "Requests refused for want of room or quota", ["service", "status"])
_MOST_KNOWN = 1000


class TurningAway:
    """Who was refused lately, by what stood in `Authorization`."""

    def __init__(self, table: Table, rooms: Mapping[tuple[str, Kind], Room]) -> None:
        self._table = table
        self._rooms = rooms
        self._known: OrderedDict[bytes, str] = OrderedDict()

    def remember(self, authorization: bytes, who: str) -> None:
        """This caller, whose token was found good, had to be refused."""
        self._known[authorization] = who
        self._known.move_to_end(authorization)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)

    def refusal(self, method: bytes, url: bytes, headers: Iterable[tuple[bytes, bytes]]) -> list[bytes] | None:
        """Status line, headers and body for one that would be refused; None: let it be looked at."""
        if not self._known:
            return None
        who = next((self._known.get(value) for name, value in headers if name == b"authorization"), None)
        if who is None:
            return None
        try:
            route = self._table.find(method.decode("ascii"), url.partition(b"?")[0].decode("ascii")).route
            if route.access == "token":
                self._rooms[route.service, route.kind].require(who)
        except (Crowded, ShareTaken) as refused:
            count(route.service, refused.status)
            head, body = _told(refused.status)
            return [head, f"hub-exchange-id: {new_id()}\r\n\r\n".encode(), body]
        except (HubError, UnicodeDecodeError):
            return None
        return None


def count(service: str, status: int) -> None:
    """Count one refusal."""
    _counter(service, status).inc()


@lru_cache(maxsize=64)
def _counter(service: str, status: int) -> Counter:
    return REFUSED.labels(service, str(status))


@lru_cache(maxsize=2)
def _told(status: int) -> tuple[bytes, bytes]:
    """The same as the long way would say."""
    kind = ShareTaken if status == ShareTaken.status else Crowded
    answer = problems.response(kind(retry_after_seconds=1))
    lines = [f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}".encode()]
    lines += [b"%b: %b" % pair for pair in answer.raw_headers]
    return b"\r\n".join(lines) + b"\r\n", bytes(answer.body)
