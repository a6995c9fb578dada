"""Apologies over REST."""

from datetime import UTC, datetime, timedelta

from tests.service.dossier.conftest import Hub
from tests.service.dossier.test_corrections import CHI, asked, decided
from tests.service.dossier.test_verdicts import IMPORT, a_received, act_at

BEGAN = datetime(2023, 3, 1, 2, 0, tzinfo=UTC)
LETTER = {"name": "Thư xin lỗi", "number": "12/XL"}


async def test_an_apology_is_kept_with_its_promise_and_moves_no_due_time(hub: Hub) -> None:
    code = await a_received(hub, BEGAN)
    due = (await hub.get(f"/v1/dossiers/{code}")).json()["due_at"]
    late, promised = BEGAN + timedelta(days=60), BEGAN + timedelta(days=70)
    more = {"reason": "Quá tải", "new_due_at": promised.isoformat()}
    early = {"action": "apologise", "at": (BEGAN + timedelta(days=1)).isoformat(), **more}
    refused = await hub.post(f"/v1/dossiers/{code}/transitions", early, scopes=IMPORT)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_late")
    await act_at(hub, code, "apologise", late, apology=LETTER, **more)
    read = (await hub.get(f"/v1/dossiers/{code}")).json()
    assert read["due_at"] == due
    (apology,) = read["apologies"]
    assert (datetime.fromisoformat(apology["promised_at"]), apology["letter"]["number"]) == (promised, "12/XL")
    row = (await hub.get(f"/v1/dossiers/{code}/history")).json()["items"][-1]
    assert row["apology"]["letter"]["name"] == LETTER["name"]
    assert (await hub.events(code))[-1]["type"] == "vn.lgsp.dossier.apologised.v1"
    # A correction made later keeps it.
    it = await asked(hub, code, times=[{"version": 2, "at": (BEGAN + timedelta(hours=1)).isoformat()}])
    assert (await decided(hub, code, it["correction_id"], CHI)).status_code == 200
    assert (await hub.get(f"/v1/dossiers/{code}")).json()["apologies"] == [apology]


async def test_an_extension_takes_its_letter_along(hub: Hub) -> None:
    code = await a_received(hub, BEGAN)
    new_due_at = (BEGAN + timedelta(days=40)).isoformat()
    await act_at(hub, code, "extend", BEGAN + timedelta(days=1), reason="x", new_due_at=new_due_at, apology=LETTER)
    read = (await hub.get(f"/v1/dossiers/{code}")).json()
    assert [it["letter"]["number"] for it in read["apologies"]] == ["12/XL"]
