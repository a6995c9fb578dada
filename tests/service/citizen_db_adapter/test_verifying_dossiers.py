"""From `dossier.submitted` to `identity.verified`: the reader and the worker."""

import asyncio
from datetime import UTC, datetime

import pytest

from citizen_db_adapter import consumers
from shared import inbox
from shared.worker import Worker
from tests.service.citizen_db_adapter.conftest import Station, StationMaker
from tests.support.neighbours import dossier_event, eventually, feed, published

AT = datetime(2023, 3, 1, 1, 30, tzinfo=UTC)
CODE = "H08.15-230301-0001"


async def outcomes(station: Station, count: int) -> dict[str, dict[str, object]]:
    """The data of `identity.verified` by dossier, once there are so many."""

    async def enough() -> list[dict[str, object]]:
        events = [e["data"] for e in await published(station.system) if e["type"] == "vn.lgsp.identity.verified.v1"]
        return events if len(events) >= count else []

    found = await eventually(enough)
    assert len(found) == count
    assert {e["sequence"] for e in await published(station.system)} <= {1, 2}, "announced as waiting, concluded"
    return {data["dossier_code"]: data for data in found}


async def test_each_of_the_four_outcomes_reaches_its_dossier(a_station: StationMaker) -> None:
    station = await a_station()
    applicants = {
        "H08.15-230301-0001": {
            "personal_id": "052190000001",
            "full_name": "Nguyễn Thị An",
            "date_of_birth": "1990-04-12",
        },
        "H08.15-230301-0002": {
            "personal_id": "052190000002",
            "full_name": "Trần Văn Bình",
            "date_of_birth": "1991-05-13",
        },
        "H08.15-230301-0003": {"personal_id": "052190000003", "full_name": "Lê Thị Cúc", "date_of_birth": "1992-06-14"},
        "H08.15-230301-0004": {"personal_id": "052190000004", "full_name": "Phạm Văn Dũng", "date_of_birth": "1993"},
        "H08.15-230301-0005": {"personal_id": "052190000005", "full_name": "Võ Thị Em", "date_of_birth": None},
    }
    for code, applicant in applicants.items():
        station.neighbours.know(code, applicant=applicant)
    await station.people(
        {"personal_id": "052190000001", "full_name": "Nguyễn Thị An"},
        {"personal_id": "052190000002", "full_name": "Trần Văn Bính", "date_of_birth": "1991-05-14"},
        {"personal_id": "052190000004", "full_name": "Phạm Văn Dũng A", "date_of_birth": "1993-01-01"},
        {"personal_id": "052190000004", "full_name": "Phạm Văn Dũng B", "date_of_birth": "1993-01-01"},
        {"personal_id": "052190000005", "full_name": "Võ Thị Em", "refused": True},
    )
    await feed(station.kafka, "lgsp.dossier", [dossier_event("submitted", code, AT) for code in applicants])
    found = await outcomes(station, 5)
    assert {code[-4:]: (d["outcome"], d["mismatched_fields"]) for code, d in found.items()} == {
        "0001": ("match", []),
        "0002": ("mismatch", ["full_name", "date_of_birth"]),
        "0003": ("no_information", []),
        "0004": ("insufficient_basis", []),
        "0005": ("insufficient_basis", []),
    }
    assert set(found[CODE]) == {"dossier_code", "verification_id", "outcome", "mismatched_fields", "checked_at"}
    kept = await station.rows("SELECT sealed FROM evidence")
    assert len(kept) == 1 + 2 + 2 + 2 + 2  # 033 alone for the match, both services for the others, refusals included
    assert all("Nguyễn".encode() not in bytes(row["sealed"]) for row in kept)


async def test_a_dossier_without_personal_id_asks_nobody(a_station: StationMaker) -> None:
    station = await a_station()
    station.neighbours.know("H08.15-230301-0002")
    await station.people({})
    await feed(
        station.kafka,
        "lgsp.dossier",
        [
            dossier_event("submitted", CODE, AT, identity_outcome="not_required"),
            dossier_event("submitted", "H08.15-230301-0002", AT),
        ],
    )
    assert list(await outcomes(station, 1)) == ["H08.15-230301-0002"]
    assert await station.rows("SELECT dossier_code FROM verification") == [{"dossier_code": "H08.15-230301-0002"}]


async def test_the_same_message_twice_is_one_verification(a_station: StationMaker) -> None:
    station = await a_station()
    station.neighbours.know(CODE)
    await station.people({})
    event = dossier_event("submitted", CODE, AT)
    other_id = dossier_event("submitted", CODE, AT)
    await feed(station.kafka, "lgsp.dossier", [event, event, other_id])
    await outcomes(station, 1)
    await asyncio.sleep(0.3)
    assert len(await published(station.system)) == 1
    assert len(await station.rows("SELECT id FROM verification")) == 1


async def test_events_in_the_wrong_order_still_verify_once(a_station: StationMaker) -> None:
    station = await a_station()
    station.neighbours.know(CODE)
    await station.people({})
    later = dossier_event("received", CODE, AT, version=2, status_code=2)
    await feed(station.kafka, "lgsp.dossier", [later, dossier_event("submitted", CODE, AT)])
    assert (await outcomes(station, 1))[CODE]["outcome"] == "match"


async def test_a_crash_between_effect_and_commit_loses_nothing(a_station: StationMaker) -> None:
    station = await a_station()
    event = dossier_event("submitted", CODE, AT)
    worker = Worker("never started", lambda: asyncio.sleep(0, 0))
    handler = consumers.of_dossiers(worker)

    class Killed(Exception):
        pass

    async def take(*, dies: bool) -> None:
        async with station.system.transaction() as tx:
            for fresh in await inbox.first_time(tx, [event]):
                await inbox.apply(tx, "lgsp.dossier", [fresh], handler)
            if dies:
                raise Killed

    with pytest.raises(Killed):
        await take(dies=True)
    assert await station.rows("SELECT id FROM verification") == []
    assert not worker.wake.is_set()
    await take(dies=False)
    await take(dies=False)
    assert len(await station.rows("SELECT id FROM verification")) == 1
    assert worker.wake.is_set()


@pytest.mark.parametrize("mode", ["down", "error", "html"])
async def test_while_the_register_is_down_questions_wait_and_then_complete(a_station: StationMaker, mode: str) -> None:
    station = await a_station(
        ask_longest_retry_seconds=0.2, pending_after_seconds=0.3, pending_every_seconds=0.1, register_deadline_seconds=2
    )
    station.neighbours.know(CODE)
    await station.people({})
    await station.fault(mode)
    await feed(station.kafka, "lgsp.dossier", [dossier_event("submitted", CODE, AT)])

    async def announced() -> list[dict[str, object]]:
        return await published(station.system)

    assert [e["type"] for e in await eventually(announced)] == ["vn.lgsp.identity.pending.v1"]
    await asyncio.sleep(0.5)
    assert len(await published(station.system)) == 1  # once, however long it takes
    await station.fault("normal")

    async def concluded() -> list[dict[str, object]]:
        return await station.rows("SELECT outcome FROM verification WHERE outcome <> 'pending'")

    assert await eventually(concluded, seconds=30) == [{"outcome": "match"}]
    assert (await published(station.system))[-1]["data"]["outcome"] == "match"


async def test_more_than_the_quota_waits_for_the_next_minute(a_station: StationMaker) -> None:
    station = await a_station(register_calls_per_minute=3)
    codes = [f"H08.15-230301-{n:04d}" for n in range(1, 7)]
    for n, code in enumerate(codes):
        station.neighbours.know(code, applicant={"personal_id": f"05219000000{n}", "full_name": "Nguyễn Thị An"})
    await station.people(*({"personal_id": f"05219000000{n}"} for n in range(6)))
    await feed(station.kafka, "lgsp.dossier", [dossier_event("submitted", code, AT) for code in codes])
    await outcomes(station, 3)
    await asyncio.sleep(0.5)
    spent = await station.rows("SELECT calls FROM quota")
    assert all(row["calls"] <= 3 for row in spent)
    assert len(await published(station.system)) <= 3 * len(spent)
