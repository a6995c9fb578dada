"""Effects without a record: a gateway was killed after the service acted and before the log was written."""

import asyncio
import itertools
import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from gateway import recording
from shared import clock
from shared.events import new_id

from .conftest import CODE, Hub
from .test_exchange_log import PATH, Start


async def recovered(hub: Hub, exchange_id: str) -> list[dict[str, object]]:
    """Its records, once there are any."""
    async with asyncio.timeout(40):
        while True:
            found = [record for record in await hub.exchanges() if str(record["id"]) == exchange_id]
            if found:
                return found
            await asyncio.sleep(0.05)


async def test_an_effect_without_a_record_gets_one_marked_recovered(start_hub: Start, tmp_path: Path) -> None:
    hub = await start_hub(
        service_key_file=tmp_path / "payment.json", recover_after_seconds=0.2, recover_every_seconds=0.05
    )
    answer = await hub.client.get(PATH, headers=await hub.headers())
    written, lost = answer.headers["hub-exchange-id"], new_id()
    codes = [CODE, "H08.15-230301-0002"]
    effect = {"client_id": "portal", "recorded_at": clock.now().isoformat(), "dossier_codes": codes}
    items = [effect | {"exchange_id": written}, effect | {"exchange_id": lost}]
    hub.behind.answer = json.dumps({"items": items}).encode()
    hub.behind.headers = {"content-type": "application/json"}
    [record] = await recovered(hub, lost)
    assert (record["kind"], record["client_id"], record["status"]) == ("recovered", "portal", 0)
    assert record["dossier_count"] == len(codes)
    await asyncio.sleep(0.5)
    assert len(await recovered(hub, lost)) == len(await recovered(hub, written)) == 1, "told again, recorded once"
    assert (await recording.verify(hub.urls.system)).flaw is None
    windows = [
        parse_qs(urlsplit(seen["target"]).query) for seen in hub.behind.seen if "internal/exchanges" in seen["target"]
    ]
    # No gap: the next window begins where the last ended, or, when its answer could not be read, where it began.
    assert all(later["after"] in (earlier["until"], earlier["after"]) for earlier, later in itertools.pairwise(windows))
