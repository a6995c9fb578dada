"""Agencies in time: aliases in both forms, successors, the mergers of 2025-07-01."""

from datetime import UTC, datetime
from typing import Any

from dossier import cataloguing
from shared import clock
from tests.service.dossier.conftest import SCOPES, Hub, a_filing
from tests.service.dossier.test_catalogue import KEEPER, put
from tests.service.dossier.test_verdicts import codes

IMPORT = SCOPES + " dossier:import"
THEN = datetime(2025, 3, 3, 2, 0, tzinfo=UTC)
NEW = {"name": "Sở Tư pháp mới", "parent": "H21"}
ENDED = {"name": "Sở Tư pháp", "parent": "H08", "valid_to": "2025-06-30", "successor": "H21.05"}


async def filed(hub: Hub, agency: str, day: datetime | None = None, **who: Any) -> Any:
    body = a_filing(agency_code=agency, **({} if day is None else {"submitted_at": day.isoformat()}))
    return await hub.post("/v1/dossiers", body, scopes=IMPORT, **who)


async def test_a_retired_code_leads_to_its_successor_who_has_the_old_dossiers_too(hub: Hub) -> None:
    old = (await filed(hub, "H08.15", THEN)).json()["code"]
    assert (await put(hub, "/v1/agencies/H21.05", NEW)).status_code == 201
    assert (await put(hub, "/v1/agencies/H08.15", ENDED)).status_code == 200
    # Filed today under the retired code, in either form: it is the successor's.
    for code in ("H08.15", "000.00.15.H08"):
        new = await filed(hub, code, agencies=("H21",))
        assert (new.status_code, new.json()["agency_code"]) == (201, "H21.05"), new.text
    # Who has no more than the retired code may not file with the successor; of its own time it may.
    assert (await filed(hub, "H08.15", agencies=("H08.15",))).json()["code"] == "agency_not_permitted"
    assert (await filed(hub, "H08.15", THEN, agencies=("H08.15",))).json()["agency_code"] == "H08.15"
    # The old dossier keeps its code and its agency; the successor sees it, works on it, lists it.
    for agencies in (("H21.05",), ("000.00.05.H21",), ("H21",), ("H08",)):
        read = await hub.get(f"/v1/dossiers/{old}", agencies=agencies)
        assert (read.status_code, read.json()["agency_code"]) == (200, "H08.15")
    assert (await hub.get(f"/v1/dossiers/{old}", agencies=("H21.06",))).status_code == 404
    assert old in await codes(hub, "agency=H08.15", agencies=("H21.05",))
    act = await hub.post(f"/v1/dossiers/{old}/transitions", {"action": "receive"}, agencies=("H21.05",))
    assert act.status_code == 200


async def test_a_future_end_gives_nobody_anything_yet(hub: Hub) -> None:
    old = (await filed(hub, "H08.15")).json()["code"]
    await put(hub, "/v1/agencies/H21.05", NEW)
    tomorrow = clock.local_date(clock.now()).replace(year=2040).isoformat()
    await put(hub, "/v1/agencies/H08.15", {**ENDED, "valid_to": tomorrow})
    assert (await hub.get(f"/v1/dossiers/{old}", agencies=("H21.05",))).status_code == 404
    assert (await filed(hub, "H08.15")).json()["agency_code"] == "H08.15"


async def test_every_look_up_takes_any_alias_in_either_form(hub: Hub) -> None:
    body = {"name": "Sở Mẫu", "parent": "H08", "aliases": ["000.00.44.H56", "SM-77"]}
    assert (await put(hub, "/v1/agencies/H08.77", body)).status_code == 201
    for alias in ("H08.77", "000.00.77.H08", "000.00.44.H56", "H56.44", "SM-77"):
        found = await hub.get(f"/v1/agencies/{alias}", **KEEPER)
        assert (found.status_code, found.json()["code"]) == (200, "H08.77"), alias
    code = (await filed(hub, "H56.44")).json()["code"]
    assert code.startswith("H08.77-")
    for alias in ("H08.77", "H56.44", "000.00.44.H56", "SM-77"):
        assert await codes(hub, f"agency={alias}") == [code], alias
    body = {"personal_id": "052190000123", "agency": "000.00.44.H56"}
    found = await hub.post("/v1/dossiers/search", body, headers={"hub-purpose": "search"})
    assert [item["code"] for item in found.json()["items"]] == [code]
    assert await codes(hub, "", agencies=("000.00.77.H08",)) == [code]


async def test_a_code_names_one_agency(hub: Hub) -> None:
    assert (await put(hub, "/v1/agencies/H08.77", {"name": "Một", "aliases": ["H56.44"]})).status_code == 201
    for path, aliases in (
        ("H08.78", ["000.00.44.H56"]), ("H08.78", ["000.00.77.H08"]), ("H08.78", ["H08.15"]), ("H56.44", []),
    ):  # fmt: skip
        refused = await put(hub, f"/v1/agencies/{path}", {"name": "Hai", "aliases": aliases})
        assert (refused.status_code, refused.json()["code"]) == (409, "alias_taken"), (path, aliases)
    for wrong in ({"parent": "H08.78"}, {"successor": "H08.78"}):
        assert (await put(hub, "/v1/agencies/H08.78", {"name": "Hai", **wrong})).status_code == 422


async def test_agencies_of_a_day_and_of_a_ministry(hub: Hub) -> None:
    await put(hub, "/v1/agencies/H08.15", ENDED)
    vertical = await put(hub, "/v1/agencies/H08.90", {"name": "Cục Thuế", "parent": "H08", "vertical": True})
    assert vertical.json()["vertical"] is True
    for day, there in (("2025-06-30", True), ("2025-07-01", False)):
        page = (await hub.get(f"/v1/agencies?limit=500&day={day}", **KEEPER)).json()["items"]
        assert ("H08.15" in [it["code"] for it in page]) is there
    below = (await hub.get("/v1/agencies?parent=000.00.00.H08&limit=500", **KEEPER)).json()["items"]
    assert "H08.90" in [it["code"] for it in below]


async def test_the_mergers_end_provinces_and_districts_once(hub: Hub) -> None:
    await put(hub, "/v1/agencies/H08.30", {"name": "UBND huyện Mẫu", "level": "district", "parent": "H08"})
    await put(hub, "/v1/agencies/H21.30", {"name": "UBND huyện Ví Dụ", "level": "district", "parent": "H21"})
    await put(hub, "/v1/agencies/H21.31", {"name": "UBND xã Ví Dụ", "level": "commune", "parent": "H21.30"})
    async with hub.database.transaction() as tx:
        first = await cataloguing.merge(tx)
    async with hub.database.transaction() as tx:
        assert (first > 63, await cataloguing.merge(tx)) == (True, 0)

    async def agency(code: str) -> Any:
        return (await hub.get(f"/v1/agencies/{code}", **KEEPER)).json()

    assert (await agency("H08"))["successor"] == "H21"
    assert ((await agency("H08.15"))["valid_to"], (await agency("H08.15"))["successor"]) == ("2025-06-30", "H21")
    assert ((await agency("H21.30"))["valid_to"], (await agency("H21.30"))["successor"]) == ("2025-06-30", "H21")
    assert (await agency("H21.31"))["valid_to"] is None
    assert (await agency("000.00.00.H21"))["name"] == "Tỉnh Gia Lai"
    new = await filed(hub, "H08.15", agencies=("H21",))
    assert (new.status_code, new.json()["agency_code"]) == (201, "H21"), new.text
    assert (await filed(hub, "H08.15", THEN)).json()["agency_code"] == "H08.15"


async def test_the_catalogue_is_written_in_either_form_and_kept_in_the_present_one(hub: Hub) -> None:
    made = await put(hub, "/v1/agencies/000.00.77.H08", {"name": "Sở Mẫu", "parent": "000.00.00.H08"})
    assert (made.status_code, made.json()["code"], made.json()["parent"]) == (201, "H08.77", "H08")
    same = await put(hub, "/v1/agencies/H08.77", {"name": "Sở Mẫu", "parent": "H08"})
    assert (same.status_code, same.json()) == (200, made.json())
    ended = await put(hub, "/v1/agencies/H08.78", {**ENDED, "successor": "000.00.77.H08"})
    assert ended.json()["successor"] == "H08.77"
    itself = await put(hub, "/v1/agencies/H08.77", {"name": "Sở Mẫu", "successor": "000.00.77.H08"})
    assert itself.status_code == 422
    body = {
        "name": "Thử", "field_code": "F", "field_name": "F", "agencies": ["000.00.77.H08"],
        "limits": [{"channel": "online", "value": 5, "unit": "working_days"}],
    }  # fmt: skip
    assert (await put(hub, "/v1/procedures/9.000077", body)).json()["agencies"] == ["H08.77"]
    filing = a_filing(agency_code="H08.77", procedure_code="9.000077")
    assert (await hub.post("/v1/dossiers", filing)).status_code == 201


async def test_two_papers_of_a_procedure_have_two_codes(hub: Hub) -> None:
    papers = [{"code": "TP01", "name": "Đơn"}, {"code": "TP01", "name": "Bản sao"}]
    body = {
        "name": "Thử", "field_code": "F", "field_name": "F",
        "limits": [{"channel": "online", "value": 5, "unit": "working_days"}],
    }  # fmt: skip
    for members in ({"components": papers}, {"results": papers}):
        assert (await put(hub, "/v1/procedures/9.000078", body | members)).status_code == 422
    assert (await hub.get("/v1/procedures/9.000078", **KEEPER)).status_code == 404


async def test_a_dossier_is_found_by_its_code_in_the_former_form(hub: Hub) -> None:
    code = await hub.file()
    former = code.replace("H08.15-", "000.00.15.H08-")
    for path in ("", "/history", "/corrections"):
        assert (await hub.get(f"/v1/dossiers/{former}{path}")).status_code == 200, path
    assert (await hub.get(f"/v1/tracking/{former}")).json()["code"] == code
    assert (await hub.act(former, "receive")).json()["status"] == "received"
    [line] = await hub.batch("/v1/dossiers/transitions/batch", [{"code": former, "action": "start"}])
    assert (line["status"], line["code"]) == (200, code)
    rated = await hub.post("/v1/ratings", {"dossier_code": former, "score": "satisfied"})
    assert (rated.status_code, rated.json()["dossier_code"]) == (201, code)


async def test_the_other_services_are_told_who_has_which_dossiers(hub: Hub) -> None:
    await put(hub, "/v1/agencies/H21.05", NEW)
    await put(hub, "/v1/agencies/H08.15", ENDED)
    service = {"role": "service", "audience": "lgsp-internal"}
    told = await hub.get("/internal/agencies/successions", **service)
    assert (told.status_code, told.json()["items"]["H08.15"]) == (200, "H21.05")
    assert (await hub.get("/internal/agencies/successions")).status_code == 401
