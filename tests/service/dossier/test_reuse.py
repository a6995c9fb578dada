"""What a person has handed in or got before is shown to who handles an open dossier, and reused without being asked."""

from typing import Any

from shared import strict_json
from tests.service.dossier.conftest import Hub, a_filing

PURPOSE = {"hub-purpose": "Giai quyet ho so"}
WHO = "052190000123"
RESULT = {"result_code": "KQ01", "name": "Giấy khai sinh", "number": "1/KS", "url": "https://kq.example/1"}
PAPER = {"component_code": "KQ.G01.000001", "name": "ho-khau.pdf", "url": "https://tep.example/1", "sha256": "cd" * 32}


async def documents(hub: Hub, personal_id: str = WHO, **who: Any) -> Any:
    return await hub.post("/v1/persons/documents", {"personal_id": personal_id}, **{"headers": PURPOSE} | who)


async def finished(hub: Hub, **changes: Any) -> str:
    """A finished dossier of H08.15 with a result and a component that the desk has certified."""
    certified = [PAPER | {"digitised": True, "certified": True}, {"name": "khac.pdf", "url": "https://tep.example/2"}]
    answer = await hub.post("/v1/dossiers", a_filing(attachments=certified, **changes), role="desk")
    assert answer.status_code == 201, answer.text
    code = str(answer.json()["code"])
    await hub.rows("UPDATE dossier SET identity_outcome = 'match' WHERE code = $1", code)
    for action in ("receive", "start"):
        await hub.act(code, action)
    ended = await hub.act(code, "finish", result={"documents": [RESULT | {"sha256": "AB" * 32}]})
    assert ended.status_code == 200, ended.text
    return code


async def test_only_who_handles_an_open_dossier_sees_them(hub: Hub) -> None:
    earlier = await finished(hub)
    there: dict[str, Any] = {"agencies": ("H08.16",)}
    for answer in (await documents(hub, **there), await documents(hub, "052190999999", **there)):
        assert (answer.status_code, answer.json()["code"]) == (403, "no_open_dossier"), "known and unknown alike"
    assert (await documents(hub)).status_code == 403, "a finished dossier is not handled any more"
    new = await hub.file(agency_code="H08.16", attachments=[])
    for identity, is_received, who in (
        ("match", False, {}), ("pending", True, {}), ("mismatch", True, {}), ("match", True, {"role": "portal"}),
        ("match", True, {"role": "operator"}),
    ):  # fmt: skip
        await hub.rows("UPDATE dossier SET identity_outcome = $2, received_at = CASE WHEN $3 THEN now() END "
                       "WHERE code = $1", new, identity, is_received)  # fmt: skip
        answer = await documents(hub, **there, **who)
        assert (answer.status_code, answer.json()["code"]) == (403, "no_open_dossier"), (identity, is_received, who)
    for identity, detail in (("not_required", {}), ("mismatch", {"identity_reason": "Có giấy gốc"}), ("match", {})):
        await hub.rows("UPDATE dossier SET identity_outcome = $2, detail = detail || $3::jsonb WHERE code = $1",
                       new, identity, strict_json.dumps(detail).decode())  # fmt: skip
        assert (await documents(hub, **there)).status_code == 200, identity
    await hub.rows("UPDATE dossier SET detail = detail - 'identity_reason', received_at = NULL WHERE code = $1", new)
    await hub.act(new, "receive")
    answer = await documents(hub, **there)
    assert answer.status_code == 200, answer.text
    assert answer.json()["handled"] == {"dossier_code": new}
    shown = {it["kind"]: it for it in answer.json()["items"]}
    assert len(answer.json()["items"]) == 2, "what nobody certified is not shown"
    assert (shown["result"]["dossier_code"], shown["result"]["sha256"]) == (earlier, "ab" * 32)
    assert shown["component"]["url"] == PAPER["url"]
    page = await hub.post("/v1/persons/documents", {"personal_id": WHO, "limit": 1}, headers=PURPOSE, **there)
    rest = {"personal_id": WHO, "limit": 1, "cursor": page.json()["next_cursor"]}
    second = await hub.post("/v1/persons/documents", rest, headers=PURPOSE, **there)
    assert len({it["sha256"] for it in page.json()["items"] + second.json()["items"]}) == 2
    assert second.json()["next_cursor"] is None
    await hub.act(new, "withdraw", role="portal", reason="Thôi")
    assert (await documents(hub, **there)).status_code == 403, "and not afterwards"


async def test_the_purpose_is_obligatory_and_the_number_well_formed(hub: Hub) -> None:
    await hub.file()
    for headers in ({}, {"hub-purpose": " "}):
        answer = await documents(hub, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "purpose_required")
    assert (await documents(hub, "1 OR 1=1")).status_code == 422
    answer = await hub.post("/v1/persons/documents", {"personal_id": WHO, "cursor": "WyJ4Il0"}, headers=PURPOSE)
    assert answer.status_code == 422
    assert (await documents(hub, scopes="dossier:write")).status_code == 403


async def test_reuse_is_recorded_and_counted(hub: Hub) -> None:
    earlier = await finished(hub)
    reused = [
        PAPER | {"reused": "component", "reused_from": earlier},
        {"name": "Giấy khai sinh", "sha256": "ab" * 32, "reused": "result", "reused_from": earlier},
    ]
    new = await hub.file(agency_code="H08.16", attachments=reused)
    found = (await hub.get(f"/v1/dossiers/{new}", headers=PURPOSE)).json()
    assert [it["reused_from"] for it in found["attachments"]] == [earlier, earlier]
    (line,) = await hub.batch("/v1/dossiers/batch", [a_filing(attachments=reused[:1])], role="portal")
    assert line["status"] == 201
    await hub.act(new, "receive")
    added = {"attachments": [reused[0]]}
    await hub.act(new, "request_supplement", reason="Thiếu")
    assert (await hub.act(new, "supplement", role="portal", **added)).status_code == 200
    (count,) = (await hub.get("/v1/dossiers/counts?agency=H08.16")).json()["items"]
    assert (count["reused"], count["reused_components"]) == (1, 3)


async def test_what_is_not_the_applicants_own_is_refused(hub: Hub) -> None:
    earlier = await finished(hub)
    good = PAPER | {"reused": "component", "reused_from": earlier}
    other = {"kind": "citizen", "full_name": "Lê Văn Cường", "personal_id": "052190000777"}
    nobody = {"kind": "citizen", "full_name": "Lê Văn Cường"}
    before = (await hub.rows("SELECT count(*) AS n FROM dossier"))[0]["n"]
    for changes, status, code in (
        ({"attachments": [good], "applicant": other}, 409, "reused_document_not_found"),
        ({"attachments": [good], "applicant": nobody}, 409, "reused_document_not_found"),
        ({"attachments": [good | {"sha256": "ef" * 32}]}, 409, "reused_document_not_found"),
        ({"attachments": [good | {"reused": "result"}]}, 409, "reused_document_not_found"),
        ({"attachments": [good | {"reused_from": "H08.15-230301-9999"}]}, 409, "reused_document_not_found"),
        ({"attachments": [good | {"reused": "none"}]}, 422, "invalid_request"),
        ({"attachments": [good | {"sha256": None}]}, 422, "invalid_request"),
    ):
        answer = await hub.post("/v1/dossiers", a_filing(**changes), role="portal")
        assert (answer.status_code, answer.json()["code"]) == (status, code), changes
        (line,) = await hub.batch("/v1/dossiers/batch", [a_filing(**changes)], role="portal")
        assert line["status"] == status
        both = {"dossiers": [a_filing(attachments=[]), a_filing(**changes)]}
        answer = await hub.post("/v1/dossiers/combined", both, role="portal")
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await hub.rows("SELECT count(*) AS n FROM dossier"))[0]["n"] == before
    stranger = await hub.file(applicant=other)
    await hub.act(stranger, "receive")
    refused = await hub.act(stranger, "start", attachments=[good])
    assert (refused.status_code, refused.json()["code"]) == (409, "reused_document_not_found")


async def test_a_citizen_certifies_nothing(hub: Hub) -> None:
    answer = await hub.post("/v1/dossiers", a_filing(attachments=[PAPER | {"certified": True}]), role="portal")
    assert (answer.status_code, answer.json()["code"]) == (403, "action_not_for_role")
    code = await hub.file(attachments=[])
    await hub.act(code, "request_supplement", reason="Thiếu")
    certified = {"attachments": [PAPER | {"certified": True}]}
    assert (await hub.act(code, "supplement", role="portal", **certified)).status_code == 403
    assert (await hub.act(code, "supplement", role="desk", **certified)).status_code == 200


async def test_an_address_inside_is_refused_wherever_it_comes_in(hub: Hub) -> None:
    code = await hub.file(applicant={"kind": "citizen", "full_name": "Nguyễn Thị An"})
    for action in ("receive", "start"):
        await hub.act(code, action)
    for host in ("127.0.0.1", "10.1.2.3", "[::1]", "169.254.169.254", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"):
        paper = {"name": "a.pdf", "url": f"http://{host}/a"}
        assert (await hub.post("/v1/dossiers", a_filing(attachments=[paper]), role="portal")).status_code == 422
        refused = await hub.act(code, "finish", result={"documents": [paper]})
        assert refused.status_code == 422
        assert host not in refused.text
