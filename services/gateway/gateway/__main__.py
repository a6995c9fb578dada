"""`python -m gateway` serves; `bootstrap` makes the first clients; `audit verify` proves the exchange log."""

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path

from gateway import bootstrapping, proving, sealing
from gateway.keys import Keys
from gateway.sealing import SealBroken, Sealed
from shared.db import Database


def main() -> int:
    """Run one command; the exit code."""
    parser = argparse.ArgumentParser(prog="gateway", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="serve (also without a command)")
    bootstrap = commands.add_parser("bootstrap", help="create the first clients and the first operator")
    bootstrap.add_argument("--clients", type=Path, required=True, help="credentials file to keep up to date")
    bootstrap.add_argument("--operators", type=Path, required=True, help="sign-in file to keep up to date")
    audit = commands.add_parser("audit", help="the exchange log").add_subparsers(dest="audit", required=True)
    verify = audit.add_parser("verify", help="walk all chains; exit code 1 names the first bad record")
    verify.add_argument("--seals", type=Path, action="append", default=[], help="a file of seals; may be repeated")
    verify.add_argument("--keys", type=Path, help="JWK set of the keys that sealed (default: HUB_SIGNING_KEYS_FILE)")
    arguments = parser.parse_args()
    if arguments.command == "bootstrap":
        return asyncio.run(_bootstrap(arguments.clients, arguments.operators))
    if arguments.command == "audit":
        return asyncio.run(_verify(arguments.seals, arguments.keys))
    from gateway import main as wiring  # noqa: PLC0415 - the other commands need no web server
    from gateway.settings import Settings  # noqa: PLC0415 - likewise

    wiring.serve(Settings())
    return 0


async def _bootstrap(clients: Path, operators: Path) -> int:
    gateway_url = os.environ.get("HUB_GATEWAY_URL", "http://127.0.0.1:8080")
    database = Database(_database_url(), pool_size=1)
    try:
        async with database.transaction() as tx:
            made = await bootstrapping.clients(tx, bootstrapping.kept(clients))
            signs_in = await bootstrapping.operator(tx, bootstrapping.kept(operators))
            await bootstrapping.console(tx, f"{gateway_url}/console/callback")
            # Before the commit: a secret that nobody kept would be lost.
            bootstrapping.keep(clients, made)
            bootstrapping.keep(operators, signs_in)
    finally:
        await database.close()
    print(f"clients: {', '.join(made)} → {clients}; operator: {signs_in['username']} → {operators}")
    return 0


async def _verify(files: list[Path], keys_file: Path | None) -> int:
    started = time.monotonic()
    try:
        seals = _seals(files, keys_file)
    except SealBroken as fault:
        print(f"BROKEN seals: {fault}")
        return 1
    proof = await proving.verify(_database_url(), seals)
    seconds = time.monotonic() - started
    if proof.flaw is not None:
        print(f"BROKEN after {proof.records} records: {proof.flaw}")
        return 1
    held = f"held against {proof.seals} sealed heads" if files else "no seals given: a cut head would not show"
    print(f"sound: {proof.records} records in {proof.chains} chains, {held} ({seconds:.1f} s)")
    return 0


def _seals(files: list[Path], keys_file: Path | None) -> list[Sealed]:
    if not files:
        return []
    keys = keys_file or Path(os.environ.get("HUB_SIGNING_KEYS_FILE", ""))
    if not keys.is_file():
        sys.exit("--keys or HUB_SIGNING_KEYS_FILE is needed to check seals")
    public = Keys.from_file(keys, "").public() if keys_file is None else json.loads(keys.read_text())
    return [sealed for file in files for sealed in sealing.read(file, public)]


def _database_url() -> str:
    try:
        return os.environ["HUB_DATABASE_SYSTEM_URL"]
    except KeyError:
        sys.exit("HUB_DATABASE_SYSTEM_URL is not set: the URL of the gateway's database as gateway_system")


if __name__ == "__main__":
    sys.exit(main())
