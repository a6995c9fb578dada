"""Writing the exchange log before answers leave (`proving` reads it afterwards).

```
available ──a write fails──▶ broken: its exchanges are owed, new ones get 503 before they are forwarded
broken ──connection and head are back──▶ owed ones are written ──▶ available
```
An exchange whose record could not be written is answered 503; its record says so (`status` 503, `upstream_status`
what the service had answered) and is written as soon as the database is back: nothing is silently unlogged.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from gateway.exchange import Exchange, Record, link
from gateway.store_exchanges import FAULTS, HeadMoved, Log
from shared import clock
from shared.errors import Overloaded
from shared.grouping import Grouped
from shared.telemetry import log

_GROUP = 500
_RETRY_SECONDS = 0.25


class ExchangeLogUnavailable(Overloaded):
    """Without evidence nothing is exchanged (faults.md P6)."""

    code, title = "exchange_log_unavailable", "The exchange log cannot be written at the moment"


class Recorder:
    """The exchange log of this process: one chain, one writer, commits in groups."""

    def __init__(self, url: str) -> None:
        self._log = Log(url)
        self._group: Grouped[Exchange, None] = Grouped(self._write, max_group=_GROUP)
        self._owed: list[Exchange] = []
        self._last_try: Sequence[Record] = ()
        self._mending: asyncio.Task[None] | None = None
        self.is_available = False
        self.is_sealed = True
        """Set by `sealing`: whether the log could be sealed lately."""

    async def start(self) -> None:
        """Open the log; when the database is away it is opened as soon as it is back."""
        self._group.start()
        self._mend()
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.shield(self._mending)  # type: ignore[arg-type]  # set by _mend

    async def stop(self) -> None:
        """Write what waits, then stop."""
        await self._group.stop()
        if self._mending:
            self._mending.cancel()
            with suppress(asyncio.CancelledError):
                await self._mending
        await self._log.close()

    def require(self) -> None:
        """Raises `ExchangeLogUnavailable` while records cannot be written, or not be sealed for too long."""
        if not (self.is_available and self.is_sealed):
            raise ExchangeLogUnavailable(retry_after_seconds=1)

    async def record(self, exchange: Exchange) -> None:
        """Make one exchange durable; returns after the commit. Raises `ExchangeLogUnavailable`."""
        await self._group.submit(exchange)

    async def _write(self, exchanges: Sequence[Exchange]) -> Sequence[None]:
        try:
            self.require()
            await self._append(exchanges)
        except (*FAULTS, HeadMoved, ExchangeLogUnavailable) as fault:
            self._owe(exchanges)
            self._mend()
            raise ExchangeLogUnavailable(internal=repr(fault), retry_after_seconds=1) from fault
        return [None] * len(exchanges)

    async def _append(self, exchanges: Sequence[Exchange]) -> None:
        recorded_at = clock.now()
        records: list[Record] = []
        seq, previous = self._log.seq, self._log.digest
        for exchange in exchanges:
            seq += 1
            records.append(link(self._log.chain, seq, previous, recorded_at, exchange))
            previous = records[-1].digest
        self._last_try = records
        await self._log.append(records)

    def _owe(self, exchanges: Sequence[Exchange]) -> None:
        for exchange in exchanges:
            self._owed.append(
                exchange._replace(status=503, upstream_status=exchange.upstream_status or exchange.status)
            )
            log.error("exchange_not_recorded", exchange=exchange.id, route=exchange.route, status=exchange.status)

    def _mend(self) -> None:
        self.is_available = False
        if self._mending is None or self._mending.done():
            self._mending = asyncio.create_task(self._reopen(), name="exchange log")

    async def _reopen(self) -> None:
        while True:
            try:
                await self._log.connect()
                await self._settle()
            except (*FAULTS, HeadMoved) as fault:
                log.warning("exchange_log_unavailable", fault=repr(fault), owed=len(self._owed))
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self.is_available = True
                return

    async def _settle(self) -> None:
        """Find out whether the last write was committed after all, then write what is owed."""
        head = await self._log.head()
        tried = self._last_try
        if tried and head == (tried[-1].seq, tried[-1].digest):
            self._log.seq, self._log.digest = head
            written = {record.exchange.id for record in tried}
            self._owed = [exchange for exchange in self._owed if exchange.id not in written]
        elif head != (self._log.seq, self._log.digest):
            log.error("exchange_log_head_moved", chain=self._log.chain, expected=self._log.seq)
            await self._log.open_chain()
        self._last_try = ()
        while self._owed:
            group = self._owed[:_GROUP]
            await self._append(group)
            del self._owed[: len(group)]  # more may have come to be owed meanwhile
            self._last_try = ()
