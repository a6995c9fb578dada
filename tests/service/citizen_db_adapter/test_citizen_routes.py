"""Verify, read and look up over REST."""

import asyncio
from typing import Any

import asyncpg
import pytest

from shared import strict_json
from tests.service.citizen_db_adapter.conftest import Station, StationMaker
from tests.support.neighbours import eventually, published

CODE = "H08.15-230301-0001"


def a_question(**members: Any) -> dict[str, Any]:
    return {
        "personal_id": "052190000123",
        "full_name": "Nguyễn Thị An",
        "date_of_birth": "1990-04-12",
        "purpose": "Tiếp nhận hồ sơ",
        "legal_basis": "NĐ 61/2018/NĐ-CP",
        "dossier_code": CODE,
        "officer": "Lê Văn Cán",
    } | members


async def verify(station: Station, *agencies: str, key: str | None = None, **members: Any) -> Any:
    headers = station.headers(*agencies) | ({"Idempotency-Key": key} if key else {})
    return await station.client.post("/v1/citizens/verify", json=a_question(**members), headers=headers)


async def look_up(station: Station, **members: Any) -> Any:
    question = a_question(fields=["full_name", "date_of_birth", "religion"]) | members
    return await station.client.post("/v1/citizens/lookup", json=question, headers=station.headers())


async def test_a_verification_is_answered_kept_and_told_to_the_dossier(a_station: StationMaker) -> None:
    station = await a_station()
    station.neighbours.know(CODE)
    await station.people({})
    response = await verify(station)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert (answer["outcome"], answer["mismatched_fields"], answer["source"]) == ("match", [], "register")
    kept = await station.client.get(
        f"/v1/citizens/verifications/{answer['verification_id']}", headers=station.headers("H08.15")
    )
    assert kept.json() | answer == kept.json()
    assert (kept.json()["purpose"], kept.json()["officer"]) == ("Tiếp nhận hồ sơ", "Lê Văn Cán")
    [event] = await published(station.system)
    assert event["data"]["verification_id"] == answer["verification_id"]


async def test_verifying_another_person_than_the_applicant_is_no_fact_about_the_dossier(
    a_station: StationMaker,
) -> None:
    station = await a_station()
    station.neighbours.know(CODE)
    await station.people({"personal_id": "052190000999"})
    assert (await verify(station, personal_id="052190000999")).json()["outcome"] == "match"
    assert await published(station.system) == []


async def test_the_register_down_is_202_and_the_outcome_follows(a_station: StationMaker) -> None:
    station = await a_station(ask_longest_retry_seconds=0.2)
    station.neighbours.know(CODE)
    await station.people({})
    await station.fault("down")
    response = await verify(station)
    assert (response.status_code, response.json()["outcome"]) == (202, "pending")
    await station.fault("normal")
    path = f"/v1/citizens/verifications/{response.json()['verification_id']}"

    async def concluded() -> Any:
        kept = (await station.client.get(path, headers=station.headers())).json()
        return kept if kept["outcome"] != "pending" else None

    assert (await eventually(concluded, seconds=20))["outcome"] == "match"
    subjects = await station.rows("SELECT subject FROM verification")
    assert subjects == [{"subject": None}]


async def test_what_the_register_said_lately_is_not_asked_again(a_station: StationMaker) -> None:
    station = await a_station()
    station.neighbours.know(CODE)
    station.neighbours.know("H08.16-230301-0001")
    await station.people({})
    assert (await verify(station)).json()["source"] == "register"
    assert (await verify(station)).json()["source"] == "cache"
    other_agency = await verify(station, dossier_code="H08.16-230301-0001")
    assert other_agency.json()["source"] == "register"
    without_cache = await a_station(register_cache_seconds=0)
    without_cache.neighbours.know(CODE)
    await without_cache.people({})
    assert [(await verify(without_cache)).json()["source"] for _ in range(2)] == ["register", "register"]


async def test_a_repeated_key_gets_the_first_answer(a_station: StationMaker) -> None:
    station = await a_station()
    station.neighbours.know(CODE)
    await station.people({})
    first = await verify(station, key="k1")
    again = await verify(station, key="k1")
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await verify(station, key="k1", purpose="Việc khác")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(await station.rows("SELECT id FROM verification")) == 1


async def test_another_agencys_dossier_is_unknown(a_station: StationMaker) -> None:
    station = await a_station()
    station.neighbours.know(CODE)
    await station.people({})
    for code in (CODE, "H08.15-230301-9999"):
        response = await verify(station, "H08.16", dossier_code=code)
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    mine = (await verify(station)).json()["verification_id"]
    read = await station.client.get(f"/v1/citizens/verifications/{mine}", headers=station.headers("H08.16"))
    assert read.status_code == 404
    assert (await look_up(station)).status_code == 200


MALFORMED: list[dict[str, Any]] = [
    {"personal_id": "12"},
    {"purpose": ""},
    {"date_of_birth": "12/04/1990"},
    {"outcome": "match"},
    {"full_name": "A" * 101},
]


async def test_a_malformed_question_stores_nothing(a_station: StationMaker) -> None:
    station = await a_station()
    station.neighbours.know(CODE)
    for members in MALFORMED:
        response = await verify(station, **members)
        assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
        assert response.headers["content-type"] == "application/problem+json"
    assert await station.rows("SELECT id FROM verification") == []


async def test_without_the_scope_nothing_is_asked(a_station: StationMaker) -> None:
    station = await a_station()
    headers = station.headers(scopes=["citizen:lookup"])
    response = await station.client.post("/v1/citizens/verify", json=a_question(), headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope")
    assert (await station.client.post("/v1/citizens/verify", json=a_question())).status_code == 401


async def test_a_lookup_tells_only_requested_and_permitted_fields(a_station: StationMaker) -> None:
    station = await a_station()
    station.neighbours.know(CODE)
    await station.people({})
    response = await look_up(station)
    assert response.status_code == 200, response.text
    assert response.json()["fields"] == {"full_name": "NGUYỄN THỊ AN", "date_of_birth": "1990-04-12"}
    assert response.json()["withheld"] == {"religion": "not_permitted"}
    [kept] = await station.rows("SELECT requested_fields, supplied_fields, outcome, purpose FROM lookup")
    assert kept["supplied_fields"] == ["date_of_birth", "full_name"]
    assert len(await station.rows("SELECT id FROM evidence")) == 1


async def test_a_lookup_of_somebody_else_under_a_number_tells_nothing(a_station: StationMaker) -> None:
    station = await a_station()
    station.neighbours.know(CODE)
    await station.people({})
    response = await look_up(station, full_name="Trần Văn Bình")
    assert (response.json()["outcome"], response.json()["fields"]) == ("mismatch", {})


NOT_PERMITTED: list[dict[str, Any]] = [
    {"purpose": ""},
    {"purpose": "  "},
    {"dossier_code": None},
    {"dossier_code": "H08.15-230301-0002"},
]


async def test_a_lookup_needs_a_purpose_and_an_open_dossier(a_station: StationMaker) -> None:
    station = await a_station()
    station.neighbours.know(CODE)
    station.neighbours.know("H08.15-230301-0002", status_code=10)
    await station.people({})
    for members in NOT_PERMITTED:
        response = await look_up(station, **members)
        assert (response.status_code, response.json()["code"]) == (403, "purpose_not_permitted")
    assert await station.rows("SELECT id FROM lookup") == []


async def test_a_lookup_while_the_register_is_down_says_so(a_station: StationMaker) -> None:
    station = await a_station()
    station.neighbours.know(CODE)
    await station.fault("down")
    response = await look_up(station)
    assert (response.status_code, response.json()["code"]) == (503, "upstream_unavailable")
    assert "Retry-After" in response.headers


async def test_row_level_security_shows_a_raw_session_its_agencies_only(a_station: StationMaker) -> None:
    station = await a_station()
    station.neighbours.know(CODE)
    station.neighbours.know("H08.16-230301-0001")
    await station.people({})
    await asyncio.gather(verify(station), verify(station, dossier_code="H08.16-230301-0001"))
    raw = await asyncpg.connect(station.urls.api)
    try:
        for agencies, seen in (("", 0), ("H08.15", 1), ("H08", 2), ("H0", 0), ("*", 2)):
            await raw.execute("SELECT set_config('hub.agencies', $1, false)", agencies)
            assert await raw.fetchval("SELECT count(*) FROM verification") == seen
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await raw.fetch("SELECT * FROM evidence")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await raw.execute("ALTER TABLE verification DISABLE ROW LEVEL SECURITY")
    finally:
        await raw.close()


async def test_no_answer_or_document_of_the_service_names_a_person(a_station: StationMaker) -> None:
    station = await a_station()
    station.neighbours.know(CODE)
    await station.people({})
    answer = (await verify(station)).json()
    kept = await station.client.get(
        f"/v1/citizens/verifications/{answer['verification_id']}", headers=station.headers()
    )
    spoken = strict_json.dumps([answer, kept.json(), await published(station.system)])
    assert b"052190000123" not in spoken
    assert "Nguyễn".encode() not in spoken
