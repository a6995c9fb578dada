"""Faults on order, reset, and a memory that outlives kill -9."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.local.ports import a_free_port
from tests.support.national_messages import CODE, a_progress_row, a_record, an_init
from tests.support.national_sandbox import Province


@pytest.mark.parametrize(
    "order",
    [
        {"system": "nobody", "mode": "down"},
        {"mode": "down"},
        {"system": ["portal"], "mode": "down"},
        {"system": "portal", "mode": "broken"},
        {"system": "portal", "rate": 2},
        {"system": "portal", "payer": "hold"},
        {"system": "portal", "mode": "down", "la": 1},
        [],
    ],
)
async def test_an_order_that_is_not_understood_changes_nothing(province: Province, order: Any) -> None:
    before = (await province.client.get("/_sandbox/faults")).json()
    answer = await province.client.post("/_sandbox/faults", json=order)
    assert answer.status_code == 422
    assert (await province.client.get("/_sandbox/faults")).json() == before


async def test_down_cuts_the_connection_and_executes_nothing(province: Province) -> None:
    await province.order("portal", mode="down")
    with pytest.raises(httpx2.RemoteProtocolError):
        await province.push(a_record())
    await province.order("portal", mode="normal")
    assert await province.items("portal/dossiers") == []


async def test_the_other_systems_go_on(province: Province) -> None:
    await province.order("portal", mode="down")
    assert (await province.pay("init", an_init()))["error_code"] == "0"


async def test_html_error_and_refusal(province: Province) -> None:
    await province.order("portal", mode="html")
    answer = await province.client.post("/portal/login", json={})
    assert (answer.status_code, answer.headers["content-type"].startswith("text/html")) == (200, True)
    await province.order("portal", mode="error")
    assert (await province.client.post("/portal/login", json={})).status_code == 500
    await province.order("portal", mode="refuse")
    assert (await province.push(a_record()))["error_code"] == "-1"
    await province.order("payment", mode="refuse")
    assert (await province.pay("init", an_init()))["error_code"] == "99"
    assert await province.items("portal/dossiers") == await province.items("payments") == []


async def test_slow_answers_late_and_hanging_answers_never(province: Province) -> None:
    await province.order("portal", mode="slow", seconds=0.2)
    started = time.monotonic()
    assert (await province.push(a_record()))["error_code"] == "0"
    assert time.monotonic() - started >= 0.2
    await province.order("portal", mode="lose_answer", how="hang", seconds=0.2)
    started = time.monotonic()
    with pytest.raises(httpx2.RemoteProtocolError):
        await province.push_progress(a_progress_row())
    assert time.monotonic() - started >= 0.2


async def test_429_names_when_to_come_back(province: Province) -> None:
    await province.order("portal", mode="error", status=429, retry_after_seconds=7)
    answer = await province.client.post("/portal/login", json={})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


async def test_answers_drip_or_never_end(province: Province) -> None:
    await province.order("portal", mode="drip", seconds=0.002)
    assert (await province.push(a_record()))["error_code"] == "0"
    await province.order("portal", mode="endless")
    length = 0
    async with province.client.stream("POST", "/portal/login", json={}) as answer:
        async for part in answer.aiter_bytes():
            length += len(part)
            if length > 1_000_000:
                break
    assert length > 1_000_000


async def test_flapping_comes_and_goes(province: Province) -> None:
    await province.order("portal", mode="flap", seconds=0.2)
    with pytest.raises(httpx2.RemoteProtocolError):
        await province.look_up(CODE)
    await asyncio.sleep(0.25)
    assert await province.look_up(CODE) == []


async def test_a_rate_is_drawn_from_a_seed_and_times_run_out(province: Province) -> None:
    async def outcomes() -> list[int]:
        await province.order("portal", mode="error", rate=0.5, seed=7)
        return [(await province.client.post("/portal/login", json={})).status_code for _ in range(12)]

    first = await outcomes()
    assert set(first) == {400, 500}
    assert await outcomes() == first
    await province.order("portal", mode="error", times=2)
    assert [(await province.client.post("/portal/login", json={})).status_code for _ in range(3)] == [500, 500, 400]


async def test_reset_forgets_everything(province: Province) -> None:
    await province.push(a_record())
    await province.pay("init", an_init())
    await province.order("payment", mode="down", payer="hold")
    answer = await province.client.post("/_sandbox/reset")
    assert {system["mode"] for system in answer.json()["items"]} == {"normal"}
    counts = (await province.client.get("/_sandbox/counts")).json()
    assert (counts["portal"]["dossiers"], counts["payment"]["paid"] + counts["payment"]["waiting"]) == (0, 0)
    assert (await province.push(a_record()))["error_code"] == "-2"


async def test_health_and_metrics(province: Province) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        assert (await province.client.get(path)).status_code == 200


async def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    port = a_free_port()
    environment = os.environ | {
        "HUB_PORT": str(port),
        "HUB_SANDBOX_FILE": str(tmp_path / "sandbox.sqlite3"),
        "HUB_CALLBACK_URL": "http://127.0.0.1:9/none",
    }
    for name in ("HUB_POSTGRES_URL", "HUB_KAFKA_BOOTSTRAP"):
        environment.pop(name, None)
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        province = Province(client)
        first = await started(environment, client)
        try:
            await province.log_in()
            await province.order("payment", payer="hold")
            assert (await province.push(a_record()))["error_code"] == "0"
            assert (await province.push_progress(a_progress_row()))["error_code"] == "0"
            for reference in ("waits", "was-paid"):
                assert (await province.pay("init", an_init(reference)))["error_code"] == "0"
            paid = await client.post("/_sandbox/payments/was-paid", json={"do": "pay"})
            assert paid.json()["state"] == "paid"
        finally:
            os.kill(first.pid, signal.SIGKILL)
            await first.wait()
        second = await started(environment, client)
        try:
            assert (await province.push(a_record()))["error_code"] == "-2"  # a restart ends the sessions
            await province.log_in()
            assert (await province.push(a_record()))["error_code"] == "-3"
            (held,) = await province.items("portal/dossiers")
            assert held["progress"][0]["written"] == 1
            waits, was_paid = await province.items("payments")
            assert (waits["state"], was_paid["state"], was_paid["callback_state"]) == ("held", "paid", "due")
            faults = (await client.get("/_sandbox/faults")).json()["items"]
            assert [system["payer"] for system in faults if system["system"] == "payment"] == ["hold"]
        finally:
            second.terminate()
            await second.wait()


async def started(environment: dict[str, str], client: httpx2.AsyncClient) -> asyncio.subprocess.Process:
    """The sandbox as a process of its own, ready."""
    command = (sys.executable, "-c", "from sandbox.main import serve; serve()")
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    for _ in range(400):
        try:
            if (await client.get("/readyz")).status_code == 200:
                return process
        except httpx2.TransportError:
            await asyncio.sleep(0.05)
    process.kill()
    raise AssertionError("the sandbox did not start")
