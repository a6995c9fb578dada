"""Any life: actions, payments and time in any order; what must hold after every step."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dossier import fact, history, verdict
from dossier.charge import Payment
from dossier.deadline import Limit, SupplementPolicy, Unit, working_time_between
from dossier.dossier import LIFE, possible, take
from dossier.handling import ProcedureTerms
from dossier.history import Entry
from dossier.record import Command, Dossier, Step
from dossier.working_calendar import vietnam
from shared.errors import HubError
from tests.unit.dossier.test_pauses import FEES, a_filed_dossier, terms_of

CALENDAR = vietnam()
FINAL = frozenset({3, 7, 10})
units: st.SearchStrategy[Unit] = st.sampled_from(["hours", "working_days", "calendar_days"])
policies: st.SearchStrategy[SupplementPolicy] = st.sampled_from(["extend", "restart"])


class Life(RuleBasedStateMachine):
    """One dossier; `entries` is what its history keeps."""

    dossier: Dossier
    terms: ProcedureTerms

    @initialize(value=st.integers(1, 30), unit=units, policy=policies)
    def file(self, value: int, unit: Unit, policy: SupplementPolicy) -> None:
        self.terms = terms_of(policy, Limit(value, unit))
        self.policy = policy
        self.dossier = a_filed_dossier()
        self.now = self.dossier.last_at
        self.entries: list[Entry] = []

    @rule(hours=st.integers(1, 200))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(action=st.sampled_from(sorted(LIFE)), hours=st.integers(1, 72))
    def act(self, action: str, hours: int) -> None:
        self.now += timedelta(hours=hours)
        asked = Command(action, "hub" if action == "settle" else "desk", self.now, reason="Có lý do")
        if action == "request_payment":
            asked = replace(asked, fees=FEES)
        elif action == "request_supplement":
            asked = replace(asked, legal_exception="NĐ 61/2018")
        elif action == "extend" and self.dossier.due_at is not None:
            asked = replace(asked, new_due_at=self.dossier.due_at + timedelta(days=10), apology={"name": "Thư xin lỗi"})
        elif action == "apologise":
            asked = replace(asked, new_due_at=self.now + timedelta(days=5), apology={"name": "Thư xin lỗi"})
        elif action == "attach_result":
            asked = replace(asked, documents=({"name": "Giấy phép"},))
        try:
            step = take(self.dossier, asked, self.terms)
        except HubError:
            return
        self._follow(step, asked)

    @rule(number=st.integers(1, 3))
    def pay(self, number: int) -> None:
        payment = Payment(f"p{number}", 50_000, "counter", self.now)
        for step in fact.payment_recorded(self.dossier, payment, self.terms):
            self._follow(step)

    def _follow(self, step: Step, asked: Command | None = None) -> None:
        before, after = self.dossier, step.after
        assert after.version == before.version + 1
        assert before.status not in FINAL or after.status == before.status
        assert after.due_at is None or before.due_at is None or after.due_at >= before.due_at
        assert step.is_transition or (after.status, after.due_at) == (before.status, before.due_at)
        if step.is_transition:
            new_due_at = None if asked is None else asked.new_due_at
            letter = None if asked is None else asked.apology
            self.entries.append(
                Entry(after.version, step.action, step.at, step.reason, step.actor, new_due_at, step.documents,
                      step.fees, step.attachments, step.legal_exception, apology=letter)
            )  # fmt: skip
        self.dossier = after

    @invariant()
    def used_time_is_the_working_time_outside_pauses(self) -> None:
        start = self.terms.started(self.dossier)
        if start is None:
            return
        ended = self.dossier.finished_at or (self.dossier.last_at if self.dossier.status == 7 else self.now)
        running, since = timedelta(0), start
        for pause in self.dossier.pauses:
            if pause.began_at > since:
                running += working_time_between(CALENDAR, since, min(pause.began_at, ended))
            since = max(since, pause.ended_at or ended)
        if ended > since:
            running += working_time_between(CALENDAR, since, ended)
        assert self.terms.used(self.dossier, self.now) == running

    @invariant()
    def the_line_has_no_gap_and_counts_what_was_used(self) -> None:
        line = self.terms.line(self.dossier, self.now)
        if line is None:
            assert self.dossier.received_at is None
            return
        for one, following in pairwise(line.parts):
            assert one.ended_at == following.began_at
        assert sum((it.length for it in line.parts), timedelta()) == line.length
        used = sum((it.length for it in line.parts if it.counts_here), timedelta())
        assert used == self.terms.used(self.dossier, self.now)
        left = self.terms.left(self.dossier, self.now)
        if line.parts and left is not None and left >= timedelta():
            assert line.due == line.length + left

    @invariant()
    def what_is_possible_is_taken_and_what_is_blocked_is_refused_so(self) -> None:
        for arrow, blocked_by in possible(self.dossier, self.now):
            soon = max(self.now, self.dossier.due_at or self.now) + timedelta(days=1)
            name = arrow.action
            asked = Command(
                name, min(arrow.roles), self.now, reason="Có lý do", fees=FEES if name == "request_payment" else (),
                documents=({"name": "Giấy phép"},) if name in ("finish", "attach_result") else (),
                new_due_at=soon if name in ("extend", "apologise") else None,
            )  # fmt: skip
            try:
                take(self.dossier, asked, self.terms)
                refused = None
            except HubError as refusal:
                refused = refusal.code
            assert refused == blocked_by, name

    @invariant()
    def a_clock_stands_exactly_where_the_life_waits(self) -> None:
        paused = self.dossier.paused
        if self.dossier.status in (5, 6, 8):
            assert paused is not None
        elif paused is not None:
            assert (paused.kind, int(self.dossier.status) in (2, 4)) == ("personal_number", True)

    @invariant()
    def verdicts_follow_from_the_history_alone(self) -> None:
        if not self.entries:
            return
        again = history.replay(self.dossier, self.entries, self.terms)[-1]
        assert replace(again, version=self.dossier.version) == self.dossier
        assert verdict.verdicts(again, self.now) == verdict.verdicts(self.dossier, self.now)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
