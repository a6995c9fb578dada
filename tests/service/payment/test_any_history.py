"""Rows 10 and 12: whatever the platform tells, in whatever order, how often and how late, the end is the same.

Without refunds, which are refused for now. A history is made of CONFIRMs over HTTP, answers to QUERY, the link that
INIT brought, expiry, and days that pass; every message may come again at any later time.
"""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, ClassVar, cast

import asyncpg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from payment import charging
from payment.charge import Line, Notice
from payment.store import Leased, NewCharge, create_charges
from shared.events import new_id
from tests.service.payment.conftest import AT, CODE, FEES, Till, TillMaker, a_confirm

RIGHT_VND, OTHER_VND = 50_000, 40_000
TRANSACTIONS = st.sampled_from(["GD1", "GD2", "GD3"])
LINES = cast("list[Line]", FEES)
AMOUNTS = {"GD1": RIGHT_VND, "GD2": RIGHT_VND, "GD3": OTHER_VND}
"""The second is paid again by mistake, the third pays another amount."""


WAITS = (timedelta(minutes=6), timedelta(hours=75, minutes=35), timedelta(days=100), timedelta(days=1000))
"""One lies outside the window of signed requests, one is how late the platform has been seen to tell (row 10)."""


async def grown_older(till: Till, reference: str, by: timedelta) -> None:
    """The charge and what was told about it were recorded so much earlier. Only the tables' owner may say so."""
    owner = await asyncpg.connect(till.urls.owner)
    try:
        for table in ("charge", "notice"):
            older = f"UPDATE {table} SET recorded_at = recorded_at - $2::interval WHERE reference = $1"
            await owner.execute(older, reference, by)
    finally:
        await owner.close()


class Histories(RuleBasedStateMachine):
    """Each history is of one charge on the same till; its calls run in the test's own loop."""

    till: ClassVar[Till]
    loop: ClassVar[asyncio.AbstractEventLoop]

    def __init__(self) -> None:
        super().__init__()
        self.code, self.reference = f"H08.15-230301-{new_id()[-6:]}", f"dvc{new_id()}"
        self.money: dict[str, int] = {}
        self.is_over = False
        self.id = self._do(self._requested())

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    async def _requested(self) -> str:
        new = NewCharge(new_id(), self.code, "H08.15", self.reference, 3, LINES, RIGHT_VND, AT)
        async with self.till.system.transaction() as tx:
            await create_charges(tx, [new])
            await tx.execute(
                "UPDATE charge SET state = 'initiated', next_attempt_at = 'infinity', next_query_at = 'infinity' "
                "WHERE id = :id",
                id=new.id,
            )
        return new.id

    @rule(transaction=TRANSACTIONS, copies=st.integers(1, 3))
    def confirmed(self, transaction: str, copies: int) -> None:
        body = a_confirm(MaThamChieu=self.reference, MaGiaoDich=transaction, SoTien=AMOUNTS[transaction])

        async def told() -> list[Any]:
            return await asyncio.gather(*(self.till.callback(body) for _ in range(copies)))

        assert {answer.status_code for answer in self._do(told())} == {200}
        self.money[transaction] = AMOUNTS[transaction]

    @rule(transaction=TRANSACTIONS)
    def declined(self, transaction: str) -> None:
        body = a_confirm(MaThamChieu=self.reference, MaGiaoDich=transaction, MaLoi="24")
        assert self._do(self.till.callback(body)).status_code == 200
        self.is_over = True

    @rule(transaction=TRANSACTIONS)
    def found_paid_by_query(self, transaction: str) -> None:
        async def told() -> None:
            amount = AMOUNTS[transaction]
            notice = Notice(self.reference, transaction, "paid", amount, "VND", AT, "query")
            async with self.till.system.transaction() as tx:
                await charging.settle(tx, notice, {})

        self._do(told())
        self.money[transaction] = AMOUNTS[transaction]

    @rule()
    def expired(self) -> None:
        async def late() -> None:
            async with self.till.system.transaction() as tx:
                await charging.expire(tx, self.id)

        self._do(late())
        self.is_over = True

    @rule()
    def linked(self) -> None:
        """INIT's answer, which may come after everything else."""

        async def late() -> None:
            async with self.till.system.transaction() as tx:
                leased = Leased(self.id, self.code, "H08.15", self.reference, 3, LINES, RIGHT_VND, AT, 1, 0, False)
                await charging.link(tx, [(leased, "https://pay.example/late")])

        self._do(late())

    @rule(later=st.sampled_from(WAITS))
    def time_passes(self, later: timedelta) -> None:
        """Everything known is older now; a genuine callback has no window (row 12)."""
        self._do(grown_older(self.till, self.reference, later))

    @invariant()
    def the_ledger_is_the_money_that_moved(self) -> None:
        sql = "SELECT transaction_number, amount_vnd FROM ledger WHERE charge_id = :id"
        booked = self._do(self.till.rows(sql, id=self.id))
        assert {row["transaction_number"]: row["amount_vnd"] for row in booked} == self.money
        assert len(booked) == len(self.money)

    @invariant()
    def the_state_follows_from_what_was_told(self) -> None:
        [charge] = self._do(self.till.rows("SELECT state FROM charge WHERE id = :id", id=self.id))
        if RIGHT_VND in self.money.values():
            assert charge["state"] == "paid"
        elif self.money:
            assert charge["state"] == "review"
        else:
            assert (charge["state"] in {"failed", "expired"}) == self.is_over

    @invariant()
    def it_is_completed_once_and_each_further_payment_reviewed(self) -> None:
        told = [event["type"] for event in self._do(self.till.told()) if event["payment_id"] == self.id]
        right = RIGHT_VND in self.money.values()
        assert told.count("vn.lgsp.payment.completed.v1") == right
        assert told.count("vn.lgsp.payment.review_opened.v1") == len(self.money) - right


async def test_every_history_of_a_charge_ends_as_the_ordered_one(a_till: TillMaker) -> None:
    till = await a_till()
    machine = type("AtThisTill", (Histories,), {"till": till, "loop": asyncio.get_running_loop()})
    few = settings(max_examples=12, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck))
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=few)


async def test_a_genuine_callback_recorded_minutes_days_and_years_ago_is_answered_and_has_no_effect(
    a_till: TillMaker,
) -> None:
    """Row 12: deduplicated by reference and transaction for ever; nothing about it is older than the answer."""
    till = await a_till()
    await till.request(CODE)
    await till.wait_for("payment.link_ready")
    body = await till.confirm()
    first = await till.callback(body)
    reference = (await till.charge())["reference"]
    for later in WAITS:
        await grown_older(till, reference, later)
        again = await till.callback(body)
        assert (again.status_code, again.content) == (200, first.content)
    assert len(await till.told("payment.completed")) == 1
    assert len(await till.rows("SELECT id FROM ledger")) == 1
