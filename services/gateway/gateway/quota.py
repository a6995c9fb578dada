"""How often a client may call: GCRA, a leaky bucket that needs one number per client."""

import math
from collections import OrderedDict
from dataclasses import dataclass, field

_MOST_CLIENTS = 10_000


@dataclass(slots=True)
class Quota:
    """`per_second` calls on average, `burst` at once. Times are seconds of a monotonic clock."""

    per_second: float
    burst: int
    _due: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def take(self, who: str, now: float) -> int:
        """Take one call; 0 when it is granted, else the whole seconds to wait."""
        due = max(self._due.get(who, 0.0), now)
        ahead = due - now - (self.burst - 1) / self.per_second
        # A hair of tolerance: at large clock values the sum of steps is off by less than a microsecond.
        if ahead > 1e-6:
            return max(1, math.ceil(ahead))
        self._due[who] = due + 1 / self.per_second
        self._due.move_to_end(who)
        if len(self._due) > _MOST_CLIENTS:
            self._due.popitem(last=False)
        return 0
