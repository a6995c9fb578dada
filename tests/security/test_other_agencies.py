"""Row 25: what is another agency's is not there, by no path, verb, list, batch, key or event."""

import json
from typing import Any

import pytest

from gateway.documenting import merged
from tests.e2e.journey import ACTOR
from tests.security.hub import OURS, Hub, shape
from tests.security.rules import OF_AN_AGENCY, RULES, WITH_SCOPE, Rule
from tests.security.world import MARK, World, a_filing
from tests.support.documents import documents
from tests.support.stack import eventually

pytestmark = pytest.mark.timeout(300)
PURPOSE = "Gi%E1%BA%A3i quy%E1%BA%BFt h%E1%BB%93 s%C6%A1"
UNKNOWN = {
    "dossier": "H08.02-230301-999999",
    "payment": "01890000-0000-7000-8000-000000000000",
    "verification": "01890000-0000-7000-8000-000000000000",
    "petition": "01890000-0000-7000-8000-000000000000",
}


def test_an_object_in_a_path_is_an_agencys_or_explained() -> None:
    assert {name for name, rule in RULES.items() if ("{" in name) != (rule.object != "none")} == set()


@pytest.mark.parametrize(("name", "rule"), OF_AN_AGENCY.items())
def test_another_agencys_object_is_as_unknown_as_none(hub: Hub, world: World, name: str, rule: Rule) -> None:
    method, template = name.split(" ")
    before, _, after = template.partition("{")
    rest = after.partition("}")[2]

    def asked(of: str) -> Any:
        body = None if method == "GET" else dict(rule.body or {})
        headers = {"hub-purpose": PURPOSE}
        return hub.call(method, f"{before}{of}{rest}", world.ours.token, body, headers=headers)

    foreign, unknown = asked(world.theirs.of(rule.object)), asked(UNKNOWN[rule.object])
    assert foreign.status_code == 404
    assert shape(foreign) == shape(unknown)
    assert asked(world.ours.of(rule.object)).status_code != 404, "and ours is found: the probe is right"


def queries(world: World, path: str) -> list[str]:
    """A list asked in every way its document offers: each filter with what the other agency's object would match."""
    theirs = world.theirs
    wanted = {
        "agency": theirs.agency, "province": theirs.agency, "dossier_code": theirs.dossier,
        "external_reference": theirs.reference, "procedure": "2.000488", "include": "history", "limit": "500",
        "received_from": "2020-01-01", "received_to": "2050-01-01", "channel": "online", "overdue": "false",
        "status": "received", "state": "synced", "verdict": "differs", "late_within_hours": "2000",
    }  # fmt: skip
    period = {"from": "2020-01-01", "to": "2050-01-01"}
    offered = {
        each["name"]
        for each in merged(documents(), "http://hub")["paths"][path]["get"].get("parameters", ())
        if each["in"] == "query"
    }
    always = "&".join(f"{name}={value}" for name, value in period.items() if name in offered)
    filters = [f"{name}={value}" for name, value in wanted.items() if name in offered]
    return [f"{path}?{always}", *(f"{path}?{always}&{each}" for each in filters)]


@pytest.mark.parametrize("name", [name for name in WITH_SCOPE if name.startswith("GET") and "{" not in name])
def test_no_list_shows_what_is_another_agencys(hub: Hub, world: World, name: str) -> None:
    shown = 0
    for asked in queries(world, name.split(" ")[1]):
        for accept in ("application/json", "text/csv"):
            headers = {"hub-purpose": PURPOSE, "accept": accept}
            answer = hub.call("GET", asked, world.ours.token, headers=headers)
            assert answer.status_code in (200, 403, 404, 406, 422), f"{asked}: {answer.text}"
            assert MARK not in answer.text, asked
            assert world.theirs.dossier not in answer.text.replace(asked, ""), asked
            assert world.theirs.payment not in answer.text, asked
            shown += answer.status_code == 200
    assert shown or name in ("GET /v1/exchanges", "GET /v1/events")  # these ask for one dossier


def test_a_list_names_no_other_agency(hub: Hub, world: World) -> None:
    for path in ("/v1/dossiers", "/v1/payments", "/v1/sync/dossiers"):
        for narrowed in ("", f"?agency={world.theirs.agency}", "?agency=H08"):
            answer = hub.call("GET", path + narrowed, world.ours.token)
            assert answer.status_code == 200, answer.text
            found = {item["agency_code"] for item in answer.json()["items"]}
            assert found <= {world.ours.agency}, path + narrowed


def test_reports_and_counts_are_of_the_callers_agencies(hub: Hub, world: World) -> None:
    period = "from=2020-01-01&to=2050-01-01&province=H08"
    for report in ("agencies", "fees"):
        rows = hub.call("GET", f"/v1/reports/{report}?{period}", world.ours.token).json()["items"]
        assert {row.get("agency_code", row.get("code", world.ours.agency)) for row in rows} <= {world.ours.agency}
    ours = hub.call("GET", "/v1/sync/status", world.ours.token).json()["destinations"][0]["counts"]
    one = hub.call("GET", "/v1/sync/dossiers?limit=500", world.ours.token).json()
    if one["next_cursor"] is None:
        assert sum(ours.values()) == len(one["items"])


def test_a_cursor_of_another_agencys_page_shows_nothing_of_it(hub: Hub, world: World) -> None:
    theirs = hub.call("GET", "/v1/dossiers?limit=1", hub.token("desk")).json()["next_cursor"]
    answer = hub.call("GET", f"/v1/dossiers?cursor={theirs}", world.ours.token)
    assert answer.status_code == 200
    assert {item["agency_code"] for item in answer.json()["items"]} <= {world.ours.agency}


def test_a_search_by_another_agencys_citizen_finds_nothing(hub: Hub, world: World) -> None:
    asked = {"personal_id": world.theirs.citizen["personal_id"]}
    headers = {"hub-purpose": PURPOSE}
    for more in ({}, {"agency": world.theirs.agency}):
        answer = hub.call("POST", "/v1/dossiers/search", world.ours.token, asked | more, headers=headers)
        assert (answer.status_code, answer.json()["items"]) == (200, [])


def test_tracking_tells_status_and_dates_and_nobodys_name(hub: Hub, world: World) -> None:
    answer = hub.call("GET", f"/v1/tracking/{world.theirs.dossier}", world.ours.token, headers={"hub-purpose": "x"})
    assert answer.status_code == 200
    assert MARK not in answer.text
    for value in (world.theirs.citizen["personal_id"], world.theirs.citizen["date_of_birth"], world.theirs.reference):
        assert value not in answer.text


def test_a_batch_files_nothing_for_another_agency_and_gives_no_first_answer_of_its(hub: Hub, world: World) -> None:
    theirs = world.theirs
    line = theirs.filing | {"idempotency_key": theirs.key}
    mine = a_filing(world.ours.agency, world.ours.citizen, "x", None) | {"idempotency_key": theirs.key}
    refused, stored = hub.lines("/v1/dossiers/batch", world.ours.token, line, mine)
    assert (refused["status"], refused["problem"]["code"]) == (403, "agency_not_permitted")
    assert theirs.dossier not in json.dumps(refused)
    assert (stored["status"], stored.get("replayed")) == (201, None)


def test_a_batch_of_actions_finds_no_dossier_of_another_agency(hub: Hub, world: World) -> None:
    action = {"action": "start", "actor": ACTOR}
    foreign, unknown = hub.lines(
        "/v1/dossiers/transitions/batch",
        world.ours.token,
        {"code": world.theirs.dossier, **action},
        {"code": UNKNOWN["dossier"], **action},
    )
    assert foreign["status"] == 404
    assert {**foreign, "index": 0} == {**unknown, "index": 0}
    assert hub.call("GET", f"/v1/dossiers/{world.theirs.dossier}", world.theirs.token).json()["status"] == "received"


def test_a_key_is_its_clients_own(hub: Hub, world: World) -> None:
    theirs, headers = world.theirs, {"idempotency-key": world.theirs.key}
    stranger = hub.token("desk", agencies=OURS, name="stranger")
    same = hub.call("POST", "/v1/dossiers", stranger, theirs.filing, headers=headers)
    assert (same.status_code, same.json()["code"]) == (403, "agency_not_permitted")
    # Even a client of the very same agency has keys and references of its own.
    colleague = hub.token("desk", agencies=(theirs.agency,), name="colleague")
    second = hub.call("POST", "/v1/dossiers", colleague, theirs.filing, headers=headers)
    assert second.status_code == 201
    assert second.json()["code"] != theirs.dossier
    assert "idempotency-replayed" not in second.headers
    first = hub.call("POST", "/v1/dossiers", theirs.token, theirs.filing, headers=headers)
    assert (first.json()["code"], first.headers["idempotency-replayed"]) == (theirs.dossier, "true")


def test_bodies_that_name_another_agencys_dossier_find_none(hub: Hub, world: World) -> None:
    ours, theirs = world.ours, world.theirs
    person = {name: ours.citizen[name] for name in ("personal_id", "full_name", "date_of_birth")}
    asked = person | {"purpose": "Giải quyết hồ sơ", "legal_basis": "NĐ 61/2018", "officer": "x"}
    at = "2026-01-05T09:00:00+07:00"
    bodies: dict[str, dict[str, Any]] = {
        "/v1/ratings": {"score": "satisfied"},
        "/v1/petitions": {"agency_code": ours.agency, "subject": "x"},
        "/v1/payments/counter": {
            "amount_vnd": 1, "collected_by": "x", "collected_at": at, "receipt_number": f"X-{theirs.dossier}",
        },
        "/v1/citizens/verify": asked,
        "/v1/citizens/lookup": asked | {"fields": ["gender"]},
    }  # fmt: skip
    for path, body in bodies.items():
        foreign, unknown = (
            hub.call("POST", path, ours.token, body | {"dossier_code": code})
            for code in (theirs.dossier, UNKNOWN["dossier"])
        )
        assert foreign.status_code == 404, f"{path}: {foreign.text}"
        assert shape(foreign) == shape(unknown), path


def test_another_agencys_exchanges_are_not_shown(hub: Hub, world: World) -> None:
    foreign = hub.call("GET", f"/v1/exchanges?dossier_code={world.theirs.dossier}", world.ours.token)
    assert foreign.status_code == 404
    whole = hub.call("GET", "/v1/exchanges", world.ours.token)
    assert (whole.status_code, whole.json()["code"]) == (403, "agency_not_permitted")


def test_a_ministry_moves_no_dossier_beyond_its_agencies(hub: Hub, world: World) -> None:
    theirs = world.theirs
    ministry = hub.token("ministry", agencies=OURS)
    seen = hub.call("GET", f"/v1/dossiers/{theirs.dossier}", theirs.token).json()
    event: dict[str, Any] = {
        "specversion": "1.0", "id": f"foreign-{theirs.dossier}", "source": "/ministry/x",
        "type": "vn.gov.ministry.dossier.progressed.v1",
        "data": {"dossier_code": theirs.dossier, "action": "start", "actor": ACTOR, "at": "2026-01-05T09:00:00+07:00"},
    }  # fmt: skip
    pushed = hub.call("POST", "/v1/events", ministry, event, headers={"content-type": "application/cloudevents+json"})
    assert (pushed.status_code, pushed.json()["accepted"]) == (202, 1)
    eventually(lambda: hub.parked("dossier", event["id"]), why="the event parked as the partner's")
    assert hub.parked("dossier", event["id"])[0]["owner"] == "partner"
    assert hub.call("GET", f"/v1/dossiers/{theirs.dossier}", theirs.token).json() == seen


def test_a_key_used_on_one_route_is_no_answer_on_another(hub: Hub, world: World) -> None:
    """Also without bodies: a release under the key of the hold before it must release."""
    operator, key = hub.token("operator", name="keys"), {"idempotency-key": f"one-{world.ours.dossier}"}
    assert hub.call("POST", "/v1/sync/hold", operator, headers=key).status_code == 200
    paths = [each.replace("{code}", world.ours.dossier).partition(" ")[2] for each in RULES if each.startswith("POST")]
    for path in paths:
        if path.startswith("/v1/") and path != "/v1/sync/hold":
            answer = hub.call("POST", path, operator, headers=key)
            assert "idempotency-replayed" not in answer.headers, path
    assert hub.call("POST", "/v1/sync/release", operator).status_code == 200
    (destination,) = hub.call("GET", "/v1/sync/status", operator).json()["destinations"]
    assert destination["hold"] is None
