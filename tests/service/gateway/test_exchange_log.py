"""Every exchange is evidence: complete, chained, provable; without it nothing is answered (faults.md rows 1, 34)."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
import pytest_asyncio

from gateway import proving
from gateway.exchange import Exchange
from gateway.recording import ExchangeLogUnavailable, Recorder
from shared import clock, web
from shared.events import new_id
from tests.support.database import Templates

from .conftest import CODE, Hub, a_hub

Start = Callable[..., Awaitable[Hub]]
PATH = f"/v1/dossiers/{CODE}"


async def a_log(hub: Hub, length: int = 6) -> None:
    headers = await hub.headers()
    await asyncio.gather(*(hub.client.get(PATH, headers=headers) for _ in range(length)))


@pytest_asyncio.fixture(scope="module")
async def a_written_log(
    tmp_path_factory: pytest.TempPathFactory, database_templates: Templates, kafka_bootstrap: str
) -> AsyncIterator[Hub]:
    """A gateway with seven records, and a copy of them to restore from."""
    async with a_hub(tmp_path_factory.mktemp("log"), database_templates, kafka_bootstrap) as hub:
        await a_log(hub)
        assert len(await hub.exchanges()) == 7
        for table in ("exchange", "exchange_dossier", "chain"):
            await hub.execute(f"CREATE TABLE {table}_before AS TABLE {table}")
        yield hub


async def test_a_record_says_who_what_when_and_why(hub: Hub) -> None:
    hub.behind.answer, hub.behind.status = b'{"code":"H08.15-230301-0007"}', 201
    hub.behind.headers = {"Location": "/v1/dossiers/H08.15-230301-0007"}
    headers = await hub.headers("desk") | {"Hub-Purpose": "Tiếp nhận hồ sơ"}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    answer = await hub.client.post("/v1/dossiers?person=052190000123", json={"a": 1}, headers=raw)
    assert answer.status_code == 201, answer.text
    record = (await hub.exchanges())[-1]
    assert (record["client_id"], record["method"], record["route"]) == ("desk", "POST", "/v1/dossiers")
    assert record["path"] == "/v1/dossiers"
    assert record["purpose"] == "Tiếp nhận hồ sơ"
    assert record["dossier_code"] == "H08.15-230301-0007"
    assert record["received_at"] <= record["answered_at"] <= record["recorded_at"]
    assert len(record["request_sha256"]) == len(record["response_sha256"]) == 32


OLD_FORM = CODE.replace("H08.15-", "000.00.15.H08-")
OTHER = "H08.20-230301-0001"


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("GET", f"/v1/dossiers/{OLD_FORM}", b""),
        ("GET", f"/v1/payments?dossier_code={OTHER}&dossier_code={CODE}", b""),
        ("GET", f"/v1/payments?dossier_code={OLD_FORM}", b""),
        ("POST", "/v1/payments/counter", f'{{"dossier_code":"{CODE}","lines":[{{"code":"{OTHER}"}}]}}'.encode()),
        ("POST", "/v1/citizens/lookup", b'{"dossier_\\u0063ode":"%b"}' % CODE.replace("-", "\\u002d").encode()),
        ("POST", "/v1/citizens/verify", b'{"dossier_code":"%b"}' % OLD_FORM.encode()),
    ],
)  # fmt: skip
async def test_the_dossier_is_the_one_that_the_service_reads(hub: Hub, method: str, target: str, body: bytes) -> None:
    """However its code is written: nobody hides from a dossier's log, or writes himself into another's."""
    answer = await hub.client.request(method, target, content=body, headers=await hub.headers("desk"))
    assert answer.status_code == 200, answer.text
    record = (await hub.exchanges())[-1]
    assert (record["dossier_code"], record["dossier_count"]) == (CODE, 1)


async def test_dossiers_filed_together_are_recorded_without_a_purpose(hub: Hub) -> None:
    hub.behind.answer, hub.behind.status = (
        b'{"items":[{"code":"%b"},{"code":"%b"}]}' % (CODE.encode(), OTHER.encode()),
        201,
    )
    answer = await hub.client.post("/v1/dossiers/combined", json={}, headers=await hub.headers())
    assert answer.status_code == 201, answer.text
    assert (await hub.exchanges())[-1]["dossier_count"] == 2


async def test_why_an_operator_did_it_is_kept_though_only_the_body_said_so(hub: Hub) -> None:
    hub.behind.answer, hub.behind.status = b'{"id":"x"}', 201
    hub.behind.headers = {"Hub-Purpose": "C%E1%BB%95ng%20%C4%91%C3%A3%20s%E1%BB%ADa"}
    answer = await hub.client.post("/v1/sync/retries", json={}, headers=await hub.headers("operator"))
    assert answer.status_code == 201, answer.text
    assert "hub-purpose" not in answer.headers
    record = (await hub.exchanges())[-1]
    assert (record["client_id"], record["route"], record["purpose"]) == ("operator", "/v1/sync/retries", "Cổng đã sửa")


async def test_batches_are_found_by_every_code_of_their_lines(hub: Hub) -> None:
    hub.behind.answer = (
        b"".join(b'{"index":%d,"status":201,"code":"H08.15-230302-%04d"}\n' % (index, index) for index in range(100))
        + b'{"index":100,"status":422,"problem":{"code":"invalid_request"}}\n'
    )
    answer = await hub.client.post("/v1/dossiers/batch", content=b"{}\n" * 101, headers=await hub.headers())
    assert answer.status_code == 200
    operator = await hub.headers("operator")
    for number in (0, 57, 99):
        code = f"H08.15-230302-{number:04d}"
        found = (await hub.client.get(f"/v1/exchanges?dossier_code={code}", headers=operator)).json()["items"]
        assert [(item["route"], item["dossier_count"]) for item in found] == [("/v1/dossiers/batch", 100)]


async def test_exchanges_are_paged_oldest_first(start_hub: Start) -> None:
    hub = await start_hub()
    await a_log(hub, 5)
    operator = await hub.headers("operator")
    seen, cursor = [], ""
    while True:
        page = (await hub.client.get(f"/v1/exchanges?dossier_code={CODE}&limit=2{cursor}", headers=operator)).json()
        seen += [item for item in page["items"] if item["route"] == "/v1/dossiers/{code}"]
        if not page["next_cursor"] or len(seen) > 20:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len({item["id"] for item in seen}) == len(seen) == 5
    assert [item["id"] for item in seen] == sorted(item["id"] for item in seen)


async def test_the_whole_log_is_newest_first_and_for_callers_of_all_agencies(start_hub: Start) -> None:
    hub = await start_hub()
    await a_log(hub, 5)
    headers = await hub.headers("operator")
    first = (await hub.client.get("/v1/exchanges?limit=3", headers=headers)).json()
    second = (await hub.client.get(f"/v1/exchanges?limit=3&cursor={first['next_cursor']}", headers=headers)).json()
    found = [item["id"] for item in first["items"] + second["items"]]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 6
    await hub.execute("UPDATE client SET agencies = '{H08}' WHERE client_id = 'operator'")
    refused = await hub.client.get("/v1/exchanges", headers=await hub.headers("operator"))
    assert (refused.status_code, refused.json()["code"]) == (403, "agency_not_permitted")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?cursor=x", 422),
        ("?dossier_code=x", 422),
        ("?dossier_code=H08-230301-0001&cursor=x", 422),
        ("?dossier_code=%00", 422),
        *[(f"?cursor={web.encode_cursor(id_, 1)}", 422) for id_ in (f"urn:uuid:{new_id()}", f"{{{new_id()}}}")],
    ],
)
async def test_what_cannot_be_asked_is_422(hub: Hub, query: str, status: int) -> None:
    answer = await hub.client.get(f"/v1/exchanges{query}", headers=await hub.headers("operator"))
    assert (answer.status_code, answer.json()["code"]) == (status, "invalid_request")


async def test_another_agencys_exchanges_do_not_exist(start_hub: Start) -> None:
    hub = await start_hub()
    await hub.execute("UPDATE client SET agencies = '{H08.15}' WHERE client_id = 'operator'")
    headers = await hub.headers("operator")
    assert (await hub.client.get("/v1/exchanges?dossier_code=H08.15-230301-0001", headers=headers)).status_code == 200
    assert (await hub.client.get("/v1/exchanges?dossier_code=H08.1-230301-0001", headers=headers)).status_code == 404


async def test_the_log_of_a_real_run_verifies(start_hub: Start) -> None:
    hub = await start_hub()
    await a_log(hub, 50)
    proof = await proving.verify(hub.urls.system)
    assert proof.flaw is None
    assert (proof.chains, proof.records) == (1, len(await hub.exchanges()))


@pytest.mark.parametrize(
    ("tampering", "seq", "reason"),
    [
        ("UPDATE exchange SET client_id = 'desk' WHERE seq = 3", 3, "changed"),
        ("UPDATE exchange SET received_at = received_at - interval '1 hour' WHERE seq = 4", 4, "changed"),
        ("DELETE FROM exchange WHERE seq = 3", 3, "missing"),
        ("DELETE FROM exchange WHERE seq >= 5", 5, "tail"),
        ("UPDATE exchange SET seq = CASE seq WHEN 3 THEN -1 ELSE 3 END WHERE seq IN (3, 4)", -1, "order"),
        (
            "INSERT INTO exchange_dossier SELECT 'H08-230301-9999', id, chain, seq FROM exchange WHERE seq = 2",
            2,
            "list",
        ),
        ("DELETE FROM chain", 1, "no chain"),
        ("UPDATE chain SET opening = digest", 0, "opening"),
        ("UPDATE chain SET seq = seq + 1", 8, "tail"),
        ("UPDATE chain SET seq = 5, digest = (SELECT digest FROM exchange WHERE seq = 5)", 7, "head"),
    ],
)
async def test_tampering_is_found_and_the_first_bad_record_named(
    a_written_log: Hub, tampering: str, seq: int, reason: str
) -> None:
    hub = a_written_log
    await hub.execute(tampering)
    flaw = (await proving.verify(hub.urls.system)).flaw
    for table in ("exchange", "exchange_dossier", "chain"):
        await hub.execute(f"TRUNCATE {table}")
        await hub.execute(f"INSERT INTO {table} SELECT * FROM {table}_before")
    assert flaw is not None
    assert reason in flaw.reason
    assert seq in (flaw.seq, -1)


async def test_the_gateways_own_roles_cannot_tamper(hub: Hub) -> None:
    for url in (hub.urls.api, hub.urls.system):
        connection = await asyncpg.connect(url)
        for sql in (
            "UPDATE exchange SET status = 200",
            "DELETE FROM exchange",
            "TRUNCATE exchange",
            "DROP TABLE exchange",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(sql)
        await connection.close()


async def test_the_command_names_the_flaw_and_fails(start_hub: Start) -> None:
    hub = await start_hub()
    await a_log(hub)

    def verify() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gateway", "audit", "verify"],
            capture_output=True,
            text=True,
            check=False,
            env={"HUB_DATABASE_SYSTEM_URL": hub.urls.system, "PATH": ""},
        )

    sound = await asyncio.to_thread(verify)
    assert (sound.returncode, sound.stdout.startswith("sound: 7 records in 1 chains")) == (0, True), sound.stderr
    await hub.execute("UPDATE exchange SET status = 500 WHERE seq = 2")
    broken = await asyncio.to_thread(verify)
    assert broken.returncode == 1
    assert "record 2" in broken.stdout


async def test_without_the_log_nothing_is_exchanged_and_nothing_is_lost(start_hub: Start) -> None:
    hub = await start_hub()
    headers = await hub.headers()
    await hub.execute("ALTER TABLE exchange ADD CONSTRAINT full_disk CHECK (seq < 0) NOT VALID")
    answer = await hub.client.get(PATH, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "exchange_log_unavailable")
    assert answer.headers["retry-after"]
    reached = len(hub.behind.seen)
    refused = await hub.client.get(PATH, headers=headers)
    assert refused.status_code == 503
    assert len(hub.behind.seen) == reached
    ready = await hub.client.get("/readyz")
    assert (ready.status_code, ready.json()["dependencies"]["exchange_log"] != "ok") == (503, True)
    await hub.execute("ALTER TABLE exchange DROP CONSTRAINT full_disk")
    for _ in range(100):
        answer = await hub.client.get(PATH, headers=headers)
        if answer.status_code == 200:
            break
        await asyncio.sleep(0.05)
    records = await hub.exchanges()
    assert (records[1]["status"], records[1]["upstream_status"]) == (503, 200)
    assert records[-1]["status"] == 200
    assert (await proving.verify(hub.urls.system)).flaw is None


async def test_the_log_survives_lost_connections(start_hub: Start) -> None:
    hub = await start_hub()
    headers = await hub.headers()
    for _ in range(3):
        await _cut(hub)
        for _ in range(100):
            if (await hub.client.get(PATH, headers=headers)).status_code == 200:
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("the gateway did not come back")
    proof = await proving.verify(hub.urls.system)
    assert proof.flaw is None
    assert proof.chains == 1


async def test_what_ends_while_owed_records_are_written_is_owed_too(start_hub: Start) -> None:
    hub = await start_hub()
    recorder = Recorder(hub.urls.system)
    await recorder.start()
    connection = await asyncpg.connect(hub.urls.owner)
    newest = "SELECT id FROM chain ORDER BY number DESC LIMIT 1 FOR UPDATE"
    first, second = an_exchange(), an_exchange()
    await _cut(hub)
    async with connection.transaction():
        await connection.fetchrow(newest)  # the writing of what is owed waits here
        with pytest.raises(ExchangeLogUnavailable):
            await recorder.record(first)
        async with asyncio.timeout(60):
            while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
        with pytest.raises(ExchangeLogUnavailable):
            await recorder.record(second)
    async with asyncio.timeout(60):
        while not recorder.is_available:
            await asyncio.sleep(0.01)
    await recorder.stop()
    await connection.close()
    kept = {str(record["id"]) for record in await hub.exchanges()}
    assert {first.id, second.id} <= kept


def an_exchange() -> Exchange:
    now = clock.now()
    return Exchange(
        id=new_id(), kind="exchange", client_id="desk", subject="desk", role="desk", method="GET", route="/v1/dossiers",
        path="/v1/dossiers", status=200, upstream_status=None, purpose=None, received_at=now, answered_at=now,
        request_sha256=None, response_sha256=None, dossier_codes=(),
    )  # fmt: skip


async def _cut(hub: Hub) -> None:
    """End every connection of the gateway's own role, as a restart of PostgreSQL would."""
    connection = await asyncpg.connect(hub.urls.system)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND usename = current_user"
    )
    await connection.close()
