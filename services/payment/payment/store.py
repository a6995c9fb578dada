"""Tables and queries of charges, the platform's notices and the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from payment.charge import Line, Move, Notice, State
from shared import strict_json
from shared.db import Reading, Transaction

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewCharge:
    """A charge as a dossier's `payment_requested` asks for it."""

    id: str
    dossier_code: str
    agency_code: str
    reference: str
    request_version: int
    lines: Sequence[Line]
    amount_vnd: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Leased:
    """A charge taken by a worker. `attempt` fences: whoever saves with an older number has lost the lease."""

    id: str
    dossier_code: str
    agency_code: str
    reference: str
    request_version: int
    lines: list[Line]
    amount_vnd: int
    at: datetime
    attempt: int
    refusals: int
    is_answer_lost: bool


@dataclass(frozen=True, slots=True)
class Unsent:
    """What is to be remembered of an INIT without a link."""

    charge: Leased
    seconds: float
    error: str
    is_refused: bool
    is_outcome_unknown: bool


_KNOW = """
INSERT INTO dossier (code, agency_code) SELECT * FROM unnest(CAST(:codes AS text[]), CAST(:agencies AS text[]))
ON CONFLICT DO NOTHING
"""

_CREATE = """
INSERT INTO charge (id, dossier_code, agency_code, method, state, reference, request_version, lines, amount_vnd, at)
SELECT n.id, n.dossier_code, n.agency_code, 'online', 'created', n.reference, n.version, n.lines, n.amount, n.at
FROM unnest(CAST(:ids AS text[]), CAST(:dossiers AS text[]), CAST(:agencies AS text[]), CAST(:refs AS text[]),
  CAST(:versions AS int[]), CAST(:lines AS jsonb[]), CAST(:amounts AS bigint[]), CAST(:ats AS timestamptz[]))
  AS n (id, dossier_code, agency_code, reference, version, lines, amount, at)
ON CONFLICT (dossier_code, request_version) WHERE method = 'online' DO NOTHING
"""

# One statement: the dossier as this caller may see it, the charge, its ledger row, its exchange.
_COLLECT = """
WITH known AS (SELECT agency_code FROM dossier WHERE code = :dossier_code),
collected AS (
  INSERT INTO charge (id, dossier_code, agency_code, method, state, reference, lines, amount_vnd, at, collected_by,
    client_id, version)
  SELECT :id, :dossier_code, agency_code, 'counter', 'paid', :receipt_number, CAST(:lines AS jsonb), :amount_vnd, :at,
    :collected_by, :client_id, 1
  FROM known
  ON CONFLICT (agency_code, reference) WHERE method = 'counter' DO NOTHING
  RETURNING id, dossier_code, agency_code, amount_vnd, at, recorded_at),
booked AS (
  INSERT INTO ledger (charge_id, dossier_code, agency_code, kind, method, amount_vnd, reference, transaction_number, at)
  SELECT id, dossier_code, agency_code, 'paid', 'counter', amount_vnd, :receipt_number, '', at FROM collected),
kept AS (
  INSERT INTO exchange_kept (exchange_id, client_id, dossier_code)
  SELECT CAST(:exchange_id AS text), :client_id, dossier_code FROM collected
  WHERE CAST(:exchange_id AS text) IS NOT NULL)
SELECT known.agency_code, collected.recorded_at FROM known LEFT JOIN collected ON true
"""

_LEASE_INITS = """
UPDATE charge SET state = 'initiated', attempts = attempts + 1, is_in_flight = true,
  is_answer_lost = is_answer_lost OR is_in_flight,
  next_attempt_at = clock_timestamp() + make_interval(secs => :lease_seconds),
  next_query_at = coalesce(next_query_at, clock_timestamp() + make_interval(secs => :query_after_seconds))
WHERE id IN (
  SELECT id FROM charge WHERE state IN ('created', 'initiated') AND next_attempt_at <= statement_timestamp()
  ORDER BY next_attempt_at LIMIT :most FOR UPDATE SKIP LOCKED)
RETURNING id, dossier_code, agency_code, reference, request_version, lines, amount_vnd, at, attempts AS attempt,
  refusals, is_answer_lost
"""

# A CONFIRM may have been faster than INIT's answer: then only the link is noted.
_LINK = """
UPDATE charge c SET payment_url = l.url, is_in_flight = false, last_error = NULL,
  state = CASE WHEN c.state IN ('created', 'initiated') THEN 'pending' ELSE c.state END,
  version = c.version + CAST(c.state IN ('created', 'initiated') AS int)
FROM unnest(CAST(:ids AS text[]), CAST(:urls AS text[])) AS l (id, url)
WHERE c.id = l.id
RETURNING c.id, old.state AS state_before, c.version
"""

_UNSENT = """
UPDATE charge c SET is_in_flight = false, last_error = u.error,
  next_attempt_at = clock_timestamp() + make_interval(secs => u.seconds),
  refusals = refusals + CAST(u.is_refused AS int), is_answer_lost = c.is_answer_lost OR u.is_unknown,
  state = CASE WHEN c.is_answer_lost OR u.is_unknown THEN 'initiated' ELSE 'created' END
FROM unnest(CAST(:ids AS text[]), CAST(:attempts AS int[]), CAST(:seconds AS float8[]), CAST(:errors AS text[]),
  CAST(:refused AS bool[]), CAST(:unknown AS bool[])) AS u (id, attempt, seconds, error, is_refused, is_unknown)
WHERE c.id = u.id AND c.attempts = u.attempt AND c.state = 'initiated'
"""

_LEASE_QUERIES = """
UPDATE charge SET queries = queries + 1, next_query_at = clock_timestamp()
  + make_interval(secs => LEAST(:query_after_seconds * power(2, LEAST(queries, 16)), :longest_seconds))
WHERE id IN (
  SELECT id FROM charge WHERE state IN ('initiated', 'pending') AND next_query_at <= statement_timestamp()
  ORDER BY next_query_at LIMIT :most FOR UPDATE SKIP LOCKED)
RETURNING id, reference, at,
  recorded_at < statement_timestamp() - make_interval(secs => :expire_after_seconds) AS is_over
"""

# The charge's row is locked first: a hundred copies of one CONFIRM take their turns, and one finds the notice new.
_TAKE_NOTICE = """
WITH charge AS (SELECT * FROM charge WHERE reference = $1 AND method = 'online' FOR UPDATE),
noted AS (
  INSERT INTO notice (reference, transaction_number, is_success, agency_code, via, body)
  SELECT $1, $2, $3, agency_code, $4, $5::jsonb FROM charge
  ON CONFLICT DO NOTHING RETURNING true),
kept AS (
  INSERT INTO exchange_kept (exchange_id, client_id, dossier_code)
  SELECT $6, $7, dossier_code FROM charge WHERE $6::text IS NOT NULL AND EXISTS (SELECT FROM noted))
SELECT id, dossier_code, agency_code, state, version, lines, amount_vnd, reference, request_version, at,
  EXISTS (SELECT FROM noted) AS is_new
FROM charge
"""

_PAY = """
WITH moved AS (
  UPDATE charge SET state = $2, at = $3, version = version + 1,
    transaction_number = CASE WHEN $5 = 'paid' THEN $4 ELSE coalesce(transaction_number, $4) END
  WHERE id = $1
  RETURNING id, dossier_code, agency_code)
INSERT INTO ledger (charge_id, dossier_code, agency_code, kind, method, amount_vnd, reference, transaction_number, at)
SELECT id, dossier_code, agency_code, $5, 'online', $6, $7, $4, $8 FROM moved
"""

_CLOSE = "UPDATE charge SET state = :state, version = version + 1 WHERE id = :id"

_PLATFORM = "payment-platform"
"""Stands for a client where an exchange was the platform's callback, which has no token."""

_COLUMNS = """
id, dossier_code, agency_code, method, state, lines, amount_vnd, payment_url, reference, request_version,
transaction_number, collected_by, at, recorded_at
"""

_LIST = f"""
SELECT {_COLUMNS} FROM charge
WHERE (CAST(:dossier_code AS text) IS NULL OR dossier_code = :dossier_code)
  AND (CAST(:agency AS text) IS NULL OR agency_code = :agency OR starts_with(agency_code, :agency || '.'))
  AND (CAST(:since AS timestamptz) IS NULL OR at >= :since) AND (CAST(:before AS timestamptz) IS NULL OR at < :before)
  AND (CAST(:after_id AS text) IS NULL OR id > :after_id)
ORDER BY id LIMIT :most
"""


async def know_dossiers(tx: Transaction, agencies: Mapping[str, str]) -> None:
    """Remember whose dossiers these are, as code → agency."""
    codes = sorted(agencies)
    await tx.execute(_KNOW, codes=codes, agencies=[agencies[code] for code in codes])


async def create_charges(tx: Transaction, charges: Sequence[NewCharge]) -> int:
    """One charge per request; those that exist are left alone. The number of new ones."""
    return await tx.execute(
        _CREATE,
        ids=[c.id for c in charges],
        dossiers=[c.dossier_code for c in charges],
        agencies=[c.agency_code for c in charges],
        refs=[c.reference for c in charges],
        versions=[c.request_version for c in charges],
        lines=[strict_json.dumps(c.lines).decode() for c in charges],
        amounts=[c.amount_vnd for c in charges],
        ats=[c.at for c in charges],
    )


async def collect(tx: Transaction, *, lines: Sequence[Line], **columns: Any) -> Row | None:
    """Book a counter payment. None: the dossier is not known (to this caller); no `recorded_at`: the receipt
    number is taken."""
    return await tx.row(_COLLECT, lines=strict_json.dumps(lines).decode(), **columns)


async def lease_inits(tx: Transaction, *, most: int, lease_seconds: float, query_after_seconds: float) -> list[Leased]:
    """Take charges whose INIT is due; other workers pass over them."""
    rows = await tx.rows(_LEASE_INITS, most=most, lease_seconds=lease_seconds, query_after_seconds=query_after_seconds)
    return [Leased(**row) for row in rows]


async def set_links(tx: Transaction, urls: Mapping[str, str]) -> dict[str, tuple[State, int]]:
    """Save links by charge id; the state each charge was in before, and the version it has now."""
    ids = sorted(urls)
    rows = await tx.rows(_LINK, ids=ids, urls=[urls[i] for i in ids])
    return {row["id"]: (State(row["state_before"]), row["version"]) for row in rows}


async def set_unsent(tx: Transaction, unsent: Sequence[Unsent]) -> None:
    """Put charges back whose INIT brought no link."""
    await tx.execute(
        _UNSENT,
        ids=[u.charge.id for u in unsent],
        attempts=[u.charge.attempt for u in unsent],
        seconds=[u.seconds for u in unsent],
        errors=[u.error for u in unsent],
        refused=[u.is_refused for u in unsent],
        unknown=[u.is_outcome_unknown for u in unsent],
    )


async def lease_queries(tx: Transaction, *, most: int, **seconds: float) -> Sequence[Row]:
    """Take charges to ask the platform about: `id reference at is_over`."""
    return await tx.rows(_LEASE_QUERIES, most=most, **seconds)


async def take_notice(
    tx: Transaction,
    *,
    reference: str,
    transaction_number: str,
    is_success: bool,
    via: str,
    body: Mapping[str, Any],
    exchange_id: str | None,
) -> Row | None:
    """Lock the charge and note what the platform said; None when there is no such charge. `is_new`: never before."""
    text = strict_json.dumps(body).decode()
    row: Row | None = await tx.raw.fetchrow(
        _TAKE_NOTICE, reference, transaction_number, is_success, via, text, exchange_id, _PLATFORM
    )
    return row


async def locked(tx: Transaction, charge_id: str) -> Row | None:
    """One charge, locked."""
    return await tx.row("SELECT * FROM charge WHERE id = :id FOR UPDATE", id=charge_id)


async def close(tx: Transaction, charge_id: str, to: Move) -> None:
    """Put a locked charge into a state without money."""
    await tx.execute(_CLOSE, state=to.state.value, id=charge_id)


async def pay(
    tx: Transaction,
    charge_id: str,
    to: Move,
    *,
    kind: Literal["paid", "other_amount"],
    notice: Notice,
    charged_at: datetime,
    booked_at: datetime,
) -> None:
    """Put a locked charge into the state that the money brings, and write the money into the ledger."""
    number, reference = notice.transaction_number, notice.reference
    await tx.raw.execute(
        _PAY, charge_id, to.state.value, charged_at, number, kind, notice.amount_vnd, reference, booked_at
    )


async def charge(rx: Reading, charge_id: str) -> Row | None:
    """One charge as the API shows it."""
    return await rx.row(f"SELECT {_COLUMNS} FROM charge WHERE id = :id", id=charge_id)


async def charges(
    rx: Reading,
    *,
    dossier_code: str | None,
    agency: str | None,
    since: datetime | None,
    before: datetime | None,
    after_id: str | None,
    most: int,
) -> Sequence[Row]:
    """Charges in the order they were made. An agency stands for those below it too."""
    return await rx.rows(
        _LIST, dossier_code=dossier_code, agency=agency, since=since, before=before, after_id=after_id, most=most
    )
