"""Ministries' events that stand open: how often they are looked at, and when they end."""

from dataclasses import replace
from typing import Any

import pytest

from dossier import consumers, ministry_store
from shared.db import Transaction
from tests.service.dossier.conftest import Hub
from tests.service.dossier.test_facts import DOCUMENTS, ministry, say
from tests.service.dossier.test_ministries import JUSTICE, MINISTRY, declared, from_justice, ledger, ministries, step
from tests.support.neighbours import eventually


async def test_what_stands_open_for_too_long_expires_visibly_and_its_content_is_forgotten(hub: Hub) -> None:
    code = await hub.file()
    assert (await hub.act(code, "receive")).status_code == 200
    waiting = replace(ministry(code, "dossier.result-issued", documents=DOCUMENTS), id="waits")
    await say(hub, consumers.MINISTRY, from_justice("H08.15-230301-0999", 2), waiting)
    assert [state for state, _ in await ledger(hub)] == ["unmapped", "waiting"]
    await hub.rows("UPDATE ministry_event SET taken_at = now() - interval '91 days'")

    async def expired() -> bool:
        return [state for state, _ in await ledger(hub)] == ["expired", "waiting"]

    await eventually(expired, seconds=60)
    [row] = await hub.rows("SELECT value, reason FROM ministry_event WHERE state = 'expired'")
    assert (row["value"], row["reason"]) == (None, "unknown_type")
    open_ones = (await hub.get("/v1/events/unsettled", **MINISTRY)).json()
    assert ([it["id"] for it in open_ones["items"]], len(open_ones["counts"])) == (["waits"], 1)
    [shown] = (await hub.get("/v1/events/unsettled?state=expired", **MINISTRY)).json()["items"]
    assert (shown["state"], shown["reason"], shown["owner"]) == ("expired", "unknown_type", "partner")
    # Nothing can take it up again: not the vocabulary that it lacked, either.
    assert (await declared(hub, JUSTICE)).status_code in (200, 201)
    await step(hub)
    assert [state for state, _ in await ledger(hub)] == ["expired", "waiting"]


async def test_a_heap_of_open_events_is_looked_at_less_often(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ministries(hub)
    looks = 0
    ripe = ministry_store.ripe

    async def counted(tx: Transaction, limit: int) -> Any:
        nonlocal looks
        looks += 1
        return await ripe(tx, limit)

    worker = next(it for it in hub.app.state.runtime.workers if it.name == "ministries")
    await worker.stop()
    monkeypatch.setattr(ministry_store, "ripe", counted)
    for _ in range(3):
        await found.step()
    assert looks == 3
    await hub.rows(
        "INSERT INTO ministry_event (client_id, source, event_id, type, headers, value, state) "
        "SELECT 'm', '/s', n::text, 't', '{}', '{}', 'unmapped' FROM generate_series(1, 61000) n"
    )
    for _ in range(3):
        await found.step()
    assert looks == 4
