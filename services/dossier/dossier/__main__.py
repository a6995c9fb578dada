"""`python -m dossier` serves; `… seed` puts the agencies and procedures into the catalogue; `… merge` the mergers of
2025-07-01."""

import asyncio
import sys

from dossier import cataloguing, vocabulary, vocabulary_store
from dossier.main import create_app
from dossier.settings import Settings
from shared import service
from shared.db import Database, Transaction


async def _seed(settings: Settings) -> None:
    database = Database(settings.database_system_url.get_secret_value(), pool_size=1)
    try:
        async with database.transaction() as tx:
            agencies, procedures = await cataloguing.seed(tx)
            vocabularies = await _seed_vocabularies(tx)
    finally:
        await database.close()
    sys.stdout.write(f"{agencies} new agencies, {procedures} new procedures, {vocabularies} new vocabularies\n")


async def _seed_vocabularies(tx: Transaction) -> int:
    """Of sources that have none yet: what operators have declared since stays the newest."""
    files = vocabulary.seeded()
    known = {row["source"] for row in await vocabulary_store.of_sources(tx, [it.source for it in files])}
    new = [it for it in files if it.source not in known]
    for it in new:
        types = vocabulary.kept(it.types)
        await vocabulary_store.declare(tx, it.source, it.name, it.valid_from, it.valid_to, types, "seed")
    return len(new)


async def _merge(settings: Settings) -> None:
    database = Database(settings.database_system_url.get_secret_value(), pool_size=1)
    try:
        async with database.transaction() as tx:
            changed = await cataloguing.merge(tx)
    finally:
        await database.close()
    sys.stdout.write(f"{changed} agencies changed\n")


def main() -> None:
    """Run the command given."""
    settings = Settings()  # from the environment
    if sys.argv[1:] == ["seed"]:
        asyncio.run(_seed(settings))
    elif sys.argv[1:] == ["merge"]:
        asyncio.run(_merge(settings))
    elif sys.argv[1:]:
        sys.exit("usage: python -m dossier [seed | merge]")
    else:
        service.serve(create_app(settings), settings)


if __name__ == "__main__":
    main()
