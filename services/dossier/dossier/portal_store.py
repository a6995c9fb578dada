"""What the national portal has sent: a row for each part of each of its dossiers, kept for ever."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from shared.db import Reading, Transaction

_CODES = "SELECT portal_code, code FROM portal_received WHERE part = 'filing' AND portal_code = ANY($1::text[])"
_CLAIM = """
INSERT INTO portal_received (portal_code, part, code, agency_code, exchange_id)
SELECT portal_code, part, code, agency_code, $5
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS n(portal_code, part, code, agency_code)
ORDER BY portal_code, part
ON CONFLICT DO NOTHING RETURNING portal_code
"""


class Part(NamedTuple):
    """One thing the portal has to say of one of its dossiers."""

    portal_code: str
    part: str
    code: str
    """The hub's code of the dossier."""
    agency_code: str


async def codes(rx: Reading, portal_codes: Sequence[str]) -> Mapping[str, str]:
    """The hub's codes of those of the portal's dossiers that are here."""
    rows = await rx.raw.fetch(_CODES, list(portal_codes))
    return {row["portal_code"]: row["code"] for row in rows}


async def claim(tx: Transaction, parts: Sequence[Part], exchange_id: str | None) -> set[str]:
    """Note what comes for the first time, and say which that is; a concurrent repeat is waited for."""
    columns = zip(*parts, strict=True) if parts else ((), (), (), ())
    rows = await tx.raw.fetch(_CLAIM, *(list(column) for column in columns), exchange_id)
    return {row["portal_code"] for row in rows}
