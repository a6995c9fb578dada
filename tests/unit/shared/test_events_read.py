"""What a reader makes of an event that a partner wrote."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared import events

SENT = datetime(2026, 3, 1, 1, 0, tzinfo=UTC)
LEAST: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/bo", "type": "t"}


def test_an_event_without_time_has_its_records() -> None:
    event = events.decode(json.dumps(LEAST).encode(), published_at=SENT)
    assert (event.time, event.data, event.subject) == (SENT, {}, "")


@pytest.mark.parametrize("sequence", ["A12", "", True, "9" * 5000])
def test_a_sequence_that_is_not_ours_is_nobodys_version(sequence: Any) -> None:
    event = events.decode(json.dumps(LEAST | {"sequence": sequence, "traceparent": 5}).encode())
    assert (event.sequence, event.traceparent) == (None, None)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+07:00", "9999-12-31T23:59:59-07:00"])
def test_a_time_that_no_database_keeps_is_malformed(time: str) -> None:
    with pytest.raises(events.MalformedEvent):
        events.decode(json.dumps(LEAST | {"time": time}).encode())
