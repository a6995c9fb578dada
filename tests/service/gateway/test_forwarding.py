"""What crosses the gateway, and what does not."""

from .conftest import Hub


async def test_a_request_reaches_its_service_and_is_recorded(hub: Hub) -> None:
    answer = await hub.client.get("/v1/dossiers/H08.15-230301-0001?include=history", headers=await hub.headers())
    assert answer.status_code == 200, answer.text
    assert hub.behind.seen[-1]["target"] == "v1/dossiers/H08.15-230301-0001?include=history"
    assert hub.behind.header("hub-exchange-id") == answer.headers["hub-exchange-id"]
    record = (await hub.exchanges())[-1]
    assert str(record["id"]) == answer.headers["hub-exchange-id"]
    assert (record["client_id"], record["role"], record["status"]) == ("portal", "portal", 200)
    assert record["dossier_code"] == "H08.15-230301-0001"
