"""A promise that cannot fail is worthless: each is held against a hub and a nation that are right, then one thing off.

The two sides are played by objects with the methods the checker calls; events and broker have their own test
on the real servers (tests/service/sandbox_replay).
"""

import copy
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import pytest

from sandbox import plan as planning
from sandbox import plan_tables, promises
from sandbox.plan import Plan
from sandbox.plan_dates import Period
from sandbox.play import Clients, Player, final_status
from sandbox.play_times import progress
from sandbox.replay_client import Answer, Http, HubClient, Refused
from sandbox.replay_level import HubDossier
from shared.clock import to_wire

COMPARED = "/v1/sync/reconciliations/reconciliations"
DATA = Path(__file__).parents[2] / "data" / "binh_dinh_2023"


@dataclass
class Side:
    """Answers of a hub or of the sandbox's controls."""

    reports: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    async def get(self, path: str, _params: Any = None) -> Any:
        return self.reports[path]

    async def post(self, path: str, _body: Any) -> Answer:
        return Answer(201, json.dumps({"id": path.rpartition("/")[2]}).encode())

    async def items(self, path: str, params: dict[str, str] | None = None) -> AsyncIterator[dict[str, Any]]:
        agency = (params or {}).get("agency")
        for item in self.lists[path]:
            if agency is None or item["agency_code"] == agency:
                yield item


@dataclass
class World:
    """A play that went well, as every side tells it."""

    player: Player
    held: dict[str, HubDossier]
    hub: Side
    nation: Side
    refused: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def broken(self) -> set[str]:
        """The names of the promises that do not hold."""
        checked = await promises.check(
            *(self.player, self.held, cast("HubClient", self.hub), cast("Http", self.nation), None),
            refused=self.refused,
        )
        return {promise.name for promise in checked.promises if not promise.holds}


@pytest.fixture(scope="module")
def plan() -> Plan:
    period = Period(date(2023, 1, 1), date(2023, 12, 25))
    return planning.make(plan_tables.read(DATA), "H08", period, Fraction(1, 500), 1)


@pytest.fixture
def world(plan: Plan) -> World:
    player = Player(plan, cast("Clients", None), lambda _wave, _steps: None)
    hub, nation = Side(), Side()
    payments: list[dict[str, Any]] = []
    held = {}
    portal = []
    for dossier, played in zip(plan.dossiers, player.played, strict=True):
        played.code = f"{plan.agency_code(dossier.agency_no)}-230101-{dossier.number:04d}"
        played.due_at = _a_due_time(plan, dossier)
        status = final_status(dossier)
        held[played.code] = HubDossier(status, 7, played.due_at, dossier.identity, "none")
        when = player.when(dossier)
        rows = [
            {"row": {"ThoiDiemXuLy": _wire(at), "TrangThai": str(code)}, "written": 1, "sent": 1}
            for at, code in progress(dossier, when)
        ]
        record = {"TrangThaiHoSo": str(status), "NgayHenTra": _wire(played.due_at)}
        portal.append({"code": played.code, "inserted": 1, "updated": 2, "record": record, "progress": rows})
        money = [("online", *pair) for pair in zip(dossier.online_amounts, when.asked_to_pay, strict=True)]
        money += [("counter", *pair) for pair in zip(dossier.counter_amounts, when.collected, strict=True)]
        payments += [
            {
                "dossier_code": played.code,
                "agency_code": plan.agency_code(dossier.agency_no),
                "method": method,
                "state": "paid",
                "amount_vnd": amount,
                "reference": f"{played.code}-{method}-{at}",
                "at": datetime.fromtimestamp(at, UTC).isoformat(),
            }
            for method, amount, at in money
        ]
    nation.lists["/_sandbox/portal/dossiers"] = portal
    nation.lists["/_sandbox/payments"] = copy.deepcopy([each for each in payments if each["method"] == "online"])
    hub.lists["/v1/payments"] = payments
    for name, table in (("agencies", planning.agencies_table(plan)), ("fees", planning.fees_table(plan))):
        items = [{"no": int(no), **row} for no, row in table.items() if no != "total"]
        hub.reports[f"/v1/reports/{name}"] = {"items": items, "total": dict(table["total"]), "behind": 0}
    hub.reports[COMPARED] = {"state": "done", "fault": None, "compared": len(held), "equal": len(held)}
    hub.lists[COMPARED] = []
    return World(player, held, hub, nation)


def _a_due_time(plan: Plan, dossier: planning.PlannedDossier) -> int:
    if dossier.outcome == "in_progress":
        return plan.period.end + 86_400
    return max(dossier.received_at, plan.period.start) + 40_000


def _wire(seconds: int) -> str:
    return to_wire(datetime.fromtimestamp(seconds, UTC))


async def test_all_hold_when_every_side_tells_the_same(world: World) -> None:
    assert await world.broken() == set()


AGENCIES = "the agencies table is the planned one, cell by cell"
FEES = "the fees table is the planned one, cell by cell"
EXISTS = "every acknowledged dossier exists once, in its planned status"
IDENTITY = "every identity is verified as the register holds it"
RECORDS = "the portal holds every dossier with the hub's status and due time"
ROWS = "the portal holds exactly the progress rows of each dossier"
ONCE = "the portal was told of each dossier and each row once"
LEDGER = "the hub's ledger is the planned one, transaction by transaction"
PLATFORM = "the payment platform's ledger is the hub's"
SHOWN = "reconciliation: the portal shows what the hub wants"


def _portal(world: World) -> list[dict[str, Any]]:
    return world.nation.lists["/_sandbox/portal/dossiers"]


def _change_held(world: World, **members: Any) -> None:
    code = next(code for code, each in world.held.items() if each.identity == "match")
    world.held[code] = world.held[code]._replace(**members)


def _report(world: World, name: str) -> dict[str, Any]:
    report: dict[str, Any] = world.hub.reports[f"/v1/reports/{name}"]
    return report


def _online(world: World) -> dict[str, Any]:
    return next(each for each in world.hub.lists["/v1/payments"] if each["method"] == "online")


def _difference(world: World, number: int) -> dict[str, Any]:
    return {"code": world.player.played[number].code, "kinds": ["status"]}


BREAKS: dict[str, tuple[Callable[[World], Any], set[str]]] = {
    "a cell of the first report": (
        lambda w: _report(w, "agencies")["items"][4].update(resolved_late=9), {AGENCIES}),
    "a rate of the first report": (
        lambda w: _report(w, "agencies")["items"][1].update(electronic_result_rate_pct=0.0), {AGENCIES}),
    "a missing row of the first report": (lambda w: _report(w, "agencies")["items"].pop(), {AGENCIES}),
    "the total of the first report": (lambda w: _report(w, "agencies")["total"].update(received_total=1), {AGENCIES}),
    "a strange agency with dossiers": (
        lambda w: _report(w, "agencies")["items"].append({"no": 77, "received_total": 1}), {AGENCIES}),
    "a cell of the second report": (
        lambda w: _report(w, "fees")["items"][14].update(online_amount_vnd=1), {FEES}),
    "the total of the second report": (lambda w: _report(w, "fees")["total"].update(counter_transactions=0), {FEES}),
    "a dossier lost by the hub": (lambda w: w.held.pop(next(iter(w.held))), {EXISTS, RECORDS}),
    "a dossier nobody filed": (
        lambda w: w.held.update({"H08.01-230101-9999": HubDossier(2, 1, 1, "match", "none")}), {EXISTS}),
    "a status that is not the planned one": (lambda w: _change_held(w, status=8), {EXISTS, RECORDS}),
    "another due time than the one answered": (lambda w: _change_held(w, due_at=5), {EXISTS, RECORDS}),
    "an identity that is not the register's": (lambda w: _change_held(w, identity="no_information"), {IDENTITY}),
    "a code given twice": (
        lambda w: setattr(w.player.played[0], "code", w.player.played[1].code), {EXISTS, RECORDS}),
    "a dossier missing at the portal": (lambda w: _portal(w).pop(0), {RECORDS}),
    "another status at the portal": (lambda w: _portal(w)[3]["record"].update(TrangThaiHoSo="8"), {RECORDS}),
    "another due time at the portal": (lambda w: _portal(w)[3]["record"].update(NgayHenTra=""), {RECORDS}),
    "a progress row missing at the portal": (lambda w: _portal(w)[5]["progress"].pop(), {ROWS}),
    "a progress row at another second": (
        lambda w: _portal(w)[5]["progress"][0]["row"].update(ThoiDiemXuLy="20230101000000"), {ROWS}),
    "a progress row too many": (
        lambda w: _portal(w)[5]["progress"].append(copy.deepcopy(_portal(w)[6]["progress"][0])), {ROWS}),
    "a dossier inserted twice": (lambda w: _portal(w)[5].update(inserted=2), {ONCE}),
    "a progress row standing twice": (lambda w: _portal(w)[5]["progress"][0].update(written=2), {ONCE}),
    "an amount in the hub's ledger": (lambda w: _online(w).update(amount_vnd=1), {LEDGER, PLATFORM}),
    "a payment at another moment": (lambda w: _online(w).update(at="2023-02-02T00:00:00+00:00"), {LEDGER}),
    "a payment lost by the hub": (lambda w: w.hub.lists["/v1/payments"].remove(_online(w)), {LEDGER, PLATFORM}),
    "a payment counted twice": (
        lambda w: w.hub.lists["/v1/payments"].append({**_online(w), "reference": "again"}), {LEDGER, PLATFORM}),
    "a payment that is still open": (lambda w: _online(w).update(state="pending"), {LEDGER, PLATFORM}),
    "an amount at the platform": (
        lambda w: w.nation.lists["/_sandbox/payments"][0].update(amount_vnd=1), {PLATFORM}),
    "a difference that the hub finds itself": (lambda w: w.hub.lists[COMPARED].append(_difference(w, 3)), {SHOWN}),
    "a dossier that the hub does not compare": (lambda w: w.hub.reports[COMPARED].update(compared=1), {SHOWN}),
    "a payment the platform lacks": (lambda w: w.nation.lists["/_sandbox/payments"].pop(), {PLATFORM}),
}  # fmt: skip


@pytest.mark.parametrize("what", BREAKS)
async def test_one_thing_off_breaks_just_its_promises(world: World, what: str) -> None:
    break_it, promises_broken = BREAKS[what]
    break_it(world)
    broken = await world.broken()
    assert promises_broken <= broken
    if what != "a code given twice":  # the portal and the ledgers know one of the two codes no more
        assert broken == promises_broken


def _refuse(world: World, acknowledged_version: int, acknowledged_progress: int) -> dict[str, Any]:
    """The portal has refused one of its dossiers since this version and this many progress rows."""
    item = next(item for item in _portal(world) if len(item["progress"]) > 2)
    item["record"].update(TrangThaiHoSo="2")
    del item["progress"][2:]
    acknowledged = {"acknowledged_version": acknowledged_version, "acknowledged_progress": acknowledged_progress}
    world.refused[item["code"]] = acknowledged
    return item


async def test_a_refused_dossier_stays_behind_at_the_portal(world: World) -> None:
    item = _refuse(world, 2, 2)
    world.hub.lists[COMPARED].append({"code": item["code"], "kinds": ["status", "progress"]})
    assert await world.broken() == set()


async def test_an_acknowledged_row_that_a_refusing_portal_lacks_is_found(world: World) -> None:
    _refuse(world, 2, 3)
    assert await world.broken() == {ROWS}


async def test_a_row_nobody_planned_at_a_refusing_portal_is_found(world: World) -> None:
    _refuse(world, 2, 2)["progress"][0]["row"].update(ThoiDiemXuLy="20230101000000")
    assert await world.broken() == {ROWS}


async def test_an_acknowledged_dossier_that_a_refusing_portal_lacks_is_found(world: World) -> None:
    _portal(world).remove(_refuse(world, 1, 0))
    assert await world.broken() == {RECORDS}


async def test_a_comparison_that_fails_is_no_proof(world: World) -> None:
    world.hub.reports[COMPARED].update(state="failed", fault="away")
    with pytest.raises(Refused, match="away"):
        await world.broken()


async def test_a_dossier_refused_from_the_first_is_not_at_the_portal(world: World) -> None:
    _portal(world).remove(_refuse(world, 0, 0))
    assert await world.broken() == set()
