"""The receipt check: also a broker that loses acknowledged records loses nothing.

Every few minutes the publisher asks each reader of a topic which of the events published longer ago than two minutes
it has never seen (`POST /internal/inbox/missing`), and publishes those again. A reader that is still behind says so
and is asked later; how far each reader has confirmed stands in `receipt`.
"""

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from shared.db import Database
from shared.errors import HubError, UpstreamInvalid
from shared.http import Peer
from shared.telemetry import COUNTERS, log

_BATCH = 5000
_NEXT = """
SELECT number, event_id, source, published_at < now() - make_interval(secs => :after) AS is_due
FROM outbox_published WHERE topic = :topic AND number > :number
ORDER BY number LIMIT :batch
"""
_AGAIN = """
INSERT INTO outbox (event_id, source, topic, key, value, headers)
SELECT DISTINCT ON (source, event_id) event_id, source, topic, key, value, headers
FROM outbox_published WHERE topic = :topic AND source = :source AND event_id = ANY(CAST(:ids AS text[]))
ORDER BY source, event_id, number
"""
_CONFIRM = """
INSERT INTO receipt (reader, number) VALUES (:reader, :number)
ON CONFLICT (reader) DO UPDATE SET number = excluded.number, checked_at = now()
"""


class ReceiptCheck:
    """One pass over all readers; run by a worker every few minutes. `authorization` gives the service's own token."""

    def __init__(
        self,
        database: Database,
        readers: Mapping[str, Sequence[str]],
        authorization: Callable[[], Awaitable[Mapping[str, str]]],
        after_seconds: float,
    ) -> None:
        self._database = database
        self._authorization = authorization
        self._after_seconds = after_seconds
        self._peers = {
            (topic, url): Peer(f"inbox {url}", url, deadline_seconds=20.0, concurrency=1)
            for topic, urls in readers.items()
            for url in urls
        }

    async def step(self) -> int:
        """Ask every reader about one batch; how many events were confirmed or sent again.

        One that is away or behind keeps nothing from the others. Raises when no reader could be asked any more.
        """
        done, faults = 0, []
        for (topic, url), peer in self._peers.items():
            try:
                done += await self._check(topic, url, peer)
            except HubError as fault:
                log.info("receipts_not_checked", topic=topic, reader=url, fault=fault.internal or fault.message)
                faults.append(fault)
        if faults and not done:
            raise faults[0]
        return done

    async def close(self) -> None:
        """Close the connections."""
        for peer in self._peers.values():
            await peer.close()

    async def _check(self, topic: str, url: str, peer: Peer) -> int:
        reader = f"{topic} {url}"
        cutoff_ms = int((time.time() - self._after_seconds) * 1000)
        async with self._database.reading() as rx:
            number = await rx.value("SELECT number FROM receipt WHERE reader = :reader", reader=reader) or 0
            rows = await rx.rows(_NEXT, topic=topic, number=number, after=self._after_seconds, batch=_BATCH)
        # Up to the first that is not due, and not "those that are": after the clock went back an hour, an event
        # with a time ahead stands between others, and the number confirmed may not pass it by.
        due = list(takewhile(lambda row: row["is_due"], rows))
        if not due:
            return 0
        by_source: dict[str, list[str]] = defaultdict(list)
        for row in due:
            by_source[row["source"]].append(row["event_id"])
        lost = {source: await self._ask(peer, topic, source, ids, cutoff_ms) for source, ids in by_source.items()}
        async with self._database.transaction() as tx:
            for source, ids in lost.items():
                if ids:
                    log.warning("events_lost_on_the_way", reader=reader, count=len(ids))
                    COUNTERS.receipts_missing.labels(reader).inc(len(ids))
                    tx.publishes = True
                    await tx.execute(_AGAIN, topic=topic, source=source, ids=ids)
            await tx.execute(_CONFIRM, reader=reader, number=due[-1]["number"])
        return len(due)

    async def _ask(self, peer: Peer, topic: str, source: str, ids: list[str], cutoff_ms: int) -> list[str]:
        question: dict[str, Any] = {"source": source, "ids": ids, "topic": topic, "before_ms": cutoff_ms}
        headers = await self._authorization()
        answer = await peer.send("POST", "/internal/inbox/missing", json=question, headers=headers)
        if answer.status != 200:
            raise UpstreamInvalid(internal=f"{peer.name} answered {answer.status}")
        missing: list[str] = answer.json()["missing"]
        return missing
