"""Rows 10 and 12: whatever the platform tells, in whatever order, how often and how late, the end is the same.

Without refunds, which are refused for now. A history is made of CONFIRMs over HTTP, answers to QUERY, the link that
INIT brought, expiry, and days that pass; every message may come again at any later time.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from payment import charging
from payment.charge import Notice
from payment.store import NewCharge, create_charges
from shared.events import new_id
from tests.service.payment.conftest import AT, CODE, FEES, Till, TillMaker, a_confirm

RIGHT_VND, OTHER_VND = 50_000, 40_000
TRANSACTIONS = st.sampled_from(["GD1", "GD2", "GD3"])
AMOUNTS = {"GD1": RIGHT_VND, "GD2": RIGHT_VND, "GD3": OTHER_VND}
"""The second is paid again by mistake, the third pays another amount."""


class Histories(RuleBasedStateMachine):
    """Each history is of one charge on the same till; its calls run in the test's own loop."""

    till: ClassVar[Till]
    loop: ClassVar[asyncio.AbstractEventLoop]

    def __init__(self) -> None:
        super().__init__()
        self.reference, self.money, self.is_over = f"dvc{new_id()}", {}, False  # type: ignore[var-annotated]
        self.id = self._do(self._requested())

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    async def _requested(self) -> str:
        code = f"H08.15-230301-{new_id()[-6:]}"
        new = NewCharge(new_id(), code, "H08.15", self.reference, 3, FEES, RIGHT_VND, AT)  # type: ignore[arg-type]
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

    @rule(days=st.integers(1, 400))
    def days_pass(self, days: int) -> None:
        """Everything known is older now; a genuine callback has no window (row 12)."""

        async def older() -> None:
            async with self.till.system.transaction() as tx:
                for table, key in (("charge", "id"), ("notice", "reference")):
                    await tx.execute(
                        f"UPDATE {table} SET recorded_at = recorded_at - make_interval(days => :days) "
                        f"WHERE {key} = :key",
                        days=days,
                        key=self.id if key == "id" else self.reference,
                    )

        self._do(older())

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
    few = settings(max_examples=20, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck))
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=few)


async def test_a_callback_recorded_months_ago_is_answered_and_has_no_effect(a_till: TillMaker) -> None:
    """Row 12: deduplicated by reference and transaction for ever; nothing about it is older than the answer."""
    till = await a_till()
    await till.request(CODE)
    await till.wait_for("payment.link_ready")
    body = await till.confirm()
    first = await till.callback(body)
    for days in (0, 1, 100, 1000):
        async with till.system.transaction() as tx:
            await tx.execute("UPDATE notice SET recorded_at = recorded_at - make_interval(days => :days)", days=days)
        again = await till.callback(body)
        assert (again.status_code, again.content) == (200, first.content)
    assert len(await till.told("payment.completed")) == 1
    assert len(await till.rows("SELECT id FROM ledger")) == 1
