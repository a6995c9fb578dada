"""A province's dossiers of three years, a million of them, straight into the services' databases.

Shares as a large province has them: most dossiers are old and returned; of the last two months a good part is open; a
few old ones stand still. Written in the order of their submission, as the service would have written them, so that an
agency's dossiers lie scattered over the whole table.
"""

import random
from bisect import bisect
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from typing import Any

import asyncpg
import orjson

from dossier.cataloguing import seeded_procedures
from dossier.person import PersonKeys, Sealed

YEARS = 3
PERSONS = 400_000
CLIENT = "bench-portal"
AGENCIES = (
    *(f"H08.{n:02d}" for n in range(1, 19)),
    *(f"H08.{n:02d}.{m:02d}" for n in range(19, 30) for m in range(14)),
)
PROCEDURES = tuple(sorted({it.code for it in seeded_procedures()}))
CHANNELS = ("online", "counter", "post")
_RECENT = timedelta(days=60)
# By age: the statuses and their shares.
_OLD = {10: 930, 9: 30, 3: 15, 7: 12, 5: 5, 4: 4, 1: 1, 2: 1, 6: 1, 8: 1}
_NEW = {1: 5, 2: 10, 4: 30, 5: 6, 6: 4, 8: 1, 9: 14, 10: 29, 3: 1}
_COLUMNS = """
code agency_code procedure_code procedure_version channel client_id external_reference status version transition_version
last_at submitted_at received_at due_at finished_at returned_at refused_at recorded_at identity_outcome has_digitised
person_hash person_sealed applicant abstract form attachments return_method detail late_at national_late_at
clocks_differ
""".split()  # noqa: SIM905 - a table reads better than thirty quoted names
_PIECE = 2000
_ATTACHMENTS = orjson.dumps(
    [
        {"component_code": f"KQ.G01.{n:06d}", "name": "to-khai.pdf", "media_type": "application/pdf", "size": 20480,
         "sha256": "0" * 64, "url": f"https://ho-so.example/{n}.pdf", "digitised": True, "reused": "none"}
        for n in (1, 2)
    ]
).decode()  # fmt: skip
# What each status went through. A history is made of the dossier's own times.
_HISTORY = """
INSERT INTO transition (code, version, agency_code, action, from_status, to_status, at, recorded_at, client_id,
                        due_before, due_after, actor)
SELECT code, it.version, agency_code, it.action, it.from_status, it.to_status, it.at, it.at, client_id, due_at, due_at,
       '{"name": "Trần Văn Bình", "title": "Chuyên viên", "unit": "Một cửa"}'
FROM dossier, LATERAL (VALUES
  (1, 'submit', NULL, 1, submitted_at), (2, 'receive', 1, 2, received_at),
  (3, 'start', 2, 4, CASE WHEN status NOT IN (1, 2, 3) THEN received_at + interval '1 hour' END),
  (4, 'finish', 4, 9, finished_at), (5, 'return', 9, 10, returned_at))
  AS it(version, action, from_status, to_status, at)
WHERE it.at IS NOT NULL AND code > $1 AND code <= $2
"""
_STANDING = """
INSERT INTO standing (destination, dossier_code, agency_code, status_code, state, desired_version, desired_progress,
  acknowledged_version, acknowledged_progress, presence, acknowledged_at, filed_at, promised_at, ended_at, last_at,
  payment_flag, owner, reason, due_at, unsynced_since)
SELECT 'dvcqg', code, agency, 10, state, 9, 6, CASE state WHEN 'synced' THEN 9 ELSE 8 END, 6, 'there',
  now() - interval '1 day', '2023-03-01T08:00+07', '2023-03-15T17:00+07', '2023-03-14T10:15+07',
  '2023-03-14T11:00+07', '0', CASE WHEN state IN ('failed', 'parked') THEN 'partner' END,
  CASE WHEN state IN ('failed', 'parked') THEN 'Hồ sơ không hợp lệ' END,
  CASE WHEN state IN ('pending', 'unknown', 'failed') THEN now() + interval '1 day' END,
  CASE WHEN state <> 'synced' THEN now() - interval '1 hour' * (code_number % 500) END
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS n(code, agency, code_number),
LATERAL (SELECT CASE WHEN code_number % 50 = 0 THEN 'pending' WHEN code_number % 500 = 1 THEN 'failed'
  WHEN code_number % 700 = 1 THEN 'parked' WHEN code_number % 900 = 1 THEN 'unknown' ELSE 'synced' END AS state) AS s
"""


def person(number: int) -> str:
    """The personal ID of this person; invented."""
    return f"052{number:09d}"


class Drawing:
    """One of some values, each as often as its share says."""

    def __init__(self, shares: dict[Any, int], chance: random.Random) -> None:
        self._values, self._sums, self._chance = tuple(shares), list(accumulate(shares.values())), chance

    def __call__(self) -> Any:
        return self._values[bisect(self._sums, self._chance.random() * self._sums[-1])]


def dossiers(count: int, now: datetime, keys: PersonKeys) -> Iterator[tuple[Any, ...]]:
    """The rows, in the order of their submission; the same for the same `now`."""
    chance = random.Random(50)
    draw = {
        # The first agencies and procedures have most of the work: shares as one over the place.
        "agency": Drawing({it: 10_000 // (place + 3) for place, it in enumerate(AGENCIES)}, chance),
        "procedure": Drawing({it: 10_000 // (place + 1) for place, it in enumerate(PROCEDURES)}, chance),
        "channel": Drawing(dict(zip(CHANNELS, (600, 380, 20), strict=True)), chance),
        "old": Drawing(_OLD, chance),
        "new": Drawing(_NEW, chance),
    }
    span = timedelta(days=365 * YEARS)
    numbers: dict[tuple[str, str], int] = {}
    for n in range(count):
        submitted = now - span + span * (n / count)
        agency = draw["agency"]()
        day = (submitted + timedelta(hours=7)).strftime("%y%m%d")
        numbers[agency, day] = number = numbers.get((agency, day), 0) + 1
        code = f"{agency}-{day}-{number:04d}"
        status = draw["old" if now - submitted > _RECENT else "new"]()
        yield _row(
            code, agency, status, submitted, now, draw, keys.sealed(person(chance.randrange(PERSONS)), code), n, chance
        )


def _row(
    code: str, agency: str, status: int, submitted: datetime, now: datetime, draw: dict[str, Drawing],
    sealed: Sealed | None, n: int, chance: random.Random,
) -> tuple[Any, ...]:  # fmt: skip
    received = None if status in (1, 3) else submitted + timedelta(hours=chance.random() * 30)
    due = None if received is None else received + timedelta(days=chance.choice((3, 7, 10, 15, 30)))
    ended = status in (9, 10)
    # One in twenty ends after its due time.
    finished = due + timedelta(days=chance.uniform(-3, 0.15)) if ended and due is not None else None
    supplements, pauses = _waiting(status, submitted, chance)
    late = due if due is not None and (status in (2, 4) or (finished or due) > due) else None
    national = supplements[1]["requested_at"] if len(supplements) > 1 and due is not None else late
    detail = {name: value for name, value in (("supplements", supplements), ("pauses", pauses)) if value}
    returned = finished + timedelta(hours=5) if status == 10 and finished is not None else None
    last = returned or finished or (received or submitted) + timedelta(hours=1)
    return (
        code, agency, draw["procedure"](), 1, draw["channel"](), CLIENT, f"bench-{n:09d}", status, 5, 5, last,
        submitted, received, due, finished, returned, last if status == 3 else None, submitted, "match", n % 3 > 0,
        *((None, None) if sealed is None else (sealed.hash, sealed.sealed)),
        orjson.dumps({"kind": "citizen", "full_name": f"Nguyễn Văn {n}", "date_of_birth": "1990-04-12",
                      "phone": "0905000000", "address": "12 đường số 3, Phường 1", "email": None,
                      "organisation_tax_code": None}).decode(),
        "Cấp Phiếu lý lịch tư pháp cho công dân Việt Nam", '{"so_ban": 2, "muc_dich": "bổ sung hồ sơ"}', _ATTACHMENTS,
        "electronic", orjson.dumps(detail).decode(), late, national, late != national,
    )  # fmt: skip


def _waiting(
    status: int, submitted: datetime, chance: random.Random
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Supplements asked for and pauses, as `dossier.store` keeps them."""
    times = 1 + (chance.random() < 0.1) if status == 5 or chance.random() < 0.08 else 0
    supplements, pauses = [], []
    for n in range(times):
        asked, answered = submitted + timedelta(days=1 + 3 * n), submitted + timedelta(days=3 + 3 * n)
        is_open = status == 5 and n == times - 1
        supplements.append(
            {"requested_at": asked, "requested_by": "Trần Văn Bình", "reason": "Thiếu bản sao", "due_before": None,
             "answered_at": None if is_open else answered, "due_after": None, "legal_exception": None}
        )  # fmt: skip
        pauses.append({"kind": "supplement", "began_at": asked, "ended_at": None if is_open else answered})
    if status in (6, 8):
        kind = "payment" if status == 6 else "stop"
        pauses.append({"kind": kind, "began_at": submitted + timedelta(hours=31), "ended_at": None})
    return supplements, pauses


async def fill(dossier_url: str, sync_url: str, count: int, keys: PersonKeys) -> list[str]:
    """Both databases, as the administrator; every thousandth code."""
    now = datetime.now(UTC).replace(microsecond=0)
    codes: list[tuple[str, str]] = []

    async def rows() -> AsyncIterator[tuple[Any, ...]]:
        for row in dossiers(count, now, keys):
            codes.append((row[0], row[1]))
            yield row

    connection = await asyncpg.connect(dossier_url)
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=str, format="text")
    async with _bare(connection, "dossier"):
        await _copy(connection, rows())
    ordered = sorted(code for code, _ in codes)
    edges = ["", *ordered[_PIECE * 50 :: _PIECE * 50], ordered[-1]]
    for after, upto in pairwise(edges):
        await connection.execute(_HISTORY, after, upto, timeout=600)
    await connection.execute("VACUUM ANALYZE dossier; ", timeout=600)
    await connection.execute("ANALYZE transition", timeout=600)
    await connection.close()
    connection = await asyncpg.connect(sync_url)
    async with _bare(connection, "standing"):
        for first in range(0, count, 100_000):
            some = codes[first : first + 100_000]
            await connection.execute(_STANDING, [it[0] for it in some], [it[1] for it in some], timeout=600)
    await connection.execute("VACUUM ANALYZE standing", timeout=600)
    await connection.close()
    return ordered[::1000]


async def _copy(connection: Any, rows: AsyncIterator[tuple[Any, ...]]) -> None:
    """By COPY in text: its binary form knows no jsonb from text."""
    await connection.copy_to_table("dossier", source=_lines(rows), columns=_COLUMNS, timeout=1200)


async def _lines(rows: AsyncIterator[tuple[Any, ...]]) -> AsyncIterator[bytes]:
    piece: list[str] = []
    async for row in rows:
        piece.append("\t".join(map(_text, row)))
        if len(piece) == _PIECE:
            yield ("\n".join(piece) + "\n").encode()
            piece = []
    if piece:
        yield ("\n".join(piece) + "\n").encode()


def _text(value: Any) -> str:
    if value is None:
        return r"\N"
    if isinstance(value, bytes):
        return rf"\\x{value.hex()}"
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value).replace("\\", r"\\")


@asynccontextmanager
async def _bare(connection: Any, table: str) -> AsyncIterator[None]:
    """Without the table's indexes but the key; they are made again at the end."""
    kept = await connection.fetch(
        "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS made FROM pg_index "
        "WHERE indrelid = $1::regclass AND NOT indisprimary",
        table,
    )
    for it in kept:
        await connection.execute(f"DROP INDEX {it['name']}")
    yield
    for it in kept:
        await connection.execute(it["made"], timeout=600)
