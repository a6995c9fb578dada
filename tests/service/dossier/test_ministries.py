"""Ministries' events: their own vocabularies, kept until they can be applied, settled in any order, replayed."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dossier import consumers, handling, ministry_store, settlement, vocabulary
from dossier.record import Dossier
from dossier.settling import Ministries
from shared import clock
from shared.db import Transaction
from shared.events import Event, EventTooLarge, new_event
from tests.service.dossier.conftest import Hub
from tests.service.dossier.test_facts import DOCUMENTS, ministry, record, say, verified
from tests.support.neighbours import eventually

OPERATOR: dict[str, Any] = {"role": "operator", "agencies": ("*",), "scopes": "sync:read sync:operate dossier:read"}
MINISTRY: dict[str, Any] = {"role": "ministry", "scopes": "dossier:read event:push", "client_id": "ministry-1"}
JUSTICE, TAX = vocabulary.seeded()
STATUS_TYPE = "vn.moj.lienthong.trang-thai.v1"


def from_justice(code: str, status: Any, at: datetime | None = None, **data: Any) -> Event:
    """As the Ministry of Justice's linked software writes it (wire §1.11)."""
    said = {"maHoSo": code, "trangThai": status, "thoiGianThucHien": clock.to_wire(at or datetime.now(UTC)),
            "nguoiXuLy": "Lê Thị Cúc", "noiDungXuLy": "Đã xử lý", **data}  # fmt: skip
    event = new_event(JUSTICE.source, STATUS_TYPE, "", datetime.now(UTC), said)
    return replace(event, headers={"hub-client": "ministry-1", "hub-agencies": "H08", "hub-exchange-id": "ex-1"})


def from_tax(code: str, kind: str, **data: Any) -> Event:
    """As the tax office writes it: other names, other dates."""
    event = new_event(TAX.source, kind, code, datetime.now(UTC), data)
    return replace(event, headers={"hub-client": "tax-1", "hub-agencies": "H08"})


async def declared(hub: Hub, seeded: vocabulary.Seeded, **changes: Any) -> Any:
    body = json.loads(json.dumps(seeded.model_dump(mode="json", exclude={"source"})))
    return await hub.client.put(
        "/v1/events/vocabularies",
        params={"source": seeded.source},
        json=body | changes,
        headers=hub.headers(**OPERATOR),
    )


async def ledger(hub: Hub) -> list[tuple[str, str | None]]:
    rows = await hub.rows("SELECT state, reason FROM ministry_event ORDER BY id")
    return [(row["state"], row["reason"]) for row in rows]


async def until_ledger(hub: Hub, *states: str) -> None:
    async def reached() -> bool:
        return [state for state, _ in await ledger(hub)] == list(states)

    await eventually(reached, seconds=60)


async def step(hub: Hub) -> None:
    """What the service's worker does every second."""
    worker = next(it for it in hub.app.state.runtime.workers if it.name == "ministries")
    await worker._step()


def ministries(hub: Hub) -> Ministries:
    reader = next(it for it in hub.app.state.runtime.readers if it.topic == consumers.MINISTRY)
    found: Ministries = reader._handler.__self__._ministries
    return found


async def test_two_ministries_speak_in_their_own_words(hub: Hub) -> None:
    for seeded in (JUSTICE, TAX):
        assert (await declared(hub, seeded)).status_code == 200
    code = await hub.file(applicant={"kind": "organisation", "full_name": "Công ty An Bình"})
    await hub.act(code, "receive")
    later = datetime.now(UTC) + timedelta(minutes=1)
    await say(hub, consumers.MINISTRY, from_justice(code, 3))
    assert (await record(hub, code))["status"] == "in_process"
    local = later.astimezone(clock.VIETNAM).strftime("%d/%m/%Y %H:%M:%S")
    notice = {"MA_HSO": code, "NGAY_QUYET_DINH": local, "SO_QUYET_DINH": "12/TB-CCT",
              "LIST": [{"MA_TIEUMUC": "2801", "TEN_TIEUMUC": "Lệ phí trước bạ", "SO_TIEN": 450_000}]}  # fmt: skip
    await say(hub, consumers.MINISTRY, from_tax(code, "ThongBaoThue", **notice))
    found = await record(hub, code)
    assert (found["status"], found["payment"]["due_vnd"]) == ("payment_requested", 450_000)
    history = (await hub.get(f"/v1/dossiers/{code}/history")).json()["items"]
    assert [(it["action"], it["ministry_event"]) for it in history[-2:]] == [("start", 1), ("request_payment", 2)]
    assert history[-2]["actor"]["name"] == "Lê Thị Cúc"
    await say(hub, consumers.MINISTRY, from_justice(code, 1))
    assert await ledger(hub) == [("applied", None), ("applied", None), ("past", "says_nothing_here")]


async def test_what_is_not_understood_is_kept_and_applied_once_the_vocabulary_is_there(hub: Hub) -> None:
    code = await hub.file()
    await hub.act(code, "receive")
    await say(hub, consumers.MINISTRY, from_justice(code, 3))
    assert await ledger(hub) == [("unmapped", "unknown_type")]
    seen = (await hub.get("/v1/events/unsettled", **MINISTRY)).json()
    assert [(it["state"], it["reason"], it["count"]) for it in seen["counts"]] == [("unmapped", "unknown_type", 1)]
    assert seen["items"][0]["owner"] == "partner"
    assert "Cúc" not in str(seen), "what became of it, not what it says"
    await declared(hub, JUSTICE)
    await step(hub)
    await until_ledger(hub, "applied")
    assert (await record(hub, code))["status"] == "in_process"
    assert (await hub.get("/v1/events/unsettled", **OPERATOR)).json() == {
        "counts": [],
        "items": [],
        "next_cursor": None,
    }


async def test_an_unmapped_value_waits_for_a_version_that_has_it(hub: Hub) -> None:
    await declared(hub, JUSTICE)
    code = await hub.file()
    await hub.act(code, "receive")
    await say(hub, consumers.MINISTRY, from_justice(code, 33))
    assert await ledger(hub) == [("unmapped", "unmapped_value: /data/trangThai")]
    seen = (await hub.get("/v1/events/unsettled", **MINISTRY)).json()
    assert seen["items"][0]["dossier_code"] == code, "the dossier it names is known all the same"
    await step(hub)
    assert (await ledger(hub))[0][0] == "unmapped"
    types = json.loads(JUSTICE.model_dump_json(include={"types"}))["types"]
    types[STATUS_TYPE]["action"]["values"]["33"] = "start"
    second = await declared(hub, JUSTICE, types=types)
    assert second.json()["version"] == 2
    assert (await declared(hub, JUSTICE, types=types)).json()["version"] == 2, "the same body is the same version"
    await step(hub)
    await until_ledger(hub, "applied")
    listed = (await hub.client.get("/v1/events/vocabularies", params={"source": JUSTICE.source},
                                   headers=hub.headers(**OPERATOR))).json()["items"]  # fmt: skip
    assert [it["version"] for it in listed] == [1, 2]


async def test_a_version_holds_for_the_time_it_is_valid(hub: Hub) -> None:
    code = await hub.file()
    await hub.act(code, "receive")
    await declared(hub, JUSTICE, valid_to="2023-02-01T00:00:00+07:00")
    await say(hub, consumers.MINISTRY, from_justice(code, 3))
    assert await ledger(hub) == [("unmapped", "unknown_type")]


async def test_an_event_before_its_dossier_waits_for_it(hub: Hub) -> None:
    first = await hub.file()
    following = f"{first[:-4]}{int(first[-4:]) + 1:04d}"
    early = ministry(following, action="receive", at=(datetime.now(UTC) + timedelta(seconds=2)).isoformat())
    await say(hub, consumers.MINISTRY, early)
    assert await ledger(hub) == [("unmatched", "unknown_dossier")]
    assert await hub.file() == following
    await step(hub)
    await until_ledger(hub, "applied")
    assert (await record(hub, following))["status"] == "received"


async def test_one_that_came_before_what_the_desk_does_is_taken_up(hub: Hub) -> None:
    code = await hub.file()
    await say(hub, consumers.MINISTRY, ministry(code, action="start"))
    assert await ledger(hub) == [("refused", "transition_not_allowed")]
    await hub.act(code, "receive")
    await step(hub)
    await until_ledger(hub, "applied")
    assert (await record(hub, code))["status"] == "in_process"


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1), (0, 3, 3, 1, 0, 2)])
async def test_out_of_order_and_repeated_events_settle_to_the_same_end(hub: Hub, order: Sequence[int]) -> None:
    code = await hub.file(applicant={"kind": "organisation", "full_name": "Công ty An Bình"})
    start = datetime.now(UTC)
    events = [
        ministry(code, action=action, reason="Vì", at=(start + timedelta(minutes=n)).isoformat())
        for n, action in enumerate(("receive", "stop", "resume"))
    ]
    events.append(ministry(code, "dossier.result-issued", documents=DOCUMENTS,
                           at=(start + timedelta(minutes=4)).isoformat()))  # fmt: skip
    for index in order:
        await say(hub, consumers.MINISTRY, events[index])
    assert {state for state, _ in await ledger(hub)} == {"applied"}
    found = await record(hub, code)
    assert (found["status"], len(found["results"])) == ("processed", 1)
    assert datetime.fromisoformat(found["finished_at"]) == start + timedelta(minutes=4)
    assert datetime.fromisoformat(found["received_at"]) == start
    assert [event["sequence"] for event in await hub.events(code)] == list(range(1, found["version"] + 1))


async def test_a_replay_tries_what_is_not_applied_and_can_be_repeated(hub: Hub) -> None:
    code = await hub.file()
    received = ministry(code, action="receive", at=datetime.now(UTC).isoformat())
    await say(hub, consumers.MINISTRY, received, from_justice(code, 3))
    others = replace(ministry(code, action="fly"), headers={"hub-client": "ministry-2", "hub-agencies": "H08"})
    await say(hub, consumers.MINISTRY, others)
    body = {"client_id": "ministry-1", "since": "2020-01-01T00:00:00+07:00", "reason": "Sau khi sửa ánh xạ"}
    assert (await hub.post("/v1/events/replays", body, role="desk")).status_code == 403
    narrow = await hub.post("/v1/events/replays", body, **OPERATOR | {"agencies": ("H08",)})
    assert (narrow.status_code, narrow.json()["code"]) == (403, "agency_not_permitted")
    for expected in ({"already_applied": 1, "applied": 1}, {"already_applied": 2}):
        planned = await hub.post("/v1/events/replays", body, **OPERATOR)
        assert (planned.status_code, planned.json()["count"]) == (201, 2), planned.text
        place = planned.headers["location"]
        wrong = await hub.post(f"{place}/confirm", {"count": 3}, **OPERATOR)
        assert (wrong.status_code, wrong.json()["code"]) == (409, "count_differs")
        if "applied" in expected:
            # Declared behind the service's back: only the replay takes the event up.
            async with hub.database.transaction() as tx:
                await tx.execute("UPDATE ministry_event SET vocabulary_version = 99 WHERE state = 'unmapped'")
            await declared(hub, JUSTICE)
        assert (await hub.post(f"{place}/confirm", {"count": 2}, **OPERATOR)).status_code == 200

        async def done(place: str = place) -> Any:
            found = (await hub.get(place, **OPERATOR)).json()
            return found if found["state"] == "done" else None

        found = await eventually(done, seconds=60)
        assert (found["executed"], found["outcomes"]) == (2, expected)
        assert (await hub.post(f"{place}/cancel", {}, **OPERATOR)).status_code in (409, 422)
    assert (await record(hub, code))["version"] == 3
    assert (await hub.get("/v1/events/replays/00000000-0000-7000-8000-000000000000", **OPERATOR)).status_code == 404


async def test_a_ministry_sees_its_own_and_an_operator_what_its_agencies_cover(hub: Hub) -> None:
    code = await hub.file()
    await say(hub, consumers.MINISTRY, ministry(code, action="fly"))
    sent = {"role": "ministry", "scopes": "dossier:read"}
    for who, count in (
        (MINISTRY, 1), (sent | {"client_id": "other"}, 0), (OPERATOR, 1), (OPERATOR | {"agencies": ("H08",)}, 1),
        (OPERATOR | {"agencies": ("H09",)}, 0), ({"role": "desk"}, 0),
    ):  # fmt: skip
        assert len((await hub.get("/v1/events/unsettled", **who)).json()["items"]) == count, who


async def test_outcomes_are_for_services_only_and_name_what_is_parked(hub: Hub) -> None:
    code = await hub.file()
    event = ministry(code, action="receive")
    await say(hub, consumers.MINISTRY, event)
    question = {"events": [{"client_id": "ministry-1", "source": event.source, "id": event.id}], "dossier_code": code}
    assert (await hub.post("/internal/events/outcomes", question, **OPERATOR)).status_code == 401
    answer = await hub.client.post(
        "/internal/events/outcomes", json=question, headers=hub.issuer.internal_headers("gateway")
    )
    [item] = answer.json()["items"]
    assert (item["state"], item["version"], item["action"], item["owner"]) == ("applied", 2, "receive", None)
    assert item["applied_at"] is not None


async def test_what_is_no_name_or_no_time_is_refused(hub: Hub) -> None:
    for path in ("/v1/events/unsettled?source=%00", "/v1/events/unsettled?client_id=%00",
                 "/v1/events/vocabularies?source=%00", "/v1/events/unsettled?cursor=W10"):  # fmt: skip
        assert (await hub.get(path, **OPERATOR)).status_code == 422, path
    for since in ("0001-01-01T00:00:00+14:00", "2026-01-01T00:00:00", "9999-12-31T23:59:59-14:00"):
        body = {"client_id": "m", "since": since}
        assert (await hub.post("/v1/events/replays", body, **OPERATOR)).status_code == 422, since


async def test_wrong_vocabularies_are_refused_and_nothing_is_kept(hub: Hub) -> None:
    good = json.loads(JUSTICE.model_dump_json(include={"types"}))["types"]
    wrong: list[dict[str, Any]] = [
        {"types": {}},
        {"types": {STATUS_TYPE: good[STATUS_TYPE] | {"action": "refuse"}}},
        {"types": {STATUS_TYPE: good[STATUS_TYPE] | {"dossier_code": "maHoSo"}}},
        {"types": {STATUS_TYPE: good[STATUS_TYPE] | {"extra": 1}}},
        {"types": {STATUS_TYPE: good[STATUS_TYPE] | {"fees": {"place": "/data/x", "name": "/a", "amount_vnd": "/b"}}}},
        {"valid_from": "yesterday"},
        {"valid_to": "2020-01-01T00:00:00+07:00"},
    ]
    for changes in wrong:
        answer = await declared(hub, JUSTICE, **changes)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), changes
    assert await hub.rows("SELECT 1 FROM vocabulary") == []


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text('{"source": "/x"}')
    with pytest.raises(ValueError, match=r"wrong\.json"):
        vocabulary.seeded(tmp_path)


async def test_what_waits_for_the_identity_is_taken_up_by_it(hub: Hub) -> None:
    code = await hub.file()
    await hub.act(code, "receive")
    await say(hub, consumers.MINISTRY, ministry(code, action="finish", reason="Đủ"))
    assert await ledger(hub) == [("waiting", "identity_pending")]
    await say(hub, consumers.IDENTITY, verified(code))
    assert await ledger(hub) == [("applied", None)]


async def test_an_older_look_does_not_undo_what_another_copy_has_applied(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    await declared(hub, JUSTICE)
    code = await hub.file()
    await hub.act(code, "receive")
    await say(hub, consumers.MINISTRY, from_justice(code, 33))
    types = json.loads(JUSTICE.model_dump_json(include={"types"}))["types"]
    types[STATUS_TYPE]["action"]["values"]["33"] = "start"

    async def overtaken(tx: Transaction, codes: Sequence[str]) -> dict[str, Dossier]:
        monkeypatch.undo()
        await declared(hub, JUSTICE, types=types)
        await step(hub)
        await until_ledger(hub, "applied")
        return await handling.lock(tx, codes)

    async with hub.database.transaction() as tx:
        rows = await ministry_store.numbered(tx, [1])
        monkeypatch.setattr(handling, "lock", overtaken)
        await ministries(hub).settle(tx, rows)
    [kept] = await hub.rows("SELECT state, version FROM ministry_event")
    assert (kept["state"], kept["version"]) == ("applied", 3)
    await step(hub)
    assert (await record(hub, code))["version"] == 3


async def test_what_the_history_has_is_noted_as_applied_and_not_taken_again(hub: Hub) -> None:
    code = await hub.file()
    await say(hub, consumers.MINISTRY, ministry(code, action="receive", at=datetime.now(UTC).isoformat()))
    # As an older look of another copy left it.
    await hub.rows("UPDATE ministry_event SET state = 'refused', version = NULL, tried_version = NULL")
    await step(hub)
    await until_ledger(hub, "applied")
    assert [row["version"] for row in await hub.rows("SELECT version FROM ministry_event")] == [2]
    assert (await record(hub, code))["version"] == 2


def fail_at(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub has a bug that one dossier's events bring out."""
    real = settlement.settled

    def failing(known: Dossier, *others: Any) -> Any:
        if known.code == bad:
            raise EventTooLarge
        return real(known, *others)

    monkeypatch.setattr(settlement, "settled", failing)


async def test_an_event_at_which_the_hub_fails_holds_no_other_up(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = await hub.file(), await hub.file()
    for code in (bad, good):
        await say(hub, consumers.MINISTRY, ministry(code, action="start"))
    fail_at(bad, monkeypatch)
    for code in (bad, good):
        await hub.act(code, "receive")
    await step(hub)
    await until_ledger(hub, "refused", "applied")
    assert (await ledger(hub))[0][1] == "hub_fault: EventTooLarge"
    seen = (await hub.get("/v1/events/unsettled", **OPERATOR)).json()["items"]
    assert [(it["dossier_code"], it["owner"]) for it in seen] == [(bad, "hub")]
    # A fact comes all the same, and what follows is settled without it.
    await say(hub, consumers.IDENTITY, verified(bad))
    assert await hub.rows("SELECT 1 FROM parked") == []
    assert (await record(hub, bad))["identity"]["outcome"] == "match"
    monkeypatch.undo()
    await hub.act(bad, "extend", reason="Thêm", new_due_at=(datetime.now(UTC) + timedelta(days=90)).isoformat())
    await step(hub)
    await until_ledger(hub, "applied", "applied")


async def test_a_list_of_an_event_is_as_long_as_one_of_a_request(hub: Hub) -> None:
    line = {"code": "A", "name": "Lệ phí", "kind": "fee", "amount_vnd": 1}
    code = await hub.file()
    await say(hub, consumers.MINISTRY, ministry(code, "tax.notice-issued", lines=[line] * 101),
              ministry(await hub.file(), action="request_payment", fees=[line] * 101),
              ministry(await hub.file(), "dossier.result-issued", documents=[{"name": "Kết quả"}] * 201))  # fmt: skip
    assert {(state, reason and reason.split(":")[0]) for state, reason in await ledger(hub)} == {
        ("unmapped", "invalid_request")
    }


async def test_a_new_event_at_which_the_hub_fails_is_kept_beside_the_others(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = await hub.file(), await hub.file()
    fail_at(bad, monkeypatch)
    await say(hub, consumers.MINISTRY, ministry(bad, action="receive"), ministry(good, action="receive"))
    assert await ledger(hub) == [("refused", "hub_fault: EventTooLarge"), ("applied", None)]
    assert not await hub.rows("SELECT FROM parked"), "it can be settled later: its vocabulary or its dossier changes"
