"""How many requests a service is given at once, and who waits: no client takes the others' places.

```
request ─▶ a place is free, and its client has less than its share ─▶ under way
        └▶ otherwise it waits, clients taking turns ─▶ under way, or after `wait_seconds` 503
                  └▶ its client has as many waiting as there is room left ─▶ 429 at once
                  └▶ no room left ─▶ 503 at once
```
One client alone has at most ¾ of the places and half of the waiting room, two have a third of it each, and so on
(dynamic thresholds, Choudhury and Hahne 1998): whoever has nothing waiting finds room while there is any. What waits
here would otherwise wait in the service, where nobody takes turns.
"""

import asyncio
from collections import OrderedDict, deque

from shared.errors import Overloaded, TooManyRequests


class Crowded(Overloaded):
    """No room for anybody at the moment; nothing was sent on."""


class ShareTaken(TooManyRequests):
    """This client has as much under way as the others leave it; nothing was sent on."""

    title = "Too many requests at once"


_Turn = asyncio.Future[None]


class Room:
    """The places of one kind at one service."""

    def __init__(self, *, at_once: int, most_waiting: int, wait_seconds: float) -> None:
        """`at_once`: under way together; `most_waiting`: beyond them; `wait_seconds`: for so long at most."""
        self.under_way = 0
        self.waiting = 0
        self._at_once = at_once
        self._share = max(1, at_once * 3 // 4)
        self._most_waiting = most_waiting
        self._wait_seconds = wait_seconds
        self._inside: dict[str, int] = {}
        self._turns: OrderedDict[str, deque[_Turn]] = OrderedDict()

    def require(self, who: str) -> None:
        """Whether there is any use in coming. Raises `Crowded` or `ShareTaken`."""
        if not self._has_place(who):
            self._require_waiting(who)

    async def enter(self, who: str) -> None:
        """Have a place; `leave` gives it back. Raises `Crowded` or `ShareTaken`."""
        if self._has_place(who):
            self._take(who)
            return
        self._require_waiting(who)
        turn: _Turn = asyncio.get_running_loop().create_future()
        self._turns.setdefault(who, deque()).append(turn)
        self.waiting += 1
        try:
            async with asyncio.timeout(self._wait_seconds):
                await turn
        except BaseException as fault:
            if turn.done() and not turn.cancelled():
                self.leave(who)  # given and given up in the same moment
            else:
                self._forget(who, turn)
            if isinstance(fault, TimeoutError):
                raise Crowded(retry_after_seconds=1) from None
            raise

    def leave(self, who: str) -> None:
        """Give a place back; the next client in turn has it."""
        self.under_way -= 1
        left = self._inside[who] - 1
        if left:
            self._inside[who] = left
        else:
            del self._inside[who]
        while self.waiting and self._call_next():
            pass

    def _has_place(self, who: str) -> bool:
        return self.under_way < self._at_once and self._inside.get(who, 0) < self._share

    def _take(self, who: str) -> None:
        self.under_way += 1
        self._inside[who] = self._inside.get(who, 0) + 1

    def _require_waiting(self, who: str) -> None:
        room = self._most_waiting - self.waiting
        if room <= 0:
            raise Crowded(retry_after_seconds=1)
        mine = self._turns.get(who)
        if mine is not None and len(mine) >= room:
            raise ShareTaken(retry_after_seconds=1)

    def _call_next(self) -> bool:
        """Whether there is more to do. At most one client has its whole share, so this looks at two at most."""
        who = next(filter(self._has_place, self._turns), None)
        if who is None:
            return False
        turns = self._turns[who]
        turn = turns.popleft()
        self.waiting -= 1
        if turns:
            self._turns.move_to_end(who)
        else:
            del self._turns[who]
        if not turn.done():  # it may have given up and not yet have been told so
            self._take(who)
            turn.set_result(None)
        return True

    def _forget(self, who: str, turn: _Turn) -> None:
        turns = self._turns.get(who)
        if turns is None or turn not in turns:
            return  # its turn came when it had given up
        turns.remove(turn)
        self.waiting -= 1
        if not turns:
            del self._turns[who]
