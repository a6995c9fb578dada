"""Seals kept outside the database show what the log alone cannot: a cut with its head, a rewriting, an old copy."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from gateway import proving, sealing
from gateway.exchange import Exchange, link
from gateway.keys import Keys
from gateway.sealing import SealBroken, Sealed
from shared.db import Database

from .conftest import Hub
from .test_exchange_log import PATH, Start, a_log

RECORDS = 7


def public_keys(folder: Path) -> dict[str, Any]:
    return Keys.from_file(folder / "signing.json", "").public()


async def sealed_until(path: Path, folder: Path, seq: int) -> list[Sealed]:
    """The seals, once one knows so many records."""
    async with asyncio.timeout(30):
        while True:
            seals = sealing.read(path, public_keys(folder)) if path.exists() else []
            if seals and max(sealed.seq for sealed in seals) >= seq:
                return seals
            await asyncio.sleep(0.05)


async def a_sealed_log(start_hub: Start, folder: Path) -> tuple[Hub, list[Sealed]]:
    hub = await start_hub(seal_file=folder / "seals", seal_every_seconds=0.02)
    await a_log(hub)
    return hub, await sealed_until(folder / "seals", folder, RECORDS)


async def rewrite_from(hub: Hub, seq: int) -> None:
    """What an administrator of the database could do: change a record and make everything behind it fit."""
    await hub.execute("UPDATE exchange SET client_id = 'somebody-else' WHERE seq = :seq", seq=seq)
    database = Database(hub.urls.owner, pool_size=1)
    async with database.transaction() as tx:
        rows = await tx.rows("SELECT * FROM exchange ORDER BY seq")
        previous = rows[0]["previous"]
        for row in rows:
            codes = (row["dossier_code"],) if row["dossier_code"] else ()
            fields = {name: row[name] for name in Exchange.__annotations__ if name not in ("id", "dossier_codes")}
            exchange = Exchange(id=str(row["id"]), dossier_codes=codes, **fields)
            digest = link(str(row["chain"]), row["seq"], previous, row["recorded_at"], exchange).digest
            await tx.execute(
                "UPDATE exchange SET previous = :previous, digest = :digest WHERE seq = :seq",
                previous=previous, digest=digest, seq=row["seq"],
            )  # fmt: skip
            previous = digest
        await tx.execute("UPDATE chain SET digest = :digest", digest=previous)
    await database.close()


CUT = [
    "DELETE FROM exchange WHERE seq >= 5",
    "UPDATE chain SET seq = 4, digest = (SELECT digest FROM exchange WHERE seq = 4)",
]


async def test_a_sealed_log_verifies(start_hub: Start, tmp_path: Path) -> None:
    hub, seals = await a_sealed_log(start_hub, tmp_path)
    proof = await proving.verify(hub.urls.system, seals)
    assert (proof.flaw, proof.records) == (None, RECORDS)
    assert proof.seals == len(seals) > 0


@pytest.mark.parametrize(
    ("tampering", "seq", "words"),
    [
        (CUT, 5, "an old copy"),
        (["DELETE FROM exchange", "DELETE FROM chain"], 1, "the chain is gone"),
    ],
)
async def test_what_only_a_seal_can_tell(
    start_hub: Start, tmp_path: Path, tampering: list[str], seq: int, words: str
) -> None:
    hub, seals = await a_sealed_log(start_hub, tmp_path)
    for sql in tampering:
        await hub.execute(sql)
    assert (await proving.verify(hub.urls.system)).flaw is None, "alone, the log looks sound"
    flaw = (await proving.verify(hub.urls.system, seals)).flaw
    assert flaw is not None
    assert flaw.seq == seq
    assert words in flaw.reason


async def test_a_log_rewritten_from_one_record_on_is_found(start_hub: Start, tmp_path: Path) -> None:
    hub = await start_hub(seal_file=tmp_path / "seals", seal_every_seconds=0.02)
    await a_log(hub)
    await sealed_until(tmp_path / "seals", tmp_path, RECORDS)
    await hub.client.get(PATH, headers=await hub.headers())
    seals = await sealed_until(tmp_path / "seals", tmp_path, RECORDS + 1)
    await rewrite_from(hub, RECORDS + 1)
    assert (await proving.verify(hub.urls.system)).flaw is None, "alone, the log looks sound"
    flaw = (await proving.verify(hub.urls.system, seals)).flaw
    assert flaw is not None
    assert flaw.seq == RECORDS + 1, "everything up to the seal before is proven"
    assert "rewritten" in flaw.reason


async def test_an_old_copy_put_back_is_found(start_hub: Start, tmp_path: Path) -> None:
    hub, _ = await a_sealed_log(start_hub, tmp_path)
    for table in ("exchange", "exchange_dossier", "chain"):
        await hub.execute(f"CREATE TABLE {table}_old AS SELECT * FROM {table}")
    await hub.client.get(PATH, headers=await hub.headers())
    seals = await sealed_until(tmp_path / "seals", tmp_path, RECORDS + 1)
    for table in ("exchange", "exchange_dossier", "chain"):
        await hub.execute(f"TRUNCATE {table}")
        await hub.execute(f"INSERT INTO {table} SELECT * FROM {table}_old")
    assert (await proving.verify(hub.urls.system)).flaw is None
    flaw = (await proving.verify(hub.urls.system, seals)).flaw
    assert flaw is not None
    assert (flaw.seq, "an old copy" in flaw.reason) == (RECORDS + 1, True)


async def test_seals_of_another_key_or_changed_ones_are_none(start_hub: Start, tmp_path: Path) -> None:
    _, seals = await a_sealed_log(start_hub, tmp_path)
    path = tmp_path / "seals"
    stranger = Keys({"keys": [ECKey.generate_key("P-256", {"kid": "hub-1"}).as_dict(private=True)]}, "")
    with pytest.raises(SealBroken):
        sealing.read(path, stranger.public())
    first, *rest = path.read_text().splitlines()
    head, body, signature = first.split(".")
    path.write_text("\n".join([f"{head}.{body[:-2]}AA.{signature}", *rest]))
    with pytest.raises(SealBroken):
        sealing.read(path, public_keys(tmp_path))
    for torn in (f"{head}.{body[:9]}", f"{head}.{body}.", f"{head}.{body}.{signature[:-1]}"):
        path.write_text("\n".join([first, torn, *rest]))  # a crash in the middle of a line
        assert len(sealing.read(path, public_keys(tmp_path))) == len(seals)


async def test_without_seals_for_too_long_nothing_is_exchanged(start_hub: Start, tmp_path: Path) -> None:
    folder = tmp_path / "not-mounted"
    hub = await start_hub(seal_file=folder / "seals", seal_every_seconds=0.02, seal_stale_seconds=0.2)

    async def answers(status: int) -> None:
        async with asyncio.timeout(30):
            while (answer := await hub.client.get(PATH, headers=headers)).status_code != status:
                await asyncio.sleep(0.05)
        if status == 503:
            assert (answer.json()["code"], answer.headers["retry-after"]) == ("exchange_log_unavailable", "1")

    headers = await hub.headers()
    await answers(503)
    folder.mkdir()
    await answers(200)


async def test_the_command_holds_the_log_against_the_seals(start_hub: Start, tmp_path: Path) -> None:
    hub, _ = await a_sealed_log(start_hub, tmp_path)
    (tmp_path / "public.json").write_text(json.dumps(public_keys(tmp_path)))

    def verify() -> subprocess.CompletedProcess[str]:
        options = ["--seals", str(tmp_path / "seals"), "--keys", str(tmp_path / "public.json")]
        return subprocess.run(
            [sys.executable, "-m", "gateway", "audit", "verify", *options],
            capture_output=True,
            text=True,
            check=False,
            env={"HUB_DATABASE_SYSTEM_URL": hub.urls.system, "PATH": ""},
        )

    sound = await asyncio.to_thread(verify)
    assert (sound.returncode, "sealed heads" in sound.stdout) == (0, True), sound.stderr
    for sql in CUT:
        await hub.execute(sql)
    broken = await asyncio.to_thread(verify)
    assert (broken.returncode, "record 5" in broken.stdout) == (1, True), broken.stdout
