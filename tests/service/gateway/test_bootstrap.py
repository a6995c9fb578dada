"""The first clients of a local stack: made once, kept as they are, repaired when their file is lost."""

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from deploy.local.databases import Urls
from gateway import bootstrapping, client_auth, store_clients
from shared.db import Database


def bootstrap(folder: Path, urls: Urls) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "gateway",
            "bootstrap",
            "--clients",
            str(folder / "clients.json"),
            "--operators",
            str(folder / "operators.json"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={"HUB_DATABASE_SYSTEM_URL": urls.system, "HUB_GATEWAY_URL": "http://127.0.0.1:8080", "PATH": ""},
    )


async def test_bootstrap_twice_is_the_same_as_once(
    tmp_path: Path, service_database: Callable[[str], Awaitable[Urls]]
) -> None:
    urls = await service_database("gateway")
    first = bootstrap(tmp_path, urls)
    assert first.returncode == 0, first.stderr
    clients, operators = (tmp_path / "clients.json").read_text(), (tmp_path / "operators.json").read_text()
    assert bootstrap(tmp_path, urls).returncode == 0
    assert (tmp_path / "clients.json").read_text() == clients
    assert (tmp_path / "operators.json").read_text() == operators
    made = json.loads(clients)
    assert set(made) == {"portal", "desk", "ministry", "one-agency", "operator", "bootstrap"}
    assert set(made["portal"]) == {"client_id", "client_secret", "scope", "agencies"}
    assert set(json.loads(operators)) == {"username", "password"}
    assert (tmp_path / "clients.json").stat().st_mode & 0o077 == 0


async def test_a_lost_or_torn_file_gets_new_secrets_that_hold(
    tmp_path: Path, service_database: Callable[[str], Awaitable[Urls]]
) -> None:
    urls = await service_database("gateway")
    assert bootstrap(tmp_path, urls).returncode == 0
    before = json.loads((tmp_path / "clients.json").read_text())
    (tmp_path / "clients.json").write_text('{"portal": {"client_')
    (tmp_path / "operators.json").unlink()
    assert bootstrap(tmp_path, urls).returncode == 0
    after = json.loads((tmp_path / "clients.json").read_text())
    database = Database(urls.system, pool_size=1)
    async with database.reading() as rx:
        for name, known in after.items():
            assert known["client_secret"] != before[name]["client_secret"]
            client = await store_clients.client(rx, name)
            assert client is not None
            assert client_auth.Registered(client).check_client_secret(known["client_secret"])
            assert client.state == "active"
        console = await store_clients.client(rx, bootstrapping.CONSOLE)
    await database.close()
    assert console is not None
    assert console.redirect_uris == ("http://127.0.0.1:8080/console/callback",)
