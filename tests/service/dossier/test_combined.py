"""Linked procedures: one intake, several dossiers, all of them or none."""

import asyncio
from typing import Any

from tests.service.dossier.conftest import Hub, a_filing

PATH = "/v1/dossiers/combined"


def linked(**changes: Any) -> dict[str, Any]:
    return {"dossiers": [a_filing(), a_filing(agency_code="H08.03", procedure_code="1.009748", **changes)]}


async def test_linked_dossiers_are_filed_at_once_and_know_each_other(hub: Hub) -> None:
    answer = await hub.post(PATH, linked(), role="portal")
    assert answer.status_code == 201, answer.text
    body = answer.json()
    codes = [item["code"] for item in body["items"]]
    assert [code.split("-")[0] for code in codes] == ["H08.15", "H08.03"]
    for code, item in zip(codes, body["items"], strict=True):
        read = (await hub.get(f"/v1/dossiers/{code}")).json()
        assert read["combined"] == item["combined"] == {"id": body["combined_id"], "dossiers": codes}
        assert [event["type"] for event in await hub.events(code)] == ["vn.lgsp.dossier.submitted.v1"]
        assert len((await hub.get(f"/v1/dossiers/{code}/history")).json()["items"]) == 1
    alone = await hub.file()
    assert (await hub.get(f"/v1/dossiers/{alone}")).json()["combined"] is None
    # Each goes its own way, and an agency sees its own.
    assert (await hub.act(codes[1], "receive")).status_code == 200
    assert (await hub.get(f"/v1/dossiers/{codes[0]}", agencies=("H08.15",))).json()["status"] == "submitted"
    assert (await hub.get(f"/v1/dossiers/{codes[0]}", agencies=("H08.03",))).status_code == 404


async def test_one_refused_dossier_refuses_them_all(hub: Hub) -> None:
    unknown = await hub.post(PATH, {"dossiers": [a_filing(), a_filing(procedure_code="9.999999")]})
    assert (unknown.status_code, unknown.json()["code"], unknown.json()["index"]) == (409, "procedure_not_valid", 1)
    other = await hub.post(PATH, linked(), agencies=("H08.15",))
    assert (other.status_code, other.json()["code"], other.json()["index"]) == (403, "agency_not_permitted", 1)
    ministry = await hub.post(PATH, linked(), role="ministry")
    assert (ministry.status_code, ministry.json()["code"]) == (403, "action_not_for_role")
    bodies: list[dict[str, Any]] = [
        {"dossiers": [a_filing()]},
        {"dossiers": []},
        {"dossiers": [a_filing(status=9), a_filing()]},
    ]
    for body in bodies:
        assert (await hub.post(PATH, body)).status_code == 422
    twice = {"dossiers": [a_filing(external_reference="r1"), a_filing(external_reference="r1")]}
    assert (await hub.post(PATH, twice)).status_code == 422
    assert await hub.rows("SELECT code FROM dossier") == []


async def test_a_reference_that_is_taken_is_named(hub: Hub) -> None:
    first = await hub.file(external_reference="r1")
    refused = await hub.post(PATH, linked(external_reference="r1"), role="portal")
    assert (refused.status_code, refused.json()["code"], refused.json()["index"]) == (
        409,
        "external_reference_taken",
        1,
    )
    assert refused.headers["location"] == f"/v1/dossiers/{first}"
    assert len(await hub.rows("SELECT code FROM dossier")) == 1


async def test_a_repeat_gets_the_first_answer_also_at_the_same_time(hub: Hub) -> None:
    answers = await asyncio.gather(*(hub.post(PATH, linked(), key="k") for _ in range(4)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 3
    assert len(await hub.rows("SELECT code FROM dossier")) == 2
    reused = await hub.post(PATH, linked(abstract="anders"), key="k")
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
