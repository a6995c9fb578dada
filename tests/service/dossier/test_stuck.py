"""What stands still is found, counted, listed with what frees it, and gone once it moves."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio

from dossier import consumers
from shared import clock
from tests.service.dossier.conftest import Hub
from tests.service.dossier.test_facts import DOCUMENTS, ministry, say, verified
from tests.service.dossier.test_verdicts import NO_ID, a_received, act_at

OLD = datetime(2023, 3, 1, 2, 0, tzinfo=UTC)
CITIZEN = {"kind": "citizen", "full_name": "Nguyễn Thị An", "personal_id": "052190000123"}


@pytest_asyncio.fixture
async def looking(start_hub: Callable[..., Awaitable[Hub]]) -> Hub:
    """A service that looks all the time."""
    return await start_hub(stuck_check_seconds=0.1)


async def stuck(hub: Hub, query: str = "", **who: Any) -> dict[str, Any]:
    """The answer of a look that began after this call: the pause of fifty times what a look took is left out."""
    asked = clock.now()
    await hub.rows("UPDATE stuck_look SET took = interval '0'")
    async with asyncio.timeout(60):
        while True:
            answer = await hub.get(f"/v1/dossiers/stuck?{query}", **who)
            assert answer.status_code == 200, answer.text
            body: dict[str, Any] = answer.json()
            if datetime.fromisoformat(body["as_of"]) > asked:
                return body
            await asyncio.sleep(0.05)


def kinds(body: dict[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for item in body["items"]:
        found.setdefault(item["kind"], set()).add(item["code"])
    return found


async def test_each_kind_is_found_with_what_frees_it(looking: Hub) -> None:
    hub = looking
    silent = await a_received(hub, OLD)
    finished = await a_received(hub, OLD)
    await act_at(hub, finished, "finish", OLD + timedelta(days=1), reason="Xong")
    unanswered = await a_received(hub, OLD)
    await act_at(hub, unanswered, "request_supplement", OLD + timedelta(days=1), reason="Thiếu")
    fresh = await a_received(hub, clock.now() - timedelta(minutes=30))
    pending = await a_received(hub, clock.now() - timedelta(minutes=30), applicant=CITIZEN)
    paid = await a_received(hub, clock.now() - timedelta(minutes=30))
    async with hub.database.transaction() as tx:
        await tx.raw.execute("UPDATE dossier SET recorded_at = now() - interval '2 days' WHERE code = $1", pending)
        await tx.raw.execute(
            "UPDATE dossier SET status = 1, detail = jsonb_build_object('charges', jsonb_build_array("
            "jsonb_build_object('paid_at', now() - interval '2 days'))) WHERE code = $1",
            paid,
        )
        await tx.raw.execute(
            "INSERT INTO ministry_event (client_id, source, event_id, type, dossier_code, state, reason, action, "
            "headers, taken_at) VALUES ('m', 's', 'e', 'vn.gov.ministry.dossier.result-issued.v1', $1, 'waiting', "
            "'charge_open', 'finish', '{}', now() - interval '2 days')",
            fresh,
        )
    body = await stuck(hub)
    assert kinds(body) == {
        "no_transition": {silent}, "finished_not_returned": {finished}, "supplement_unanswered": {unanswered},
        "identity_pending": {pending}, "paid_not_received": {paid}, "result_not_finished": {fresh},
    }  # fmt: skip
    by_code = {item["code"]: item for item in body["items"]}
    assert by_code[silent]["frees"] == {"kind": "transition", "name": "start", "words": "Bắt đầu xử lý."}
    assert by_code[finished]["frees"]["name"] == "return_result"
    assert by_code[pending]["age_hours"] == 48.0
    assert {(it["kind"], it["agency_code"], it["count"]) for it in body["counts"]} == {
        (kind, "H08.15", 1) for kind in kinds(body)
    }
    # What frees it, does: at once from the list, with the next look from the counts.
    await act_at(hub, finished, "return_result", OLD + timedelta(days=2))
    at_once = (await hub.get("/v1/dossiers/stuck?kind=finished_not_returned")).json()
    assert at_once["items"] == []
    assert (await stuck(hub, "kind=finished_not_returned"))["counts"] == []


async def test_a_withdrawal_that_looks_like_a_refused_supplement_is_listed(looking: Hub) -> None:
    hub, codes = looking, []
    for again in (True, False):
        who = {**CITIZEN, "personal_id": f"05219000012{int(again)}"}
        codes.append(await a_received(hub, OLD, applicant=who))
        await act_at(hub, codes[-1], "request_supplement", OLD + timedelta(days=1), reason="Thiếu")
        await act_at(hub, codes[-1], "withdraw", OLD + timedelta(days=1, hours=5), reason="Theo hướng dẫn")
        if again:
            await a_received(hub, OLD + timedelta(days=3), applicant=who)
    body = await stuck(hub, "kind=refused_by_supplement")
    assert kinds(body) == {"refused_by_supplement": {codes[0]}}
    assert body["items"][0]["frees"]["name"] == "review"


async def test_what_looks_like_a_refused_supplement_stays_listed_while_keys_are_rotated(looking: Hub) -> None:
    hub = looking
    code = await a_received(hub, OLD, applicant=CITIZEN)
    await act_at(hub, code, "request_supplement", OLD + timedelta(days=1), reason="Thiếu")
    await act_at(hub, code, "withdraw", OLD + timedelta(days=1, hours=5), reason="Theo hướng dẫn")
    again = await a_received(hub, OLD + timedelta(days=3), applicant=CITIZEN)
    assert kinds(await stuck(hub, "kind=refused_by_supplement")) == {"refused_by_supplement": {code}}
    # The same person's two dossiers lie under two keys for a while.
    await hub.rows("UPDATE dossier SET person_hash = overlay(person_hash PLACING '\\x01020304'::bytea FROM 1) "
                   "WHERE code = $1", again)  # fmt: skip
    assert kinds(await stuck(hub, "kind=refused_by_supplement")) == {"refused_by_supplement": {code}}


async def test_only_the_callers_agencies_pages_and_filters(looking: Hub) -> None:
    hub = looking
    codes = [await a_received(hub, OLD + timedelta(hours=number)) for number in range(3)]
    other = await a_received(hub, OLD, agency_code="H08.03")
    assert kinds(await stuck(hub, agencies=("H08.03",))) == {"no_transition": {other}}
    assert {it["agency_code"] for it in (await stuck(hub, agencies=("H08.03",)))["counts"]} == {"H08.03"}
    assert kinds(await stuck(hub, "agency=H08.15")) == {"no_transition": set(codes)}
    assert kinds(await stuck(hub, "agency=000.00.03.H08")) == {"no_transition": {other}}
    assert (await stuck(hub, "agency=H08"))["counts"][0]["count"] == 1
    outside = await stuck(hub, "agency=H08.15", agencies=("H08.03",))
    assert (outside["items"], outside["counts"]) == ([], [])
    for own in (("H08.03",), ("H08.03", "H09")):
        assert kinds(await stuck(hub, "agency=H08", agencies=own)) == {"no_transition": {other}}
    found, cursor = [], ""
    while True:
        page = await stuck(hub, f"agency=H08.15&limit=2{cursor}")
        found += [item["code"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == codes
    years = int((clock.now() - OLD).total_seconds() // 3600) - 1
    assert len((await stuck(hub, f"agency=H08.15&older_than_hours={years}"))["items"]) == 2
    for wrong in ("kind=x", "cursor=x", "limit=0", "older_than_hours=-1", "agency=x"):
        assert (await hub.get(f"/v1/dossiers/stuck?{wrong}")).status_code == 422
    assert (await hub.get("/v1/dossiers/stuck", scopes="dossier:write")).status_code == 403


async def test_one_of_several_copies_looks(start_hub: Callable[..., Awaitable[Hub]]) -> None:
    hub = await start_hub(stuck_check_seconds=3600)
    await start_hub(stuck_check_seconds=3600)
    await a_received(hub, OLD, applicant=NO_ID)
    first = await stuck_as_of(hub)
    assert await stuck_as_of(hub) == first


async def stuck_as_of(hub: Hub) -> str:
    """When the last look was, once there was one."""
    async with asyncio.timeout(60):
        while True:
            as_of = str((await hub.get("/v1/dossiers/stuck")).json()["as_of"])
            if not as_of.startswith("2000"):
                return as_of
            await asyncio.sleep(0.05)


async def test_a_result_that_lacks_only_a_word_on_the_identity_stands_still(looking: Hub) -> None:
    hub = looking
    code = await hub.file(applicant=CITIZEN)
    assert (await hub.act(code, "receive")).status_code == 200
    await say(hub, consumers.IDENTITY, verified(code, "no_information"))
    await say(hub, consumers.MINISTRY, ministry(code, "dossier.result-issued", documents=DOCUMENTS))
    assert await hub.rows("SELECT 1 FROM ministry_event WHERE reason = 'identity_reason_required'")
    await hub.rows("UPDATE ministry_event SET taken_at = now() - interval '2 days'")
    [item] = (await stuck(hub, "kind=result_not_finished"))["items"]
    assert (item["code"], item["age_hours"], item["frees"]["name"]) == (code, 48.0, "finish")
    done = await hub.act(code, "finish", reason="Theo kết quả của Bộ", identity_reason="Đã đối chiếu bản chính")
    assert done.status_code == 200, done.text
    assert (await stuck(hub, "kind=result_not_finished"))["items"] == []
