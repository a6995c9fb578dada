"""The national portal comes in: known addresses, the shared credential, its own quota, a record of each exchange."""

import base64
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from typing import Any

import pytest
from pydantic import SecretStr

from tests.service.gateway.conftest import CODE, Hub

pytestmark = pytest.mark.timeout(120)
GOOD = "Basic " + base64.b64encode(b"dvcqg:bi-mat").decode()
PORTAL = ip_network("203.0.113.0/24")
OURSELVES = ip_network("127.0.0.0/8")
OTHER = "H08.16-230301-0007"


async def sent(hub: Hub, **headers: str) -> int:
    """The status of a message with these headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await hub.client.post("/dvcqg/dossiers", content=b'{"data": []}', headers=named)
    if answer.status_code == 401:
        assert answer.json()["code"] == "unauthenticated"
        assert answer.headers["www-authenticate"].startswith("Basic")
    return int(answer.status_code)


async def test_the_portal_comes_in_and_leaves_a_record(start_hub: Callable[..., Awaitable[Hub]]) -> None:
    settings: dict[str, Any] = {"portal_networks": (OURSELVES,), "portal_inbound_secret": SecretStr("bi-mat")}
    hub = await start_hub(**settings, quota_burst=3, quota_per_second=0.001)
    hub.behind.answer = b'{"error_code": 0}'
    hub.behind.headers = {"hub-dossier-code": f"{CODE},{OTHER}"}
    for wrong in ({}, {"authorization": "Basic eDp5"}, {"authorization": f"Bearer {await hub.token()}"}):
        assert await sent(hub, **wrong) == 401
    assert hub.behind.seen == [], "a stranger does not reach the service"
    assert await sent(hub, authorization=GOOD, hub_exchange_id="forged") == 200
    assert hub.behind.header("authorization") == GOOD, "the service looks for itself"
    assert hub.behind.header("hub-exchange-id") != "forged"
    (record,) = [it for it in await hub.exchanges() if it["path"] == "/dvcqg/dossiers"]
    assert (record["client_id"], record["role"], record["status"]) == ("dvcqg", "portal", 200)
    for code in (CODE, OTHER):
        answer = await hub.client.get(f"/v1/exchanges?dossier_code={code}", headers=await hub.headers("operator"))
        assert [it["id"] for it in answer.json()["items"]] == [str(record["id"])], code
    assert [await sent(hub, authorization=GOOD) for _ in range(3)] == [200, 200, 429], "its quota holds for it, too"


async def test_the_address_is_the_connections_unless_a_proxy_is_trusted(
    start_hub: Callable[..., Awaitable[Hub]],
) -> None:
    settings: dict[str, Any] = {"portal_networks": (PORTAL,), "portal_inbound_secret": SecretStr("bi-mat")}
    hub = await start_hub(**settings)
    for name in ("x_forwarded_for", "x_real_ip", "forwarded", "client_ip", "x_client_ip"):
        assert await sent(hub, authorization=GOOD, **{name: "203.0.113.9"}) == 401, name
    behind_a_proxy = await start_hub(**settings, trusted_proxies=(OURSELVES,))
    assert await sent(behind_a_proxy, authorization=GOOD) == 401
    assert await sent(behind_a_proxy, authorization=GOOD, x_forwarded_for="203.0.113.9, 198.51.100.1") == 401
    assert await sent(behind_a_proxy, authorization=GOOD, x_forwarded_for="198.51.100.1, 203.0.113.9") == 200
