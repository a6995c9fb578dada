"""A desk takes papers in for another agency, also of another province; post staff take part."""

from typing import Any

from tests.service.dossier.conftest import Hub, a_filing

OURS, COMPETENT, ELSEWHERE = ("H08.16",), ("H08.15",), ("H99",)
CATALOGUE = "catalogue:read catalogue:write"


async def filed(hub: Hub, receiver: str = "H08.16", by: tuple[str, ...] = OURS, **changes: Any) -> str:
    """Taken in by one agency's desk for H08.15."""
    body = a_filing(channel="counter", receiving_agency_code=receiver, **changes)
    answer = await hub.post("/v1/dossiers", body, agencies=by)
    assert answer.status_code == 201, answer.text
    assert answer.json()["receiving_agency_code"] == receiver
    return str(answer.json()["code"])


async def acted(hub: Hub, code: str, action: str, by: tuple[str, ...], role: str = "desk", **members: Any) -> Any:
    return await hub.post(
        f"/v1/dossiers/{code}/transitions", {"action": action, **members}, agencies=by, role=role
    )  # fmt: skip


async def test_both_agencies_read_and_each_does_its_part(hub: Hub) -> None:
    code = await filed(hub)
    assert code.startswith("H08.15-"), "the competent agency's code"
    for by, status in ((OURS, 200), (COMPETENT, 200), (("H08.17",), 404)):
        for path in (f"/v1/dossiers/{code}", f"/v1/dossiers/{code}/history"):
            assert (await hub.get(path, agencies=by)).status_code == status, (by, path)
    refused = await acted(hub, code, "receive", COMPETENT)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_handed_over")
    waiting = (await hub.get("/v1/dossiers/receptions?handed_over=false", agencies=OURS)).json()["items"]
    assert [(it["code"], it["agency_code"], it["status"]) for it in waiting] == [(code, "H08.15", "submitted")]
    assert (await hub.get("/v1/dossiers/receptions", agencies=COMPETENT)).json()["items"] == []

    refused = await acted(hub, code, "hand_over", COMPETENT)
    assert (refused.status_code, refused.json()["code"]) == (403, "action_not_for_agency")
    handed = await acted(hub, code, "hand_over", OURS)
    assert handed.status_code == 200, handed.text
    assert (handed.json()["due_at"], handed.json()["handed_over_at"] is not None) == (None, True)
    refused = await acted(hub, code, "receive", OURS)
    assert (refused.status_code, refused.json()["code"]) == (403, "action_not_for_agency")
    received = (await acted(hub, code, "receive", COMPETENT)).json()
    assert received["due_at"] is not None
    assert [it["type"] for it in await hub.events(code)] == [
        f"vn.lgsp.dossier.{name}.v1" for name in ("submitted", "handed_over", "received")
    ]
    assert (await hub.get("/v1/dossiers/receptions?handed_over=false", agencies=OURS)).json()["items"] == []
    assert (await hub.get("/v1/dossiers/receptions?handed_over=true", agencies=OURS)).json()["items"][0]["code"] == code

    asked = await acted(hub, code, "request_supplement", COMPETENT, reason="Thiếu")
    assert asked.status_code == 200
    assert (await acted(hub, code, "supplement", OURS)).status_code == 200
    correction = {
        "reason": "Nhầm", "actor": {"name": "A"}, "times": [{"version": 2, "at": "2023-03-01T08:00:00+07:00"}],
    }  # fmt: skip
    answer = await hub.post(f"/v1/dossiers/{code}/corrections", correction, agencies=OURS)
    assert answer.status_code == 404, "who took it in does not correct the competent agency's history"
    rating = {"dossier_code": code, "score": "satisfied"}
    assert (await hub.post("/v1/ratings", rating, agencies=OURS, role="portal")).status_code == 404
    counts = (await hub.get("/v1/dossiers/counts", agencies=("H08",))).json()["items"]
    assert [(it["agency_code"], it["received"], it["received_by_another"]) for it in counts] == [("H08.15", 1, 1)]
    assert (await hub.get("/v1/dossiers/counts", agencies=OURS)).json()["items"] == []


async def test_for_another_province_and_by_another_one(hub: Hub) -> None:
    for code in ("H99", "H99.02"):
        body = {"name": f"Cơ quan {code}", "level": "province", "valid_from": "2020-01-01"}
        headers = hub.headers("operator", agencies=("*",), scopes=CATALOGUE)
        answer = await hub.client.put(f"/v1/agencies/{code}", json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text
    theirs = await filed(hub, agency_code="H99.02", procedure_code="2.000488")
    assert theirs.startswith("H99.02-")
    assert (await acted(hub, theirs, "hand_over", OURS)).status_code == 200
    assert (await acted(hub, theirs, "receive", ELSEWHERE)).json()["due_at"] is not None
    ours = await filed(hub, receiver="H99.02", by=ELSEWHERE)
    assert ours.startswith("H08.15-")
    assert (await hub.get(f"/v1/dossiers/{ours}", agencies=ELSEWHERE)).status_code == 200


async def test_who_may_take_in_for_another(hub: Hub) -> None:
    body = a_filing(receiving_agency_code="H08.16")
    answer = await hub.post("/v1/dossiers", body, agencies=COMPETENT)
    assert (answer.status_code, answer.json()["code"]) == (403, "agency_not_permitted"), "not at that desk"
    answer = await hub.post("/v1/dossiers", a_filing(receiving_agency_code="H08.999"), agencies=("H08",))
    assert (answer.status_code, answer.json()["code"]) == (409, "agency_not_valid")
    answer = await hub.post("/v1/dossiers", a_filing(receiving_agency_code="H08.15"), agencies=COMPETENT)
    assert answer.json()["receiving_agency_code"] is None, "its own desk is no other agency"
    lines = [a_filing(receiving_agency_code="H08.16"), a_filing()]
    assert [it["status"] for it in await hub.batch("/v1/dossiers/batch", lines, agencies=OURS)] == [201, 403]
    both = {"dossiers": [a_filing(receiving_agency_code="H08.16"), a_filing(receiving_agency_code="H08.16")]}
    answer = await hub.post("/v1/dossiers/combined", both, agencies=OURS)
    assert answer.status_code == 201, answer.text


async def test_post_staff_take_in_hand_over_and_bring_results(hub: Hub) -> None:
    answer = await hub.post(
        "/v1/dossiers", a_filing(channel="post", receiving_agency_code="H08.16"), agencies=OURS, role="post"
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    code = answer.json()["code"]
    assert (await acted(hub, code, "hand_over", OURS, role="post")).status_code == 200
    received = await acted(hub, code, "receive", COMPETENT, role="post")
    assert received.status_code == 200, "post staff at the competent agency's own desk"
    for action in ("start", "finish", "refuse", "extend", "stop", "request_supplement"):
        refused = await acted(hub, code, action, COMPETENT, role="post", reason="x")
        assert (refused.status_code, refused.json()["code"]) == (403, "action_not_for_role"), action


async def test_a_second_supplement_is_named_and_counted(hub: Hub) -> None:
    code = await hub.file()
    await hub.act(code, "receive")
    for number in (1, 2):
        exception = {"legal_exception": "Khoản 3 Điều 9"} if number == 2 else {}
        if number == 2:
            refused = await hub.act(code, "request_supplement", reason="Thiếu nữa")
            assert (refused.status_code, refused.json()["code"]) == (409, "legal_exception_required")
        assert (await hub.act(code, "request_supplement", reason="Thiếu", **exception)).status_code == 200
        await hub.act(code, "supplement", role="portal")
    (count,) = (await hub.get("/v1/dossiers/counts")).json()["items"]
    assert (count["supplement_requests"], count["repeatedly_supplemented"], count["legal_exceptions"]) == (2, 1, 1)


async def test_documents_may_come_after_the_end(hub: Hub) -> None:
    code = await hub.file(applicant={"kind": "citizen", "full_name": "Nguyễn Thị An"})
    for action in ("receive", "start"):
        await hub.act(code, action)
    await hub.act(code, "finish", reason="Kết quả gửi sau")
    document = {"name": "Giấy phép", "url": "https://kq.example/1", "sha256": "ab" * 32}
    inside = document | {"url": "http://10.0.0.1/1"}
    assert (await hub.act(code, "attach_result", result={"documents": [inside]})).status_code == 422
    for status in (9, 10):
        attached = (await hub.act(code, "attach_result", result={"documents": [document]})).json()
        assert (attached["status_code"], attached["electronic_result"]) == (status, True)
        await hub.act(code, "return_result")
    results = (await hub.get(f"/v1/dossiers/{code}")).json()["results"]
    assert [it["name"] for it in results] == ["Giấy phép", "Giấy phép"]
