"""What operators may see: scopes, agencies, pages; and what they may not."""

import pytest

from tests.service.sync_national.conftest import READ, Hub
from tests.service.sync_national.province import a_dossier
from tests.service.sync_national.waiting import until_level


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/sync/status", "sync:read"),
        ("GET", "/v1/sync/dossiers", "sync:read"),
        ("GET", "/v1/sync/dossiers/H08.15-260302-0001", "sync:read"),
        ("POST", "/v1/sync/dossiers/H08.15-260302-0001/retry", "sync:operate"),
        ("POST", "/v1/sync/hold", "sync:operate"),
        ("POST", "/v1/sync/release", "sync:operate"),
    ],
)
async def test_every_route_asks_for_its_scope(hub: Hub, method: str, path: str, scope: str) -> None:
    client = await hub.start()
    other = ["sync:operate" if scope == "sync:read" else "sync:read", "dossier:read"]
    body = {"json": {"reason": "x"}} if path.endswith("hold") else {"json": {}} if path.endswith("release") else {}
    for headers, status in (
        ({"Authorization": ""}, 401),
        (hub.tokens.headers(scopes=other), 403),
        (hub.tokens.internal_headers(), 401),
    ):
        answer = await client.request(method, path, headers=headers, **body)  # type: ignore[arg-type]
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


async def test_another_agencys_dossier_does_not_exist(hub: Hub) -> None:
    client = await hub.start()
    ours, theirs = a_dossier(1, "H08.15"), a_dossier(2, "H08.01")
    codes = await hub.province.file(ours, theirs)
    await until_level(client, codes)
    headers = hub.tokens.headers(role="operator", scopes=["sync:read", "sync:operate"], agencies=["H08.15"])
    assert (await client.get(f"/v1/sync/dossiers/{codes[0]}", headers=headers)).status_code == 200
    assert (await client.get(f"/v1/sync/dossiers/{codes[1]}", headers=headers)).status_code == 404
    assert (await client.post(f"/v1/sync/dossiers/{codes[1]}/retry", headers=headers)).status_code == 404
    listed = (await client.get("/v1/sync/dossiers", headers=headers)).json()["items"]
    assert [item["code"] for item in listed] == [codes[0]]
    counts = (await client.get("/v1/sync/status", headers=headers)).json()["destinations"][0]["counts"]
    assert counts["synced"] == 1


async def test_lists_page_in_the_order_of_the_codes(hub: Hub) -> None:
    client = await hub.start(sync_delay_seconds=0.2)
    codes = await hub.province.file(*(a_dossier(n, f"H08.{n % 4 + 1:02d}") for n in range(1, 42)))
    await until_level(client, codes)
    seen: list[str] = []
    cursor = None
    while True:
        query = {"limit": "10"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/v1/sync/dossiers", params=query)).json()
        seen += [item["code"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted(codes)
    of_one = (await client.get("/v1/sync/dossiers", params={"agency": "H08.01"})).json()["items"]
    assert {item["agency_code"] for item in of_one} == {"H08.01"}
    of_all = (await client.get("/v1/sync/dossiers", params={"agency": "H08", "state": "synced"})).json()["items"]
    assert len(of_all) == 41
    for state in ("pending", "in_flight", "unknown", "failed", "parked", "held"):
        assert (await client.get("/v1/sync/dossiers", params={"state": state})).json()["items"] == []


@pytest.mark.parametrize("query", [{"state": "lost"}, {"cursor": "x"}, {"limit": "0"}, {"limit": "501"}])
async def test_a_malformed_question_is_refused(hub: Hub, query: dict[str, str]) -> None:
    client = await hub.start()
    answer = await client.get("/v1/sync/dossiers", params=query, headers=hub.tokens.headers(**READ))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_numbers_and_times_beyond_all_use_are_refused(hub: Hub) -> None:
    client = await hub.start()
    far, early = "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"
    answers = [
        await client.get("/v1/sync/layouts/dvcqg", params={"version": str(-(2**77))}),
        await client.post("/v1/sync/maintenance", json={"starts_at": far, "ends_at": far}),
        await client.post("/v1/sync/maintenance", json={"starts_at": "9999-12-31T00:00:00Z", "ends_at": far}),
        await client.post("/v1/sync/maintenance", json={"starts_at": early, "ends_at": far}),
    ]
    for moment in (far, early):
        query, kind = {"as_of": moment}, {"content-type": "text/csv"}
        answers.append(await client.post("/v1/sync/reconciliations", content=b"x", params=query, headers=kind))
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text


async def test_what_an_operator_did_names_its_exchange(hub: Hub) -> None:
    client = await hub.start()
    assert (await client.post("/v1/sync/hold", json={}, headers={"Hub-Exchange-Id": "held"})).status_code == 200
    refused = await client.post("/v1/sync/dossiers/H08.15-260302-0001/retry", headers={"Hub-Exchange-Id": "refused"})
    assert refused.status_code == 404
    window = {"after": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    kept = await client.get("/internal/exchanges", params=window, headers=hub.tokens.internal_headers("gateway"))
    assert [item["exchange_id"] for item in kept.json()["items"]] == ["held"]


async def test_what_was_sent_is_shown_to_who_states_a_purpose_and_proved(hub: Hub) -> None:
    client = await hub.start()
    (code,) = await hub.province.file(a_dossier(1))
    await until_level(client, [code])
    path, name = f"/v1/sync/dossiers/{code}", hub.province.dossiers[code]["applicant"]["full_name"]
    both = hub.tokens.headers(role="operator", scopes=["sync:read", "dossier:read"], agencies=["*"])
    purpose = {"Hub-Purpose": "The portal names another person"}

    async def seen(**headers: str) -> tuple[bool, bool, bool]:
        answer = (await client.get(path, headers=headers)).json()
        sent = answer["attempts"][-1]
        assert "digest" not in sent["request"]
        return sent["is_masked"], sent["request"]["record"]["ChuHoSo"] == name, answer["accepted_digest"] is not None

    assert await seen(**both, **purpose) == (False, True, True)
    assert await seen(**both) == (True, False, False)
    assert await seen(**both, **{"Hub-Purpose": " "}) == (True, False, False)
    assert await seen(**hub.tokens.headers(**READ), **purpose) == (True, False, False), "scope dossier:read is needed"
    hub.province.dossiers[code]["applicant"] = {**hub.province.dossiers[code]["applicant"], "full_name": "Lò Văn Tâm"}
    assert await seen(**both, **purpose) == (True, False, True), "what is now is not what was sent then"
    page = (await client.get(path, headers=both, params={"attempts_before": 1})).json()
    assert page["attempts"] == []
