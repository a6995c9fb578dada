"""Events in, reports out: over the real broker, and straight into the reader's functions."""

import asyncio
import csv
import io
import itertools
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from console import consumers
from shared import events
from shared.clock import VIETNAM
from shared.db import Database
from shared.events import Event
from tests.support.tokens import TokenIssuer

from .conftest import Console

PERIOD = {"province": "H08", "from": "2023-01-01", "to": "2023-12-25"}
_numbers = itertools.count(1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=VIETNAM)


class ADossier:
    """Makes the events of one dossier's life."""

    def __init__(self, agency: str = "H08.15", channel: str = "online", **state: Any) -> None:
        self.state: dict[str, Any] = {
            "code": f"{agency}-230301-{next(_numbers):04d}",
            "agency_code": agency,
            "procedure_code": "2.000488",
            "channel": channel,
            "status_code": 1,
            "version": 0,
            "submitted_at": at("2023-03-01T08:00"),
            "received_at": None,
            "due_at": None,
            "finished_at": None,
            "returned_at": None,
            "identity_outcome": "pending",
            "payments": {"due_vnd": 0, "paid_vnd": 0},
            "digitised": False,
            "electronic_result": False,
            **state,
        }
        self.events: list[Event] = []

    @property
    def code(self) -> str:
        return str(self.state["code"])

    def then(self, noun: str, when: str, **changes: Any) -> "ADossier":
        before = self.state["status_code"]
        self.state = {**self.state, **changes, "version": self.state["version"] + 1}
        change = {
            "action": noun,
            "from_status": before,
            "to_status": self.state["status_code"],
            "at": at(when),
            "recorded_at": at(when),
        }
        kind = f"vn.lgsp.dossier.{noun}.v1"
        data = {**self.state, "change": change}
        self.events.append(events.new_event("/lgsp/dossier", kind, self.code, at(when), data, self.state["version"]))
        return self

    def received(self, when: str, due: str) -> "ADossier":
        return self.then("submitted", when).then("received", when, status_code=2, received_at=at(when), due_at=at(due))

    def finished(self, when: str, **changes: Any) -> "ADossier":
        return self.then("finished", when, status_code=9, finished_at=at(when), **changes)


def paid(dossier: ADossier, method: str, amount_vnd: int, when: str) -> Event:
    data = {
        "dossier_code": dossier.code,
        "agency_code": dossier.state["agency_code"],
        "payment_id": events.new_id(),
        "request_version": None,
        "method": method,
        "amount_vnd": amount_vnd,
        "lines": [],
        "at": at(when),
    }
    return events.new_event("/lgsp/payment", "vn.lgsp.payment.completed.v1", dossier.code, at(when), data)


def acknowledged(dossier: ADossier, version: int, progress_number: int) -> Event:
    data = {
        "dossier_code": dossier.code,
        "destination": "dvcqg",
        "version": version,
        "progress_number": progress_number,
        "at": at("2023-03-02T09:00"),
    }
    return events.new_event("/lgsp/sync", "vn.lgsp.sync.acknowledged.v1", dossier.code, at("2023-03-02T09:00"), data)


@pytest_asyncio.fixture
async def system(console: Console) -> AsyncIterator[Database]:
    database = Database(console.urls.system, pool_size=2)
    yield database
    await database.close()


async def take(system: Database, topic: str, *batch: Event) -> None:
    """Into the reader's function, as its loop calls it: one event per dossier at a time."""
    async with system.transaction() as tx:
        for event in batch:
            await consumers.TOPICS[topic](tx, [event])


async def publish(console: Console, topic: str, batch: list[Event]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=console.bootstrap)
    await producer.start()
    for event in batch:
        await producer.send(console.prefix + topic, events.encode(event), key=event.subject.encode())
    await producer.stop()


async def report(console: Console, kind: str = "agencies", **changes: str) -> dict[str, Any]:
    answer = await console.client.get(f"/v1/reports/{kind}", params={**PERIOD, **changes})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def a_year() -> tuple[list[ADossier], list[Event]]:
    """Received, resolved in time and late, withdrawn, carried over, resolved before, refused; and their payments."""
    on_time = ADossier(digitised=True).received("2023-03-01T09:00", "2023-03-15T09:00")
    on_time.then("identity_recorded", "2023-03-01T09:01", identity_outcome="match")
    on_time.finished("2023-03-15T09:00", electronic_result=True).then("returned", "2023-03-16T09:00", status_code=10)
    late = ADossier(channel="counter").received("2023-03-01T09:00", "2023-03-15T09:00").finished("2023-03-15T09:00:01")
    withdrawn = ADossier().received("2023-03-01T09:00", "2023-03-15T09:00")
    withdrawn.then("withdrawn", "2023-03-02T09:00", status_code=7)
    carried = ADossier().received("2022-12-30T09:00", "2024-01-30T09:00")
    before = ADossier().received("2022-12-01T09:00", "2022-12-20T09:00").finished("2022-12-31T16:59")
    refused = ADossier().then("submitted", "2023-03-01T09:00").then("refused", "2023-03-02T09:00", status_code=3)
    payments = [
        paid(on_time, "online", 200_000, "2023-03-01T10:00"),
        paid(on_time, "counter", 8_000, "2023-03-01T11:00"),
        paid(late, "counter", 135_000, "2023-12-25T23:59"),
        paid(late, "counter", 135_000, "2023-12-26T00:00"),
    ]
    return [on_time, late, withdrawn, carried, before, refused], payments


async def test_events_on_the_topics_become_the_two_reports(console: Console) -> None:
    dossiers, payments = a_year()
    await publish(console, "lgsp.dossier", [event for it in dossiers for event in it.events])
    await publish(console, "lgsp.payment", payments)
    await publish(console, "lgsp.sync", [acknowledged(dossiers[0], 5, 4)])
    await _until_level(console)
    document = await report(console)
    assert datetime.fromisoformat(document["as_of"]) > datetime.now(VIETNAM) - timedelta(minutes=1)
    row = {item["no"]: item for item in document["items"]}[15]
    assert row == {
        "no": 15, "agency": "Sở Tư pháp", "received_total": 4, "received_in_period": 3, "received_online": 2,
        "carried_over": 1, "resolved_total": 3, "resolved_on_time": 2, "resolved_late": 1, "in_progress_total": 1,
        "in_progress_on_time": 1, "in_progress_overdue": 0, "online_rate_pct": 66.7, "online_payment_rate_pct": 50.0,
        "population_db_use_rate_pct": 33.3, "digitised_component_rate_pct": 33.3, "electronic_result_rate_pct": 33.3,
    }  # fmt: skip
    assert [item["no"] for item in document["items"]] == [15, 16]
    assert document["total"]["received_total"] == 4
    fees = await report(console, "fees")
    assert fees["items"][0] == {
        "no": 15,
        "agency": "Sở Tư pháp",
        "online_transactions": 1,
        "online_amount_vnd": 200_000,
        "counter_transactions": 2,
        "counter_amount_vnd": 143_000,
    }


async def test_the_same_event_twice_counts_once(console: Console) -> None:
    it = ADossier().received("2023-03-01T09:00", "2023-03-15T09:00").finished("2023-03-14T09:00")
    payment = paid(it, "online", 50_000, "2023-03-01T10:00")
    await publish(console, "lgsp.dossier", it.events + it.events)
    await publish(console, "lgsp.payment", [payment, payment])
    await _until_level(console)
    assert (await report(console))["total"]["resolved_on_time"] == 1
    assert (await report(console, "fees"))["total"]["online_transactions"] == 1


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0)])
async def test_an_electronic_result_that_comes_after_the_period_does_not_count_in_it(
    console: Console, system: Database, order: tuple[int, ...]
) -> None:
    it = ADossier().received("2023-03-01T09:00", "2023-03-15T09:00").finished("2023-03-14T09:00")
    it.then("result_attached", "2023-04-02T09:00", electronic_result=True)
    it.then("payment_recorded", "2023-03-10T09:00")
    await take(system, "lgsp.dossier", *[it.events[index] for index in order])
    assert (await report(console, to="2023-03-31"))["total"]["electronic_result_rate_pct"] == 0.0
    assert (await report(console, to="2023-04-02"))["total"]["electronic_result_rate_pct"] == 100.0


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_order_of_arrival_does_not_change_the_report(
    console: Console, system: Database, order: tuple[int, ...]
) -> None:
    it = ADossier().received("2023-03-01T09:00", "2023-03-15T09:00").finished("2023-03-16T09:00")
    await take(system, "lgsp.dossier", *[it.events[index] for index in order])
    total = (await report(console))["total"]
    assert (total["received_total"], total["resolved_late"], total["in_progress_total"]) == (1, 1, 0)


async def test_resolution_known_only_from_an_older_version_still_counts(console: Console, system: Database) -> None:
    it = ADossier().received("2023-03-01T09:00", "2023-03-15T09:00").finished("2023-03-16T09:00")
    it.then("returned", "2024-01-02T09:00", status_code=10)
    await take(system, "lgsp.dossier", it.events[3], it.events[2], it.events[0], it.events[1])
    total = (await report(console))["total"]
    assert (total["resolved_late"], total["in_progress_total"]) == (1, 0)


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (0, 1, 2, 4, 3), (4, 3, 2, 1, 0)])
async def test_a_corrected_end_counts_at_its_right_time(
    console: Console, system: Database, order: tuple[int, ...]
) -> None:
    it = ADossier().received("2023-03-01T09:00", "2023-03-15T09:00").finished("2023-04-16T09:00")
    it.then("corrected", "2023-05-02T09:00", finished_at=at("2023-03-14T09:00"))
    it.then("returned", "2023-05-03T09:00", status_code=10)
    await take(system, "lgsp.dossier", *[it.events[index] for index in order])
    march = (await report(console, to="2023-03-31"))["total"]
    assert (march["resolved_on_time"], march["resolved_late"]) == (1, 0)


async def test_a_corrected_withdrawal_counts_at_its_right_time(console: Console, system: Database) -> None:
    it = ADossier().received("2023-03-01T09:00", "2023-03-15T09:00")
    it.then("withdrawn", "2023-04-16T09:00", status_code=7).then("corrected", "2023-05-02T09:00")
    it.events[-1].data["change"]["resolved_at"] = at("2023-03-14T09:00")
    it.then("payment_recorded", "2023-05-03T09:00")
    await take(system, "lgsp.dossier", *it.events)
    march = (await report(console, to="2023-03-31"))["total"]
    assert (march["resolved_on_time"], march["resolved_late"]) == (1, 0)


async def test_report_of_a_past_period_knows_the_due_time_of_then(console: Console, system: Database) -> None:
    it = ADossier().received("2023-03-01T09:00", "2023-03-15T09:00")
    it.then("extended", "2023-05-01T09:00", due_at=at("2023-06-30T09:00")).finished("2023-06-29T09:00")
    await take(system, "lgsp.dossier", *it.events)
    march = (await report(console, to="2023-03-31"))["total"]
    assert (march["in_progress_overdue"], march["resolved_total"]) == (1, 0)
    may = (await report(console, to="2023-05-31"))["total"]
    assert (may["in_progress_on_time"], may["in_progress_overdue"]) == (1, 0)
    june = (await report(console, to="2023-06-30"))["total"]
    assert (june["resolved_on_time"], june["resolved_late"]) == (1, 0)


async def test_only_the_callers_agencies_are_reported(
    console: Console, system: Database, token_issuer: TokenIssuer
) -> None:
    mine = ADossier("H08.15").received("2023-03-01T09:00", "2023-03-15T09:00")
    others = ADossier("H08.16").received("2023-03-01T09:00", "2023-03-15T09:00")
    for it in (mine, others):
        await take(system, "lgsp.dossier", *it.events)
        await take(system, "lgsp.payment", paid(it, "online", 1_000, "2023-03-01T10:00"))
    own = console.client.headers["authorization"]
    console.client.headers.update(_one_agency(console, token_issuer))
    document = await report(console)
    assert [item["agency"] for item in document["items"]] == ["Sở Tư pháp"]
    assert document["total"]["received_total"] == 1
    assert (await report(console, "fees"))["total"]["online_amount_vnd"] == 1_000
    console.client.headers["authorization"] = own
    assert (await report(console))["total"]["received_total"] == 2


async def test_agencies_of_the_ministries_count_only_when_asked_for(console: Console, system: Database) -> None:
    of_ministry, of_branch, own = ADossier("H08.90"), ADossier("H08.90.01"), ADossier("H08.15")
    for it in (of_ministry, of_branch, own):
        it.received("2023-03-01T09:00", "2023-03-15T09:00")
        await take(system, "lgsp.dossier", *it.events)
        await take(system, "lgsp.payment", paid(it, "online", 1_000, "2023-03-01T10:00"))
    totals = [(await report(console, kind, vertical=asked))["total"] for kind in ("agencies", "fees")
              for asked in ("false", "true")]  # fmt: skip
    assert [totals[0]["received_total"], totals[1]["received_total"]] == [1, 3]
    assert [totals[2]["online_amount_vnd"], totals[3]["online_amount_vnd"]] == [1_000, 3_000]
    assert "Cục Thuế tỉnh" not in [item["agency"] for item in (await report(console))["items"]]


async def test_a_province_is_asked_for_in_either_form_of_its_code(console: Console, system: Database) -> None:
    it = ADossier().received("2023-03-01T09:00", "2023-03-15T09:00")
    await take(system, "lgsp.dossier", *it.events)
    assert (await report(console, province="000.00.15.H08"))["total"]["received_total"] == 1


async def test_csv_and_xlsx_by_accept(console: Console, system: Database) -> None:
    it = ADossier().received("2023-03-01T09:00", "2023-03-15T09:00")
    await take(system, "lgsp.dossier", *it.events)
    answer = await console.client.get("/v1/reports/agencies", params=PERIOD, headers={"accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["no"] for line in lines] == ["15", "16", "Σ"]
    assert lines[0]["received_total"] == "1"
    sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    answer = await console.client.get("/v1/reports/fees", params=PERIOD, headers={"accept": f"{sheet}, */*;q=0.1"})
    assert answer.content[:2] == b"PK"
    answer = await console.client.get("/v1/reports/fees", params=PERIOD, headers={"accept": "image/png"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize(
    "changes", [{"from": "2024-01-01"}, {"to": "yesterday"}, {"province": "h08'--"}, {"to": "9999-12-31"}]
)
async def test_impossible_questions_are_refused(console: Console, changes: dict[str, str]) -> None:
    answer = await console.client.get("/v1/reports/agencies", params={**PERIOD, **changes})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_report_needs_its_scope(console: Console, token_issuer: TokenIssuer) -> None:
    headers = _one_agency(console, token_issuer, scopes=["dossier:read"])
    assert (await console.client.get("/v1/reports/fees", params=PERIOD, headers=headers)).status_code == 403
    del console.client.headers["authorization"]
    assert (await console.client.get("/v1/reports/fees", params=PERIOD)).status_code == 401


async def test_three_thousand_events_a_second_are_taken_in(console: Console, system: Database) -> None:
    lives = [ADossier().received("2023-03-01T09:00", "2023-03-15T09:00") for _ in range(500)]
    rounds = [[it.events[index] for it in lives] for index in range(2)]
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(3):
        for batch in rounds:
            async with system.transaction() as tx:
                await consumers.dossier(tx, batch)
    assert 3_000 / (loop.time() - began) > 3_000
    assert (await report(console))["total"]["received_total"] == 500


def _one_agency(console: Console, issuer: TokenIssuer, scopes: Sequence[str] = ("report:read",)) -> dict[str, str]:
    token = console.issue(issuer, role="desk", scopes=scopes, agencies=["H08.15"])
    return {"authorization": f"Bearer {token}"}


async def _until_level(console: Console) -> None:
    for _ in range(100):
        if (await report(console))["behind"] == 0:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the console does not catch up")
