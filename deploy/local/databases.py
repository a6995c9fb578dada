"""Databases and roles of the services: one database each, and three roles that may not do the same things.

`<package>_owner` runs the migrations and owns every object; `<package>_api` serves callers and sees only
their agencies' rows; `<package>_system` is the relay, the readers and the workers. Neither of the last two
may change tables. Roles belong to the whole server, so their passwords are derived from the administrator's:
concurrent test runs on one server agree about them, and nothing has to be stored.
"""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import asyncpg

ROLES = ("owner", "api", "system")
# One number for the advisory lock under which roles and databases are made: two test runs may start at once.
LOCK = 0x4C475350


@dataclass(frozen=True)
class Urls:
    """How the three roles reach one database."""

    database: str
    owner: str
    api: str
    system: str


def password_of(admin_url: str, role: str) -> str:
    """The role's password: the same for everybody who knows the administrator's."""
    key = unquote(urlsplit(admin_url).password or "").encode()
    return hmac.new(key, f"lgsp role {role}".encode(), hashlib.sha256).hexdigest()[:32]


def urls_of(admin_url: str, package: str, database: str | None = None) -> Urls:
    """The three URLs of a service's database; nothing is made."""
    name = database or package
    addresses = [
        _with(admin_url, f"{package}_{role}", password_of(admin_url, f"{package}_{role}"), name) for role in ROLES
    ]
    return Urls(name, *addresses)


async def provision(admin_url: str, package: str, database: str | None = None) -> Urls:
    """Makes roles and database where they are missing and closes the database to everybody else."""
    urls = urls_of(admin_url, package, database)
    async with administrator(admin_url) as connection, _locked(connection):
        await _make_roles(connection, admin_url, package)
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", urls.database):
            await connection.execute(f"CREATE DATABASE {_name(urls.database)} OWNER {package}_owner")
        await _close(connection, urls.database, package)
    return urls


async def copy(admin_url: str, package: str, database: str, template: str) -> Urls:
    """A new database like `template`, which was provisioned for the same package and has nobody connected to it."""
    urls = urls_of(admin_url, package, database)
    async with administrator(admin_url) as connection, _locked(connection):
        await connection.execute(f"CREATE DATABASE {_name(database)} OWNER {package}_owner TEMPLATE {_name(template)}")
        await _close(connection, database, package)
    return urls


async def drop(admin_url: str, database: str) -> None:
    """Drops a test's database, disconnecting whoever is still there."""
    async with administrator(admin_url) as connection:
        await connection.execute(f"DROP DATABASE IF EXISTS {_name(database)} WITH (FORCE)")


async def answers(admin_url: str, seconds: float = 2.0) -> bool:
    """True when the server takes a connection and a query within `seconds`."""
    try:
        async with asyncio.timeout(seconds), administrator(admin_url) as connection:
            return bool(await connection.fetchval("SELECT true"))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
        return False


async def is_alive(admin_url: str, seconds: float = 5.0) -> bool:
    """True also when the server refuses (it is full, or recovers from a crash): only silence means it hangs."""
    try:
        async with asyncio.timeout(seconds), administrator(admin_url):
            return True
    except asyncpg.PostgresError:
        return True
    except (OSError, asyncpg.InterfaceError, TimeoutError):
        return False


@asynccontextmanager
async def administrator(admin_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the administrator."""
    connection = await asyncpg.connect(admin_url)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


@asynccontextmanager
async def _locked(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """One at a time among all who provision on this server."""
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
    try:
        yield
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)


async def _make_roles(connection: asyncpg.Connection, admin_url: str, package: str) -> None:
    """Roles with the derived passwords; an existing role gets its password again: the administrator's may
    be new.
    """
    for role in ROLES:
        name = f"{package}_{role}"
        password = password_of(admin_url, name)
        exists = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name)
        verb = "ALTER" if exists else "CREATE"
        rights = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
        await connection.execute(f"{verb} ROLE {_name(name)} LOGIN {rights} PASSWORD '{password}'")


async def _close(connection: asyncpg.Connection, database: str, package: str) -> None:
    """Only the service's own roles may connect; limits that the server may not have set stand on the
    database.
    """
    name = _name(database)
    limits = {"idle_in_transaction_session_timeout": "10s", "timezone": "UTC", "jit": "off"}
    await connection.execute(
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;"
        f"GRANT CONNECT ON DATABASE {name} TO {package}_api, {package}_system;"
        + ";".join(f"ALTER DATABASE {name} SET {setting} = '{value}'" for setting, value in limits.items())
    )


def _with(url: str, user: str, password: str, database: str) -> str:
    """The URL with another user, password and database."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, f"{quote(user)}:{quote(password)}@{place}", f"/{database}", parts.query, ""))


def _name(identifier: str | None) -> str:
    """An identifier for SQL. Ours are plain; anything else is a mistake of the caller."""
    if not identifier or not identifier.replace("_", "").isalnum():
        raise ValueError(f"not a plain database name: {identifier!r}")
    return f'"{identifier}"'
