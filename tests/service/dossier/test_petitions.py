"""Petitions and ratings over REST."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from shared import clock
from tests.service.dossier.conftest import Hub
from tests.service.dossier.test_verdicts import IMPORT

PURPOSE = {"hub-purpose": "handling"}
THEN = datetime(2023, 3, 1, 2, 0, tzinfo=UTC)
BODY = {"agency_code": "H08.15", "subject": "Chậm trả kết quả"}


async def filed(hub: Hub, **changes: Any) -> dict[str, Any]:
    answer = await hub.post("/v1/petitions", BODY | changes, scopes=IMPORT, role="portal")
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def step(hub: Hub, petition_id: str, action: str, **members: Any) -> Any:
    who = {name: members.pop(name) for name in ("role", "agencies", "key") if name in members}
    return await hub.post(f"/v1/petitions/{petition_id}/steps", {"action": action, **members}, scopes=IMPORT, **who)


async def test_a_petition_is_answered_published_and_rated(hub: Hub) -> None:
    code = await hub.file()
    it = await filed(hub, dossier_code=code, at=THEN.isoformat())
    assert (it["state"], it["dossier_code"], it["is_late"]) == ("received", code, True)
    assert datetime.fromisoformat(it["limits"]["answer_by"]) == datetime(2023, 3, 22, 2, 0, tzinfo=UTC)
    petition_id = it["petition_id"]
    day = [(THEN + timedelta(days=number)).isoformat() for number in range(20)]
    assert (await step(hub, petition_id, "request_supplement", reason="Nêu rõ", at=day[1])).status_code == 200
    assert (await step(hub, petition_id, "supplement", role="portal", at=day[5])).status_code == 200
    answered = await step(hub, petition_id, "answer", text="Đã trả kết quả", at=day[9], actor={"name": "Trần Văn Bình"})
    assert answered.json()["limits"]["publish_by"] is not None
    assert (await step(hub, petition_id, "publish", at=day[12])).status_code == 200
    rated = await step(hub, petition_id, "rate", score="satisfied", role="portal")
    assert (rated.json()["state"], rated.json()["is_late"], rated.json()["version"]) == ("published", False, 6)
    whole = (await hub.get(f"/v1/petitions/{petition_id}", headers=PURPOSE)).json()
    assert (whole["subject"], whole["answer"], whole["score"]) == (BODY["subject"], "Đã trả kết quả", "satisfied")
    assert [row["action"] for row in whole["steps"]] == [
        "file", "request_supplement", "supplement", "answer", "publish", "rate",
    ]  # fmt: skip
    assert "subject" not in (await hub.get(f"/v1/petitions/{petition_id}")).json()


async def test_refusals_leave_no_trace(hub: Hub) -> None:
    petition_id = (await filed(hub))["petition_id"]
    for action, members, status, code in (
        ("publish", {}, 409, "transition_not_allowed"),
        ("answer", {}, 422, "invalid_request"),
        ("answer", {"text": "x", "role": "portal"}, 403, "action_not_for_role"),
        ("answer", {"text": "x", "agencies": ("H08.03",)}, 404, "not_found"),
        ("answer", {"text": "x", "at": THEN.isoformat()}, 409, "time_goes_back"),
        ("fly", {}, 422, "invalid_request"),
    ):
        refused = await step(hub, petition_id, action, **members)
        assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
    assert (await hub.get(f"/v1/petitions/{petition_id}")).json()["version"] == 1
    for changes, status in (
        ({"agency_code": "H09.01"}, 403), ({"agency_code": "H08.999"}, 409), ({"dossier_code": "H08.15-1-1"}, 404),
        ({"subject": ""}, 422), ({"at": (clock.now() + timedelta(days=1)).isoformat()}, 422),
    ):  # fmt: skip
        answer = await hub.post("/v1/petitions", BODY | changes, role="portal")
        assert answer.status_code == status, answer.text
    old = await hub.post("/v1/petitions", BODY | {"at": THEN.isoformat()}, role="portal")
    assert (old.status_code, old.json()["code"]) == (403, "insufficient_scope")
    assert (await hub.post("/v1/petitions", BODY, role="ministry")).status_code == 403
    assert (await hub.get(f"/v1/petitions/{petition_id}", agencies=("H08.03",))).status_code == 404


async def test_a_repeat_gets_the_first_answer_and_a_reference_is_filed_once(hub: Hub) -> None:
    answers = await asyncio.gather(*(hub.post("/v1/petitions", BODY, role="portal", key="k") for _ in range(3)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({(answer.content, answer.headers["location"]) for answer in answers}) == 1
    petition_id = answers[0].json()["petition_id"]
    steps = [await step(hub, petition_id, "refuse", reason="Không thuộc thẩm quyền", key="k2") for _ in range(2)]
    assert steps[0].content == steps[1].content
    await filed(hub, external_reference="r1")
    twice = await hub.post("/v1/petitions", BODY | {"external_reference": "r1"}, role="portal")
    assert (twice.status_code, twice.json()["code"]) == (409, "external_reference_taken")


async def test_of_two_steps_at_once_one_counts(hub: Hub) -> None:
    petition_id = (await filed(hub))["petition_id"]
    both = await asyncio.gather(*(step(hub, petition_id, "answer", text="x") for _ in range(2)))
    assert sorted(answer.status_code for answer in both) == [200, 409]


async def test_lists_and_counts_are_of_the_callers_agencies(hub: Hub) -> None:
    late = await filed(hub, at=THEN.isoformat())
    fresh = await filed(hub)
    other = await filed(hub, agency_code="H08.03")
    await step(hub, fresh["petition_id"], "refuse", reason="x")
    await step(hub, other["petition_id"], "answer", text="x")
    await step(hub, other["petition_id"], "rate", score="dissatisfied", role="portal")

    async def found(query: str, **who: Any) -> list[str]:
        answer = await hub.get(f"/v1/petitions?{query}", **who)
        assert answer.status_code == 200, answer.text
        return [item["petition_id"] for item in answer.json()["items"]]

    every = [it["petition_id"] for it in (late, fresh, other)]
    assert await found("") == every
    assert await found("late=true") == every[:1]
    assert await found("state=refused") == every[1:2]
    assert await found("agency=000.00.03.H08") == every[2:]
    assert await found("to=2023-03-01") == every[:1]
    assert await found("", agencies=("H08.03",)) == every[2:]
    first = (await hub.get("/v1/petitions?limit=2")).json()
    assert await found(f"limit=2&cursor={first['next_cursor']}") == every[2:]
    counts = (await hub.get("/v1/petitions/counts")).json()["items"]
    assert counts == [
        {"agency_code": "H08.03", "petitions": 1, "late": 0, "closed": 0, "closed_on_time": 0, "rated": 1,
         "satisfied": 0, "dossiers": 0},
        {"agency_code": "H08.15", "petitions": 2, "late": 1, "closed": 1, "closed_on_time": 1, "rated": 0,
         "satisfied": 0, "dossiers": 0},
    ]  # fmt: skip
    own = (await hub.get("/v1/petitions/counts", agencies=("H08.03",))).json()["items"]
    assert [row["agency_code"] for row in own] == ["H08.03"]


async def test_ratings_are_read_and_counted(hub: Hub) -> None:
    codes = [await hub.file(agency_code=agency) for agency in ("H08.15", "H08.15", "H08.03")]
    scores = ("very_satisfied", "dissatisfied", "satisfied")
    for code, score in zip(codes, scores, strict=True):
        answer = await hub.post("/v1/ratings", {"dossier_code": code, "score": score, "at": THEN.isoformat()})
        assert answer.status_code == 201
    items = (await hub.get("/v1/ratings?agency=H08.15")).json()["items"]
    assert [(it["dossier_code"], it["score"]) for it in items] == sorted(zip(codes[:2], scores[:2], strict=True))
    page = (await hub.get("/v1/ratings?limit=2")).json()
    rest = (await hub.get(f"/v1/ratings?limit=2&cursor={page['next_cursor']}")).json()
    assert (len(rest["items"]), rest["next_cursor"]) == (1, None)
    counts = (await hub.get("/v1/ratings/counts?from=2023-01-01&to=2023-12-31")).json()["items"]
    assert counts[1] == {
        "agency_code": "H08.15", "ratings": 2, "very_satisfied": 1, "satisfied": 0, "dissatisfied": 1,
    }  # fmt: skip
    assert (await hub.get("/v1/ratings/counts?from=2024-01-01")).json()["items"] == []
    assert [it["dossier_code"] for it in (await hub.get("/v1/ratings", agencies=("H08.03",))).json()["items"]] == codes[
        2:
    ]
