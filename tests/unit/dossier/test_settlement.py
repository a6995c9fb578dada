"""The same events of a ministry lead to the same dossier, in whatever order and however often they come."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dossier import correcting, correction, settlement
from dossier.correction import Correction, Retimed
from dossier.deadline import Limit
from dossier.dossier import take
from dossier.handling import ProcedureTerms
from dossier.history import Entry
from dossier.record import Command, Dossier, Status, Step
from dossier.settlement import Said
from shared import strict_json
from tests.unit.dossier.test_pauses import FEES, a_filed_dossier, at, terms_of

NOW = at("12-01T09:00")
ACTIONS = ("receive", "start", "request_supplement", "stop", "resume", "finish", "issue_result", "attach_result",
           "await_personal_number", "record_personal_number")  # fmt: skip


def said(number: int, action: str, moment: datetime | None, **members: Any) -> Said:
    documents = ({"name": f"Giấy phép {number}"},) if action in ("issue_result", "attach_result") else ()
    command = Command(
        "finish" if action == "issue_result" else action, "ministry", NOW, at=moment, reason="Có lý do",
        documents=documents, may_import=True, **members,
    )  # fmt: skip
    return Said(number, command, is_result=action == "issue_result")


class Ledger:
    """A dossier with its recorded transitions, as the tables keep them."""

    def __init__(self, dossier: Dossier, terms: ProcedureTerms) -> None:
        self.dossier, self.terms = dossier, terms
        self.rows: list[dict[str, Any]] = []
        self.heard: dict[int, Said] = {}
        self.taken: set[int] = set()

    def desk(self, action: str, moment: datetime, **members: Any) -> None:
        role = "hub" if action == "settle" else "portal" if action == "supplement" else "desk"
        self._record(take(self.dossier, Command(action, role, NOW, at=moment, reason="Vì", may_import=True, **members),
                          self.terms))  # fmt: skip

    def hear(self, *events: Said) -> settlement.Settled:
        fresh = [it for it in events if it.number not in self.heard]
        self.heard |= {it.number: it for it in fresh}
        known = [it for it in self.heard.values() if it.number in self.taken]
        pool = [it for it in self.heard.values() if it.number not in self.taken]
        if settlement.is_ahead(self.dossier, pool, known):
            made = settlement.settled(self.dossier, None, pool, self.terms, NOW)
        else:
            made = settlement.settled(self.dossier, self.entries(), [*pool, *known], self.terms, NOW)
        for step in made.steps:
            self._record(step)
        self.taken = (self.taken | made.taken.keys()) - made.refused.keys()
        return made

    def entries(self) -> list[Entry]:
        return correcting.entries(self.rows)

    def _record(self, step: Step) -> None:
        self.dossier = step.after
        detail = {name: getattr(step, name) for name in ("documents", "fees", "correction", "ministry_event")}
        kept = strict_json.loads(strict_json.dumps({name: value for name, value in detail.items() if value}))
        self.rows.append({
            "version": step.after.version, "action": step.action, "at": step.at, "reason": step.reason,
            "actor": step.actor, "due_after": step.after.due_at, "detail": kept,
        })  # fmt: skip


def end(ledger: Ledger) -> Any:
    """What the dossier is, and which events have their effect; versions count what was recorded."""
    plain: dict[str, Any] = {"version": 0, "transition_version": 0, "charges": ()}
    return replace(ledger.dossier, **plain), ledger.taken


def a_ledger(days: int = 5, **changes: Any) -> Ledger:
    filed = replace(a_filed_dossier(), identity_outcome="match", **changes)
    return Ledger(filed, terms_of("extend", Limit(days, "working_days")))


@settings(max_examples=300, deadline=None)
@given(
    spoken=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(1, 30)), min_size=1, max_size=7),
    data=st.data(),
    received=st.booleans(),
)
def test_any_order_and_any_repetition_settle_to_the_same_end(
    spoken: list[tuple[str, int]], data: st.DataObject, received: bool
) -> None:
    start = a_filed_dossier().last_at
    events = [said(n, action, start + timedelta(hours=hour)) for n, (action, hour) in enumerate(spoken, 1)]

    def lived(order: list[Said]) -> Ledger:
        ledger = a_ledger()
        if received:
            ledger.desk("receive", start)
        for event in order:
            ledger.hear(event)
        return ledger

    in_time = lived(sorted(events, key=settlement._order))
    shuffled = lived([*data.draw(st.permutations(events)), *data.draw(st.lists(st.sampled_from(events), max_size=4))])
    assert end(shuffled) == end(in_time)
    again = correction.outcome(shuffled.dossier, shuffled.entries(), Correction(), shuffled.terms, NOW).after
    assert replace(again, version=0, transition_version=0) == replace(
        shuffled.dossier,
        version=0,
        transition_version=0,
    ), "the history replays to what the dossier is"


def test_what_comes_late_is_put_where_it_belongs() -> None:
    ledger, start = a_ledger(), a_filed_dossier().last_at
    ledger.hear(said(2, "finish", start + timedelta(hours=6)))
    assert ledger.taken == set()
    ledger.hear(said(1, "receive", start + timedelta(hours=1)))
    assert ledger.dossier.status is Status.PROCESSED
    made = ledger.hear(said(3, "start", start + timedelta(hours=2)))
    assert [step.action for step in made.steps] == ["correct"]
    assert [(it.action, it.ministry_event) for it in ledger.entries()] == [("receive", 1), ("start", 3), ("finish", 2)]
    assert ledger.dossier.finished_at == start + timedelta(hours=6)


def test_an_earlier_result_is_the_one_that_finishes() -> None:
    ledger, start = a_ledger(), a_filed_dossier().last_at
    ledger.desk("receive", start)
    ledger.hear(said(2, "issue_result", start + timedelta(hours=6)))
    ledger.hear(said(1, "issue_result", start + timedelta(hours=3)))
    assert ledger.dossier.finished_at == start + timedelta(hours=3)
    assert [it["name"] for it in ledger.dossier.results] == ["Giấy phép 1", "Giấy phép 2"]


def test_what_others_did_stands() -> None:
    ledger, start = a_ledger(), a_filed_dossier().last_at
    ledger.desk("receive", start)
    ledger.desk("start", start + timedelta(hours=2))
    before = ledger.dossier
    made = ledger.hear(said(1, "stop", start + timedelta(hours=1)))
    assert made.refused
    assert ledger.dossier == before, "a stop there would leave no place for the desk's start"


def test_a_time_that_people_put_right_is_no_longer_the_ministrys() -> None:
    ledger, start = a_ledger(), a_filed_dossier().last_at
    ledger.desk("receive", start)
    ledger.hear(said(1, "start", start + timedelta(hours=2)))
    put_right = Correction((Retimed(ledger.dossier.version, start + timedelta(hours=1)),))
    made = correction.outcome(ledger.dossier, ledger.entries(), put_right, ledger.terms, NOW)
    ledger._record(correction.as_step(ledger.dossier, made, NOW, {"name": "Người duyệt"}, {"reason": "Ghi nhầm"}))
    assert [it.ministry_event for it in ledger.entries()] == [None, None]


def test_money_is_asked_for_now_or_never() -> None:
    ledger, start = a_ledger(), a_filed_dossier().last_at
    ledger.desk("receive", start)
    ledger.hear(said(1, "start", start + timedelta(hours=5)))
    made = ledger.hear(said(2, "request_payment", start + timedelta(hours=1), fees=FEES))
    assert made.refused, "the past is not charged"
    ledger.hear(said(3, "request_payment", start + timedelta(hours=6), fees=FEES))
    assert ledger.dossier.status is Status.PAYMENT_REQUESTED
    ledger.hear(said(4, "finish", start + timedelta(hours=7)))
    ledger.dossier = replace(ledger.dossier, charges=tuple(replace(it, state="paid") for it in ledger.dossier.charges))
    ledger.desk("settle", start + timedelta(hours=9))
    ledger.hear()
    assert ledger.dossier.status is Status.PROCESSED
    assert ledger.dossier.finished_at == start + timedelta(hours=9), "what waited for the money passes when it is there"


def test_what_held_when_it_came_stays_where_it_stands() -> None:
    """An event without a time of its own, taken before: a late one asserted that there was none (a worker failed)."""
    ledger, start = a_ledger(), a_filed_dossier().last_at
    ledger.hear(said(1, "receive", None))
    ledger.hear(said(2, "start", start + timedelta(hours=1)))
    assert [it.ministry_event for it in ledger.entries()] == [1]
    assert 2 not in ledger.taken, "it lies before the reception, which came when it came"
