"""`python -m dossier` serves; `… seed` puts the agencies and procedures into the catalogue; `… merge` the mergers of
2025-07-01; `… keys` says how many dossiers need each key of personal IDs."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from dossier import cataloguing, rekeying, vocabulary, vocabulary_store
from dossier.main import create_app
from dossier.person import PersonKeys
from dossier.settings import Settings
from shared import service
from shared.db import Database, Transaction


async def _seed(database: Database, _settings: Settings) -> str:
    async with database.transaction() as tx:
        agencies, procedures = await cataloguing.seed(tx)
        vocabularies = await _seed_vocabularies(tx)
    return f"{agencies} new agencies, {procedures} new procedures, {vocabularies} new vocabularies\n"


async def _seed_vocabularies(tx: Transaction) -> int:
    """Of sources that have none yet: what operators have declared since stays the newest."""
    files = vocabulary.seeded()
    known = {row["source"] for row in await vocabulary_store.of_sources(tx, [it.source for it in files])}
    new = [it for it in files if it.source not in known]
    for it in new:
        types = vocabulary.kept(it.types)
        await vocabulary_store.declare(tx, it.source, it.name, it.valid_from, it.valid_to, types, "seed")
    return len(new)


async def _merge(database: Database, _settings: Settings) -> str:
    async with database.transaction() as tx:
        changed = await cataloguing.merge(tx)
    return f"{changed} agencies changed\n"


async def _keys(database: Database, settings: Settings) -> str:
    async with database.reading() as rx:
        found = await rekeying.uses(rx, PersonKeys.from_file(settings.person_keys_file))
    return "".join(f"{it.id}  {it.dossiers:>9,} dossiers  {it.words}\n" for it in found)


_COMMANDS: dict[str, Callable[[Database, Settings], Awaitable[str]]] = {"seed": _seed, "merge": _merge, "keys": _keys}


async def _run(command: Callable[[Database, Settings], Awaitable[str]], settings: Settings) -> None:
    database = Database(settings.database_system_url.get_secret_value(), pool_size=1)
    try:
        sys.stdout.write(await command(database, settings))
    finally:
        await database.close()


def main() -> None:
    """Run the command given."""
    settings = Settings()  # from the environment
    match sys.argv[1:]:
        case []:
            service.serve(create_app(settings), settings)
        case [name] if name in _COMMANDS:
            asyncio.run(_run(_COMMANDS[name], settings))
        case _:
            sys.exit("usage: python -m dossier [seed | merge | keys]")


if __name__ == "__main__":
    main()
