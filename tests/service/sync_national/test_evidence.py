"""Every attempt is kept for 35 days, in tables of a day each."""

from datetime import UTC, datetime, timedelta

from sync_national import evidence
from sync_national.evidence import Attempt
from tests.service.sync_national.conftest import Hub

CODE = "H08.15-260302-0001"


def an_attempt(number: int) -> Attempt:
    return Attempt(CODE, "H08.15", number, number, 0, "accepted", None, "[]", {"record": {"n": number}, "progress": []})


async def test_days_past_their_time_go_with_their_tables(hub: Hub) -> None:
    now = datetime.now(UTC)
    async with hub.system.transaction() as tx:
        for number in range(1, 31):  # more than any count would have kept
            await evidence.keep(tx, "dvcqg", now, [an_attempt(number)])
        await evidence.keep(tx, "dvcqg", now - timedelta(days=36), [an_attempt(31)])
    async with hub.system.reading() as rx:
        found = await evidence.attempts_of(rx, "dvcqg", CODE, 100)
        assert [it["number"] for it in found] == list(range(31, 0, -1))
        assert found[0]["request"] == {"record": {"n": 31}, "progress": []}
    async with hub.system.transaction() as tx:
        await evidence.forget(tx, 35)
        await evidence.forget(tx, 35)
        found = await evidence.attempts_of(tx, "dvcqg", CODE, 100)
        days = await tx.rows(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = 'attempt'::regclass ORDER BY 1"
        )
    assert [it["number"] for it in found] == list(range(30, 0, -1))
    assert len(days) == 35 + 1 + 7
    assert days[-1]["relname"] == f"attempt_{now + timedelta(days=7):%Y%m%d}"
