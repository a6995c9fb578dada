"""Row 25, defence in depth: what a raw session as `<service>_api` sees and may write, whatever the code forgets.

The tables are listed from the catalogue: a new one without a policy fails here until it has one, or a reason.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from deploy.local import databases
from tests.security.hub import Hub
from tests.security.world import World
from tests.support.documents import PACKAGES

pytestmark = pytest.mark.timeout(300)

_PARKED = {
    "parked": "events that wait; their agency is not known before they are applied",
    "parked_head": "the lock beside them",
}
_MESSAGING = _PARKED | {
    "idempotency": "first answers, by client and key: a client of several agencies has one set of keys",
}
OPEN: Mapping[str, Mapping[str, str]] = {
    "gateway": _MESSAGING
    | {
        "client": "clients belong to no agency; the routes ask for client:admin",
        "client_secret": "salted digests; as client",
        "operator": "who may sign in",
        "authorization_code": "of a sign-in under way, for minutes",
        "assertion_used": "ids of assertions, against replay",
        "token_revoked": "ids of tokens",
        "chain": "heads of the exchange log",
        "exchange": "an exchange has no agency; the route asks for the dossier's",
        "exchange_dossier": "as exchange",
        "event_received": "which events a client has sent",
    },
    "dossier": _MESSAGING
    | {
        "code_block": "numbers reserved ahead for all agencies by one process; no dossier is named",
        "agency": "public reference data",
        "procedure_version": "public reference data",
        "catalogue_version": "a counter",
        "ministry_event": "what became of ministries' events, without their content; the routes show whose they are",
        "vocabulary": "what ministries' words mean",
        "ministry_replay": "plans of operators of all agencies",
        "ministry_replay_event": "as ministry_replay",
        "stuck_look": "when the last look over all dossiers was",
    },
    "payment": _MESSAGING,
    "citizen_db_adapter": _MESSAGING | {"quota": "calls per minute of the whole hub"},
    "sync_national": _MESSAGING
    | {
        "delivery": "the portal's answers, without records",
        "hold": "who holds a destination or an agency, and why; no dossier is named",
        "maintenance": "as hold",
        "held_now": "as hold",
        "hold_watch": "whether a destination was held a second ago",
        "call_quota": "calls per minute of the whole hub",
        "export_layout": "how a portal's file is read",
    },
    "console": _PARKED,
}
"""Tables that the API's role reads without a policy, and why."""

_READABLE = """
SELECT c.relname AS name, c.relrowsecurity AS protected,
  (SELECT array_agg(attname::text) FROM pg_attribute
   WHERE attrelid = c.oid AND attnum > 0 AND attname LIKE '%agency%') AS agencies,
  has_table_privilege($1, c.oid, 'SELECT') AS reads,
  (SELECT array_agg(attname::text) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
   AND has_column_privilege($1, c.oid, attnum, 'UPDATE')) AS updates,
  has_table_privilege($1, c.oid, 'DELETE') AS deletes
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND (has_any_column_privilege($1, c.oid, 'SELECT, INSERT, UPDATE') OR has_table_privilege($1, c.oid, 'DELETE'))
"""


@asynccontextmanager
async def session(hub: Hub, package: str, agencies: str | None) -> AsyncIterator[Any]:
    """A raw connection as the API's role, as a caller of these agencies; everything is rolled back."""
    admin = json.loads((hub.stack.folder / "stack.json").read_text())["postgres_admin"]
    connection = await asyncpg.connect(databases.urls_of(admin, package).api)
    try:
        transaction = connection.transaction()
        await transaction.start()
        if agencies is not None:
            await connection.execute("SELECT set_config('hub.agencies', $1, true)", agencies)
        yield connection
        await transaction.rollback()
    finally:
        await connection.close()


async def tables(connection: Any, package: str) -> list[Any]:
    return list(await connection.fetch(_READABLE, f"{package}_api"))


@pytest.mark.parametrize("package", PACKAGES.values())
async def test_every_table_has_a_policy_or_a_reason(hub: Hub, package: str) -> None:
    async with session(hub, package, None) as connection:
        found = await tables(connection, package)
    readable = {row["name"] for row in found if row["reads"] and not row["protected"]}
    assert readable == OPEN[package].keys(), "a policy (schema.protect), or a reason in OPEN"
    unprotected = {row["name"] for row in found if row["agencies"] and not row["protected"]}
    assert unprotected <= {"code_block"}
    assert any(row["protected"] for row in found) or package == "gateway"


@pytest.mark.parametrize("package", [package for package in PACKAGES.values() if package != "gateway"])
async def test_a_session_sees_its_agencies_rows_only(hub: Hub, world: World, package: str) -> None:
    for agencies in (world.ours.agency, "H08.1", "H0", "%", "H08_02", "", None):
        seen = 0
        async with session(hub, package, agencies) as connection:
            for table in await tables(connection, package):
                if not (table["protected"] and table["reads"]):
                    continue
                for column in table["agencies"] or ():
                    rows = await connection.fetch(f'SELECT DISTINCT "{column}" FROM "{table["name"]}"')
                    assert {row[0] for row in rows} <= {agencies}, f"{table['name']} for {agencies!r}"
                    seen += len(rows)
        assert seen > 0 if agencies == world.ours.agency else seen == 0, f"{package} for {agencies!r}"


@pytest.mark.parametrize("package", [package for package in PACKAGES.values() if package != "gateway"])
async def test_a_session_changes_and_adds_nothing_of_another_agency(hub: Hub, world: World, package: str) -> None:
    async with session(hub, package, "*") as connection:
        found = [row for row in await tables(connection, package) if row["protected"] and row["agencies"]]
        foreign = {
            row["name"]: await connection.fetchval(
                f'SELECT to_jsonb(t) FROM "{row["name"]}" t WHERE t."{row["agencies"][0]}" = $1', world.theirs.agency
            )
            for row in found
            if row["reads"]
        }
    for table in found:
        name, column = table["name"], table["agencies"][0]
        async with session(hub, package, world.ours.agency) as connection:
            for changed in table["updates"] or ():
                change = f'UPDATE "{name}" SET "{changed}" = "{changed}" WHERE NOT hub_covers("{column}")'
                assert await connection.execute(change) == "UPDATE 0"
            if table["deletes"]:
                assert await connection.execute(f'DELETE FROM "{name}" WHERE NOT hub_covers("{column}")') == "DELETE 0"
        if foreign.get(name) is not None:
            async with session(hub, package, world.ours.agency) as connection:
                # Refused as a privilege, by the policy or by a trigger; never stored.
                with pytest.raises(asyncpg.PostgresError) as refused:
                    await connection.execute(
                        f'INSERT INTO "{name}" SELECT (jsonb_populate_record(NULL::"{name}", $1::jsonb)).*',
                        foreign[name],
                    )
                assert refused.value.sqlstate in ("42501", "428C9"), f"{name}: {refused.value}"


@pytest.mark.parametrize("package", PACKAGES.values())
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (a int)",
        "ALTER ROLE CURRENT_USER SET row_security = off",
        "SET ROLE {package}_owner",
        "SET ROLE {package}_system",
        "SET SESSION AUTHORIZATION {package}_owner",
        "DROP POLICY api ON dossier",
        "SELECT outbox_prepare_days(0)",
        "TRUNCATE inbox",
        "COPY inbox TO PROGRAM 'true'",
        "SELECT * FROM pg_authid",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT value FROM outbox",
    ],
)
async def test_a_session_may_nothing_but_its_work(hub: Hub, package: str, statement: str) -> None:
    async with session(hub, package, "*") as connection:
        if statement.startswith("ALTER ROLE"):
            await connection.execute(statement)  # its own default; policies go on holding: it is not exempt
            exempt = await connection.fetchval("SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = user")
            assert exempt is False
            return
        with pytest.raises(asyncpg.PostgresError) as refused:
            await connection.execute(statement.format(package=package))
        assert refused.value.sqlstate in ("42501", "42704", "42P01"), str(refused.value)
