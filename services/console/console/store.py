"""The read model's tables. Writes take a whole batch as one JSON document: one statement however many events."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from shared import strict_json
from shared.db import Reading, Transaction

_PUT_DOSSIERS = """
INSERT INTO dossier (code, agency_code, procedure_code, channel, status_code, version, submitted_at, received_at,
  due_at, due_since, finished_at, returned_at, resolved_at, identity_outcome, due_vnd, paid_vnd, is_digitised,
  has_electronic_result, electronic_since)
SELECT code, agency_code, procedure_code, channel, status_code, version, submitted_at, received_at,
  due_at, due_since, finished_at, returned_at, resolved_at, identity_outcome, (payments->>'due_vnd')::bigint,
  (payments->>'paid_vnd')::bigint, digitised, electronic_result, electronic_since
FROM jsonb_to_recordset($1::jsonb) AS new (code text, agency_code text, procedure_code text, channel text,
  status_code smallint, version int, submitted_at timestamptz, received_at timestamptz, due_at timestamptz,
  due_since timestamptz, finished_at timestamptz, returned_at timestamptz, resolved_at timestamptz,
  identity_outcome text, payments jsonb, digitised boolean, electronic_result boolean, electronic_since timestamptz)
ORDER BY code
ON CONFLICT (code) DO UPDATE SET
  status_code = EXCLUDED.status_code, version = EXCLUDED.version, received_at = EXCLUDED.received_at,
  due_at = EXCLUDED.due_at,
  due_since = CASE WHEN EXCLUDED.due_at IS DISTINCT FROM dossier.due_at THEN EXCLUDED.due_since
              ELSE dossier.due_since END,
  finished_at = EXCLUDED.finished_at, returned_at = EXCLUDED.returned_at,
  resolved_at = coalesce(EXCLUDED.resolved_at, dossier.resolved_at), identity_outcome = EXCLUDED.identity_outcome,
  due_vnd = EXCLUDED.due_vnd, paid_vnd = EXCLUDED.paid_vnd, is_digitised = EXCLUDED.is_digitised,
  has_electronic_result = EXCLUDED.has_electronic_result,
  electronic_since = LEAST(dossier.electronic_since, EXCLUDED.electronic_since)
WHERE dossier.version < EXCLUDED.version
"""

# An older version tells nothing new but when the dossier was resolved and had an electronic result, if a newer one
# came before it.
_RESOLVE = """
UPDATE dossier SET resolved_at = coalesce(dossier.resolved_at, old.resolved_at),
  electronic_since = LEAST(dossier.electronic_since, old.electronic_since)
FROM jsonb_to_recordset($1::jsonb) AS old (code text, resolved_at timestamptz, electronic_since timestamptz)
WHERE dossier.code = old.code AND (dossier.resolved_at IS NULL AND old.resolved_at IS NOT NULL
  OR coalesce(dossier.electronic_since, 'infinity') > old.electronic_since)
"""

_PUT_PAYMENTS = """
INSERT INTO payment (id, dossier_code, agency_code, method, amount_vnd, at)
SELECT payment_id, dossier_code, agency_code, method, amount_vnd, at
FROM jsonb_to_recordset($1::jsonb) AS new (payment_id text, dossier_code text, agency_code text, method text,
  amount_vnd bigint, at timestamptz)
ON CONFLICT (id) DO NOTHING
"""

_PUT_SYNC = """
INSERT INTO sync (dossier_code, destination, agency_code, version, progress_number, acknowledged_at, parked_reason,
  parked_owner)
SELECT dossier_code, destination, agency_code, coalesce(version, 0), coalesce(progress_number, 0), at, reason, owner
FROM jsonb_to_recordset($1::jsonb) AS new (dossier_code text, destination text, agency_code text, version int,
  progress_number int, at timestamptz, reason text, owner text)
ON CONFLICT (dossier_code, destination) DO UPDATE SET
  version = greatest(sync.version, EXCLUDED.version),
  progress_number = greatest(sync.progress_number, EXCLUDED.progress_number),
  acknowledged_at = coalesce(greatest(sync.acknowledged_at, EXCLUDED.acknowledged_at), EXCLUDED.acknowledged_at),
  parked_reason = EXCLUDED.parked_reason, parked_owner = EXCLUDED.parked_owner
"""

_ADD_HOPS = """
INSERT INTO hop (dossier_code, agency_code, topic, type, version, is_fact, at, published_at, due_at, detail)
SELECT dossier_code, agency_code, topic, type, version, is_fact, at, published_at, due_at, detail
FROM jsonb_to_recordset($1::jsonb) AS new (dossier_code text, agency_code text, topic text, type text, version int,
  is_fact boolean, at timestamptz, published_at timestamptz, due_at timestamptz, detail jsonb)
"""

# Definitions: api.md, "Reports". A due time moved after the period does not make what was late then timely: of a
# dossier still open at the end of the period the due time is the one it had then.
_AGENCIES = """
WITH counted AS (
  SELECT d.agency_code, d.channel, d.identity_outcome, d.is_digitised,
    coalesce(d.electronic_since < :end, false) AS is_electronic, d.received_at >= :start AS is_new,
    coalesce(d.resolved_at < :end, false) AS is_resolved,
    d.resolved_at > d.due_at AS is_late,
    CASE WHEN d.resolved_at < :end THEN NULL WHEN d.due_since < :end THEN d.due_at ELSE (
      SELECT h.due_at FROM hop h
      WHERE h.dossier_code = d.code AND h.topic = 'lgsp.dossier' AND NOT h.is_fact AND h.at < :end
      ORDER BY h.version DESC LIMIT 1) END AS due_then
  FROM dossier d
  WHERE d.received_at < :end AND (d.received_at >= :start OR d.resolved_at IS NULL OR d.resolved_at >= :start)
    AND (CAST(:province AS text) IS NULL OR d.agency_code = :province OR starts_with(d.agency_code, :below)))
SELECT agency_code,
  count(*) FILTER (WHERE is_new) AS received_in_period,
  count(*) FILTER (WHERE is_new AND channel = 'online') AS received_online,
  count(*) FILTER (WHERE NOT is_new) AS carried_over,
  count(*) FILTER (WHERE is_resolved AND is_late IS NOT TRUE) AS resolved_on_time,
  count(*) FILTER (WHERE is_resolved AND is_late) AS resolved_late,
  count(*) FILTER (WHERE NOT is_resolved AND coalesce(due_then >= :present, true)) AS in_progress_on_time,
  count(*) FILTER (WHERE NOT is_resolved AND due_then < :present) AS in_progress_overdue,
  count(*) FILTER (WHERE is_new AND identity_outcome = ANY(:from_register)) AS population_db_used,
  count(*) FILTER (WHERE is_new AND is_digitised) AS digitised,
  count(*) FILTER (WHERE is_resolved AND is_electronic) AS electronic_results
FROM counted GROUP BY agency_code
"""

_FEES = """
SELECT agency_code,
  count(*) FILTER (WHERE method = 'online') AS online_transactions,
  coalesce(sum(amount_vnd) FILTER (WHERE method = 'online'), 0)::bigint AS online_amount_vnd,
  count(*) FILTER (WHERE method = 'counter') AS counter_transactions,
  coalesce(sum(amount_vnd) FILTER (WHERE method = 'counter'), 0)::bigint AS counter_amount_vnd,
  count(DISTINCT dossier_code) AS paying_dossiers,
  count(DISTINCT dossier_code) FILTER (WHERE method = 'online') AS online_paying_dossiers
FROM payment
WHERE at >= :start AND at < :end
  AND (CAST(:province AS text) IS NULL OR agency_code = :province OR starts_with(agency_code, :below))
GROUP BY agency_code
"""

_TODAY = """
SELECT count(*) FILTER (WHERE submitted_at >= :start) AS submitted_today,
  count(*) FILTER (WHERE received_at >= :start) AS received_today,
  count(*) FILTER (WHERE resolved_at >= :start) AS resolved_today,
  count(*) FILTER (WHERE received_at IS NOT NULL AND resolved_at IS NULL) AS in_progress,
  count(*) FILTER (WHERE received_at IS NOT NULL AND resolved_at IS NULL AND due_at < :present) AS overdue,
  count(*) AS dossiers
FROM dossier
"""

Rows = Sequence[Mapping[str, Any]]


async def put_dossiers(tx: Transaction, states: Rows) -> None:
    """At most one state per dossier; an older version than the stored one changes nothing."""
    await tx.raw.execute(_PUT_DOSSIERS, _json(states))
    names = ("code", "resolved_at", "electronic_since")
    ended = [{name: it[name] for name in names} for it in states if it["resolved_at"] or it["electronic_since"]]
    if ended:
        await tx.raw.execute(_RESOLVE, _json(ended))


async def put_payments(tx: Transaction, payments: Rows) -> None:
    """Completed payments; each counts once."""
    await tx.raw.execute(_PUT_PAYMENTS, _json(payments))


async def put_sync(tx: Transaction, states: Rows) -> None:
    """What a destination acknowledged, or why it does not."""
    await tx.raw.execute(_PUT_SYNC, _json(states))


async def add_hops(tx: Transaction, hops: Rows) -> None:
    """One step each of a dossier's way."""
    await tx.raw.execute(_ADD_HOPS, _json(hops))


async def agency_counts(
    rx: Reading, province: str | None, start: datetime, end: datetime, present: datetime, register: Sequence[str]
) -> Rows:
    """The counts of appendix 1 per agency, for [start, end) as known at its end or `present`."""
    return await rx.rows(
        _AGENCIES,
        province=province,
        below=f"{province}.",
        start=start,
        end=end,
        present=min(present, end),
        from_register=list(register),
    )


async def fee_sums(rx: Reading, province: str | None, start: datetime, end: datetime) -> Rows:
    """The sums of appendix 2 per agency, for payments made in [start, end)."""
    return await rx.rows(_FEES, province=province, below=f"{province}.", start=start, end=end)


async def today(rx: Reading, start: datetime, present: datetime) -> Mapping[str, int]:
    """What the home page counts: the day since `start`, and what is open now."""
    row = await rx.row(_TODAY, start=start, present=present)
    return {name: int(count) for name, count in row.items()} if row else {}


async def as_of(rx: Reading) -> datetime | None:
    """When the newest event taken in was published."""
    moment: datetime | None = await rx.value("SELECT max(published_at) FROM hop")
    return moment


async def hops(rx: Reading, dossier_code: str) -> Rows:
    """The way of one dossier, in order of time."""
    return await rx.rows(
        "SELECT topic, type, version, at, published_at, due_at, detail FROM hop WHERE dossier_code = :code "
        "ORDER BY at, published_at",
        code=dossier_code,
    )


def _json(rows: Rows) -> str:
    return strict_json.dumps(list(rows)).decode()
