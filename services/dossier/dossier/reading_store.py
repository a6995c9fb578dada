"""Reading dossiers: lists, history, whole records for other services."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dossier.store import STATE
from shared.db import Reading, Transaction

Row = Mapping[str, Any]

_WHOLE = f"{STATE}, external_reference, abstract, return_method, recorded_at, applicant, form, attachments"
_ONE = f"""
SELECT {_WHOLE}, (SELECT jsonb_build_object('id', combined_id, 'dossiers', codes) FROM combined c
                  WHERE c.code = dossier.code) AS combined
FROM dossier WHERE code = $1
"""  # noqa: S608
_MANY = f"SELECT {_WHOLE} FROM dossier WHERE code = ANY($1::text[]) ORDER BY code"  # noqa: S608
_HISTORY = """
SELECT code, version, action, from_status, to_status, at, recorded_at, reason, actor, client_id, exchange_id,
       due_before, due_after, detail
FROM transition WHERE code = ANY($1::text[]) ORDER BY code, version
"""
_PROGRESS = """
SELECT code, to_status, at, actor, reason, due_after,
  CASE WHEN action = 'correct' THEN detail->'correction'->'progress' END AS corrected
FROM transition
WHERE code = ANY($1::text[]) AND (from_status IS DISTINCT FROM to_status OR action = 'correct') ORDER BY code, version
"""
_RATE = """
INSERT INTO rating (dossier_code, agency_code, score, at, client_id)
SELECT code, agency_code, $2, $3, $4 FROM dossier WHERE code = $1 ON CONFLICT DO NOTHING RETURNING dossier_code
"""
# The first condition is the index's (migration 0005): few dossiers are late at two different times.
_VERDICTS_DIFFER = """clocks_differ
  AND coalesce(late_at < now(), false) <> coalesce(national_late_at < now(), false)"""
OPEN_STATUSES = "(1, 2, 4, 5, 6, 8)"


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed by; None does not narrow. `received_to` is exclusive."""

    agency: str | None = None
    statuses: Sequence[int] | None = None
    procedure: str | None = None
    channel: str | None = None
    received_from: datetime | None = None
    received_to: datetime | None = None
    overdue: bool | None = None
    external_reference: str | None = None
    person_hash: bytes | None = None
    verdicts_differ: bool = False
    late_until: datetime | None = None
    """Those that become late from now until then."""


async def one(rx: Reading, code: str) -> Row | None:
    """The whole row, if the caller's agencies cover it."""
    row: Row | None = await rx.raw.fetchrow(_ONE, code)
    return row


async def many(rx: Reading, codes: Sequence[str]) -> list[Row]:
    """Whole rows in code order; unknown codes are left out."""
    rows: list[Row] = await rx.raw.fetch(_MANY, list(codes))
    return rows


async def count(rx: Reading, filters: Filters, agencies: Sequence[str], most: int) -> int:
    """How many dossiers fit, counted to `most`."""
    return len(await page(rx, filters, agencies, "", most, columns="code"))


async def page(
    rx: Reading, filters: Filters, agencies: Sequence[str], after: str, limit: int, *, columns: str = _WHOLE
) -> list[Row]:
    """Whole rows after `after` in code order.

    Codes begin with their agency's code, so an agency with all below it is one range of the primary key: from
    `H08.15-` up to, not including, `H08.15/` ("-" "." "/" follow each other).
    """
    conditions, values = ["code > $1"], [after]

    def narrow(condition: str, *added: Any) -> None:
        places = [f"${len(values) + i}" for i in range(1, len(added) + 1)]
        conditions.append(condition.format(*places))
        values.extend(added)

    own = filters.agency or (agencies[0] if len(agencies) == 1 and agencies[0] != "*" else None)
    if own is not None:
        narrow("code >= {} AND code < {}", f"{own}-", f"{own}/")
    if filters.statuses is not None:
        narrow("status = ANY({}::smallint[])", list(filters.statuses))
    for column in ("procedure", "channel", "external_reference", "person_hash"):
        wanted = getattr(filters, column)
        if wanted is not None:
            narrow(("procedure_code" if column == "procedure" else column) + " = {}", wanted)
    if filters.received_from is not None:
        narrow("received_at >= {}", filters.received_from)
    if filters.received_to is not None:
        narrow("received_at < {}", filters.received_to)
    if filters.overdue is not None:
        late = f"(due_at < now() AND status IN {OPEN_STATUSES})"
        conditions.append(late if filters.overdue else f"{late} IS NOT TRUE")
    if filters.verdicts_differ:
        conditions.append(_VERDICTS_DIFFER)
    if filters.late_until is not None:
        narrow("due_at >= now() AND due_at < {} AND late_at IS NOT NULL", filters.late_until)
    narrow("true ORDER BY code LIMIT {}", limit)
    if filters.late_until is not None:
        # Few are due in a window, and the order of the codes would read them all (see `BY_KEYS`).
        await rx.raw.execute("SET LOCAL enable_sort = on")
    sql = f"SELECT {columns} FROM dossier WHERE {' AND '.join(conditions)}"  # noqa: S608 - fixed texts, $n values
    rows: list[Row] = await rx.raw.fetch(sql, *values)
    return rows


async def history(rx: Reading, codes: Sequence[str]) -> list[Row]:
    """All transitions of these dossiers, oldest first."""
    rows: list[Row] = await rx.raw.fetch(_HISTORY, list(codes))
    return rows


async def progress(rx: Reading, codes: Sequence[str]) -> list[Row]:
    """The transitions that changed the status; of a correction (`corrected`) the rows it made anew."""
    rows: list[Row] = await rx.raw.fetch(_PROGRESS, list(codes))
    return rows


async def rate(tx: Transaction, code: str, score: str, at: datetime, client_id: str) -> bool:
    """Store the rating; False when there is one already (or no such dossier)."""
    return await tx.raw.fetchval(_RATE, code, score, at, client_id) is not None


async def exists(rx: Reading, code: str) -> bool:
    """Whether the caller's agencies cover such a dossier."""
    return await rx.raw.fetchval("SELECT 1 FROM dossier WHERE code = $1", code) is not None
