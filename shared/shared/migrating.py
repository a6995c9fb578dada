"""Alembic for every service: `python -m shared.migrating dossier`, as the role that owns the objects.

Each service's `migrations/env.py` is two lines calling `run`; the files under `versions/` are plain SQL.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, create_engine, pool


def upgrade(package: str, url: str) -> None:
    """Bring the database of `package` to the newest revision."""
    module = import_module(package)
    folder = Path(module.__file__ or "").parent / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    config.attributes["url"] = url
    command.upgrade(config, "head")


def run() -> None:
    """What every `env.py` calls."""
    url: str = context.config.attributes["url"]
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=pool.NullPool)
    with engine.connect() as connection:
        _migrate(connection)
    engine.dispose()


def _migrate(connection: Connection) -> None:
    # Two migrations at once (copies of a service starting together) take turns.
    connection.exec_driver_sql("SELECT pg_advisory_lock(7236410)")
    connection.commit()
    context.configure(connection=connection, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
    connection.exec_driver_sql("SELECT pg_advisory_unlock(7236410)")
    connection.commit()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        upgrade(name, os.environ["HUB_DATABASE_OWNER_URL"])
