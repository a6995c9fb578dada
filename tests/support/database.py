"""A freshly migrated database per test: migrated (and filled) once per session and package, copied for each test."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable

from deploy.local import databases
from deploy.local.databases import Urls
from shared.migrating import upgrade

Fill = Callable[[Urls], Awaitable[object]]
"""Writes what every copy of a template shall hold from the start."""


class Templates:
    """The session's migrated databases, one per package, made when first asked for."""

    def __init__(self, admin_url: str) -> None:
        """Nothing is made yet; `admin_url` may create databases and roles."""
        self.admin_url = admin_url
        self._run = secrets.token_hex(4)
        self._made: dict[tuple[str, Fill | None], str] = {}
        self._copies: defaultdict[str, int] = defaultdict(int)
        # Alembic keeps its context in globals: one migration at a time.
        self._migrating = asyncio.Lock()

    async def copy(self, package: str, fill: Fill | None = None) -> Urls:
        """A new database of this package with its tables, and no rows but the migrations' own and those of `fill`."""
        template = await self._template(package, fill)
        self._copies[package] += 1
        name = f"t_{self._run}_{package}_{self._copies[package]}"
        return await databases.copy(self.admin_url, package, name, template)

    async def drop(self, urls: Urls) -> None:
        """Drops a copy, whoever is still connected."""
        await databases.drop(self.admin_url, urls.database)

    async def close(self) -> None:
        """Drops the templates."""
        for name in self._made.values():
            await databases.drop(self.admin_url, name)

    async def _template(self, package: str, fill: Fill | None) -> str:
        async with self._migrating:
            if (package, fill) not in self._made:
                name = f"t_{self._run}_{package}" + (f"_filled_{len(self._made)}" if fill else "")
                urls = await databases.provision(self.admin_url, package, name)
                self._made[package, fill] = name
                await asyncio.to_thread(upgrade, package, urls.owner)
                if fill:
                    await fill(urls)
            return self._made[package, fill]
