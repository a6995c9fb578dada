"""Personal IDs: sealed in the database, found by hash, and put under another key while the service runs."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from dossier import person_store, rekeying
from dossier.person import PersonKeyMissing, PersonKeys
from tests.service.dossier.conftest import Hub, a_filing

PURPOSE = {"headers": {"hub-purpose": "test"}}
START = Callable[..., Awaitable[Hub]]


def personal_id(number: int) -> str:
    return f"052190{number:06d}"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(secrets.token_hex(32))
    return path


def add_key(path: Path) -> None:
    """A new line on top."""
    path.write_text(f"{secrets.token_hex(32)}\n{path.read_text()}")


async def a_rotating_hub(start_hub: START, key_file: Path, rest_seconds: float = 0.3) -> Hub:
    return await start_hub(
        person_keys_file=key_file, person_keys_check_seconds=0.05, person_key_rest_seconds=rest_seconds
    )


async def file(hub: Hub, people: int) -> None:
    filings = [a_filing(applicant={"kind": "citizen", "full_name": "Nguyễn Thị An", "personal_id": personal_id(n)})
               for n in range(people)]  # fmt: skip
    answers = await hub.batch("/v1/dossiers/batch", filings, role="portal")
    assert {it["status"] for it in answers} == {201}


async def found(hub: Hub, number: int) -> list[str]:
    """The personal IDs of the dossiers that a search gives."""
    answer = await hub.post("/v1/dossiers/search", {"personal_id": personal_id(number)}, **PURPOSE)
    assert answer.status_code == 200, answer.text
    return [it["applicant"]["personal_id"] for it in answer.json()["items"]]


async def all_lie_under(hub: Hub, key_id: bytes) -> bool:
    others = "SELECT count(*) FROM dossier WHERE substr(person_hash, 1, 4) <> $1 OR substr(person_sealed, 1, 4) <> $1"
    return bool((await hub.rows(others, key_id))[0][0] == 0)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.02)


async def test_the_number_stands_nowhere_in_the_database(hub: Hub) -> None:
    code = await hub.file()
    for table in ("dossier", "transition", "outbox", "outbox_published", "idempotency"):
        rows = await hub.rows(f"SELECT t::text AS row FROM {table} t")
        assert not any("052190000123" in row["row"] for row in rows), table
    shown = (await hub.get(f"/v1/dossiers/{code}", **PURPOSE)).json()
    assert shown["applicant"]["personal_id"] == "052190000123"
    (row,) = await hub.rows("SELECT person_sealed FROM dossier")
    assert len(row["person_sealed"]) == 4 + 12 + 12 + 16


async def test_a_sealed_number_opens_for_its_own_dossier_only(hub: Hub) -> None:
    one, other = (
        await hub.file(),
        await hub.file(applicant={"kind": "citizen", "full_name": "A", "personal_id": "0" * 12}),
    )
    await hub.rows(
        "UPDATE dossier SET person_sealed = (SELECT person_sealed FROM dossier WHERE code = $1) WHERE code = $2",
        one,
        other,
    )
    assert (await hub.get(f"/v1/dossiers/{one}", **PURPOSE)).status_code == 200
    assert (await hub.get(f"/v1/dossiers/{other}", **PURPOSE)).status_code == 500


async def test_a_number_that_does_not_open_keeps_no_other_dossier_from_the_nation(hub: Hub) -> None:
    whole, damaged = await hub.file(), await hub.file()
    await hub.rows("UPDATE dossier SET person_sealed = set_byte(person_sealed, 20, get_byte(person_sealed, 20) # 1) "
                   "WHERE code = $1", damaged)  # fmt: skip
    own = hub.issuer.internal_headers("sync-national")
    for view in ("sync", "identity", "payment"):
        ask = {"codes": [whole, damaged], "view": view}
        answer = await hub.client.post("/internal/dossiers/read", json=ask, headers=own)
        assert answer.status_code == 200, answer.text
        assert [it["code"] for it in answer.json()["items"]] == [whole]


async def test_a_rotation_misses_nobody_while_it_runs(start_hub: START, key_file: Path) -> None:
    hub = await a_rotating_hub(start_hub, key_file)
    await file(hub, 350)
    add_key(key_file)
    newest = PersonKeys.from_file(key_file).newest.id
    looked = 0

    async def everybody_is_found() -> bool:
        nonlocal looked
        for number in range(looked % 350, 350, 50):
            assert await found(hub, number) == [personal_id(number)]
        looked += 1
        return await all_lie_under(hub, newest)

    await until(everybody_is_found)
    # The old line may go: nobody needs it.
    key_file.write_text(key_file.read_text().splitlines()[0])
    again = await a_rotating_hub(start_hub, key_file)
    for number in range(0, 350, 50):
        assert await found(again, number) == [personal_id(number)]


async def test_a_line_taken_out_too_early_hides_nobody(start_hub: START, key_file: Path) -> None:
    hub = await start_hub(person_keys_file=key_file, person_keys_check_seconds=3600)
    await file(hub, 1)
    old, keys = PersonKeys.from_file(key_file).newest.id, hub.app.state.person_keys
    worker = hub.app.state.runtime.checks["person keys"].__self__
    key_file.write_text(secrets.token_hex(32))
    with pytest.raises(PersonKeyMissing):
        await worker.refresh()
    # This copy has it still, reads with it, and writes with it: no other one has rested.
    await file(hub, 1)
    assert await found(hub, 0) == [personal_id(0)] * 2
    assert await all_lie_under(hub, old)
    # One that has it no more says so: "nothing" would be wrong.
    keys.take(PersonKeys.from_file(key_file))
    with pytest.raises(PersonKeyMissing):
        await worker.refresh()
    paper = {"name": "a", "sha256": "ab" * 32, "reused": "result", "reused_from": "H08.15-230301-0001"}
    for path, body, role in (
        ("/v1/dossiers/search", {"personal_id": personal_id(0)}, "desk"),
        ("/v1/persons/documents", {"personal_id": personal_id(0)}, "desk"),
        ("/v1/dossiers", a_filing(attachments=[paper]), "portal"),
    ):
        answer = await hub.post(path, body, role=role, **PURPOSE)
        assert (answer.status_code, answer.json()["code"]) == (503, "person_key_missing"), path


async def test_a_copy_that_comes_late_to_a_new_key_misses_nobody(
    start_hub: START, key_file: Path, tmp_path: Path
) -> None:
    hub = await a_rotating_hub(start_hub, key_file, 3600)
    late_file = tmp_path / "late"
    late_file.write_text(key_file.read_text())
    late = await a_rotating_hub(start_hub, late_file, 3600)
    add_key(key_file)
    await until(lambda: _noted(hub, 2))
    await file(hub, 5)  # the new key rests: what is written now the other copy can still read
    assert await found(late, 3) == [personal_id(3)]
    late_file.write_text(key_file.read_text())
    owner = await asyncpg.connect(hub.urls.owner)
    await owner.execute("UPDATE person_key SET noted_at = noted_at - interval '2 hours'")
    await owner.close()
    await until(lambda: all_lie_under(hub, PersonKeys.from_file(key_file).newest.id))
    assert await found(late, 3) == [personal_id(3)]


async def _noted(hub: Hub, keys: int) -> bool:
    return bool((await hub.rows("SELECT count(*) FROM person_key"))[0][0] == keys)


async def test_what_was_kept_before_is_found_and_sealed(start_hub: START, key_file: Path) -> None:
    hub = await start_hub(person_keys_file=key_file, person_keys_check_seconds=3600)
    await file(hub, 3)
    key = PersonKeys.from_file(key_file).newest
    for number in range(3):
        await hub.rows(
            "UPDATE dossier SET person_hash = $1, person_sealed = NULL, "
            "applicant = applicant || jsonb_build_object('personal_id', $2::text) WHERE person_hash = $3",
            key.hash_before(personal_id(number)), personal_id(number), key.hash(personal_id(number)),
        )  # fmt: skip
    assert await found(hub, 1) == [personal_id(1)]
    again = await a_rotating_hub(start_hub, key_file)
    await until(lambda: all_lie_under(again, key.id))
    assert await found(hub, 1) == [personal_id(1)]
    assert not await hub.rows("SELECT FROM dossier WHERE applicant ? 'personal_id'")


async def test_a_step_of_a_rotation_writes_with_the_key_it_began_with(
    start_hub: START, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = await start_hub(person_keys_file=key_file, person_keys_check_seconds=3600, person_key_rest_seconds=3600)
    await file(hub, 3)
    add_key(key_file)
    keys, real = PersonKeys.from_file(key_file), person_store.others
    worker, second = rekeying.Rekeying(hub.database, keys, key_file, 0), keys.newest.id
    await worker.refresh()

    async def meanwhile(*asked: Any) -> Any:
        rows = await real(*asked)
        add_key(key_file)
        keys.take(PersonKeys.from_file(key_file))
        return rows

    monkeypatch.setattr(person_store, "others", meanwhile)
    assert await worker.step() == 3
    assert await all_lie_under(hub, second), "the third has not rested: other copies cannot read it"


async def test_a_key_that_dossiers_need_and_the_file_lacks_stops_the_service(start_hub: START, key_file: Path) -> None:
    hub = await a_rotating_hub(start_hub, key_file, 3600)
    await file(hub, 1)
    key_file.write_text(secrets.token_hex(32))
    with pytest.raises(Exception, match="key of personal IDs is missing"):
        await a_rotating_hub(start_hub, key_file, 3600)

    async def is_not_ready() -> bool:
        return (await hub.client.get("/readyz")).status_code == 503

    await until(is_not_ready)


_WORKER = """
import asyncio, sys
from pathlib import Path
from dossier import rekeying
from dossier.person import PersonKeys
from shared.db import Database

async def main(url, path):
    database, keys = Database(url, pool_size=1), PersonKeys.from_file(path)
    worker = rekeying.Rekeying(database, keys, path, 0)
    await worker.refresh()
    while await worker.step():
        print("batch", flush=True)
    print("done", flush=True)

asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
"""


async def test_a_killed_rotation_goes_on_where_it_was(start_hub: START, key_file: Path) -> None:
    hub = await start_hub(person_keys_file=key_file, person_keys_check_seconds=3600, person_key_rest_seconds=3600)
    await file(hub, 450)
    add_key(key_file)

    def a_worker() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", _WORKER, hub.urls.system, str(key_file)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ})

    newest = PersonKeys.from_file(key_file).newest.id
    with a_worker() as killed:
        assert killed.stdout is not None
        assert (await asyncio.to_thread(killed.stdout.readline)).strip() == "batch"
        killed.send_signal(signal.SIGKILL)
    assert (await asyncio.to_thread(uses, hub, key_file)).count("dossiers") == 2
    reader = await start_hub(person_keys_file=key_file, person_keys_check_seconds=3600, person_key_rest_seconds=3600)
    for number in range(0, 450, 25):
        assert await found(reader, number) == [personal_id(number)]
    with a_worker() as second:
        said, _ = await asyncio.to_thread(second.communicate)
    assert said.splitlines()[-1] == "done"
    assert await all_lie_under(hub, newest)
    assert "needed no more" in await asyncio.to_thread(uses, hub, key_file)


def uses(hub: Hub, key_file: Path) -> str:
    """What `python -m dossier keys` says."""
    environment = {
        **os.environ,
        "HUB_DATABASE_API_URL": hub.urls.api,
        "HUB_DATABASE_SYSTEM_URL": hub.urls.system,
        "HUB_PERSON_KEYS_FILE": str(key_file),
    }
    ran = subprocess.run([sys.executable, "-m", "dossier", "keys"], env=environment, capture_output=True, check=True)
    return ran.stdout.decode()
