"""The exchange log's rules: what a record says, its digest, and what makes a chain of them sound.

```
opening ──previous──▶ record 1 ──previous──▶ record 2 ── … ──▶ record n = the chain's head (seq n, its digest)
digest = SHA-256 over canonical JSON (keys sorted, no spaces, UTF-8, times RFC 3339 in UTC) of all other fields
```
One chain per process. Chains are numbered without a gap and each one's opening is derived from the one before it,
so that a whole chain cannot vanish either. A changed field breaks the record's digest; a deleted, added or moved
record breaks `seq` or `previous`; a cut tail no longer reaches the head.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from shared import strict_json
from shared.errors import InvalidRequest

Kind = Literal["exchange", "opening", "closing", "recovered"]
"""exchange: a whole one · opening and closing: of an answer that streams · recovered: found missing later."""

DOSSIER_CODE = re.compile(r"[A-Z0-9.]{1,40}-\d{6}-\d{4,12}")
_CODE_MEMBER = re.compile(rb'"(?:dossier_)?code"\s*:\s*"([A-Z0-9.]{1,40}-\d{6}-\d{4,12})"')


class Exchange(NamedTuple):
    """What happened between one request and its answer. Digests are raw SHA-256; None is an empty body."""

    id: str
    kind: Kind
    client_id: str | None
    subject: str | None
    role: str | None
    method: str
    route: str
    path: str
    status: int
    upstream_status: int | None
    purpose: str | None
    received_at: datetime
    answered_at: datetime
    request_sha256: bytes | None
    response_sha256: bytes | None
    dossier_codes: tuple[str, ...]

    @property
    def dossier_code(self) -> str | None:
        """The one dossier concerned; of several there is a digest, and a row each beside the record."""
        return self.dossier_codes[0] if len(self.dossier_codes) == 1 else None

    @property
    def dossiers_sha256(self) -> bytes | None:
        """Digest over the codes of an exchange that concerned several dossiers."""
        return codes_digest(self.dossier_codes) if len(self.dossier_codes) > 1 else None


class Record(NamedTuple):
    """An exchange at its place in a chain. `text` is what the digest was taken over."""

    chain: str
    seq: int
    previous: bytes
    digest: bytes
    text: bytes
    recorded_at: datetime
    exchange: Exchange


def codes_digest(codes: Iterable[str]) -> bytes:
    """SHA-256 over the sorted codes, one a line."""
    return hashlib.sha256("\n".join(sorted(codes)).encode()).digest()


def link(chain: str, seq: int, previous: bytes, recorded_at: datetime, exchange: Exchange) -> Record:
    """The record that follows `previous`."""
    text = text_of(
        {
            "chain": chain,
            "seq": seq,
            "previous": previous,
            "recorded_at": recorded_at,
            "id": exchange.id,
            "kind": exchange.kind,
            "client_id": exchange.client_id,
            "subject": exchange.subject,
            "role": exchange.role,
            "method": exchange.method,
            "route": exchange.route,
            "path": exchange.path,
            "status": exchange.status,
            "upstream_status": exchange.upstream_status,
            "purpose": exchange.purpose,
            "received_at": exchange.received_at,
            "answered_at": exchange.answered_at,
            "request_sha256": exchange.request_sha256,
            "response_sha256": exchange.response_sha256,
            "dossier_code": exchange.dossier_code,
            "dossier_count": len(exchange.dossier_codes),
            "dossiers_sha256": exchange.dossiers_sha256,
        }
    )
    return Record(chain, seq, previous, hashlib.sha256(text).digest(), text, recorded_at, exchange)


def text_of(fields: dict[str, Any]) -> bytes:
    """What the digest of a record with these fields (all columns but the digest itself) is taken over."""
    for name in ("previous", "request_sha256", "response_sha256", "dossiers_sha256"):
        value = fields[name]
        if value is not None:
            fields[name] = value.hex()
    return strict_json.canonical(fields)


def opening_digest(chain: str, number: int, started_at: datetime, before: bytes) -> bytes:
    """What the first record of a chain takes as its previous digest; `before` is the former chain's opening."""
    fields = {"chain": chain, "number": number, "started_at": started_at, "before": before.hex()}
    return hashlib.sha256(strict_json.canonical(fields)).digest()


@dataclass(frozen=True, slots=True)
class Flaw:
    """The first thing wrong with the log."""

    chain: str
    seq: int
    id: str | None
    reason: str

    def __str__(self) -> str:
        return f"chain {self.chain}, record {self.seq} (exchange {self.id or 'unknown'}): {self.reason}"


class Walk:
    """Walks one chain in order of `seq`, a row after the other, and stops at the first flaw."""

    def __init__(self, chain: str, opening: bytes) -> None:
        self.chain = chain
        self.seq = 0
        self.digest = opening

    def step(self, row: dict[str, Any], codes_digest_found: bytes | None) -> Flaw | None:
        """Judge the next row (columns of `exchange`, ids as text, times in UTC)."""
        found = row.pop("digest")
        flaw = None
        if row["seq"] != self.seq + 1:
            reason = f"record {self.seq + 1} is missing" if row["seq"] > self.seq + 1 else "out of order"
            flaw = Flaw(self.chain, self.seq + 1, None, reason)
        elif row["previous"] != self.digest:
            flaw = Flaw(self.chain, row["seq"], row["id"], "does not follow the record before it")
        elif row["dossiers_sha256"] != codes_digest_found:
            flaw = Flaw(self.chain, row["seq"], row["id"], "its list of dossiers was changed")
        elif hashlib.sha256(text_of(row)).digest() != found:
            flaw = Flaw(self.chain, row["seq"], row["id"], "was changed")
        self.seq += 1
        self.digest = found
        return flaw

    def end(self, head_seq: int, head_digest: bytes) -> Flaw | None:
        """Judge whether the chain ends where its head says."""
        if self.seq < head_seq:
            return Flaw(self.chain, self.seq + 1, None, f"the tail is cut off: {head_seq} records were written")
        if self.seq > head_seq or self.digest != head_digest:
            return Flaw(self.chain, self.seq, None, "the chain does not end at its recorded head")
        return None


def codes_in(answer: bytes) -> tuple[str, ...]:
    """The dossier codes an answer names in `code` or `dossier_code`, each once."""
    found: Sequence[bytes] = _CODE_MEMBER.findall(answer)
    return tuple(dict.fromkeys(code.decode() for code in found))


def code_named(body: bytes) -> tuple[str, ...]:
    """The dossier that a JSON object itself names in `dossier_code` or `code`; what it holds further down are others'.

    Read like the services read it: an escape in it hides nothing.
    """
    try:
        value = strict_json.loads(body)
    except InvalidRequest:
        return ()
    named = (value.get(name) for name in ("dossier_code", "code")) if isinstance(value, dict) else ()
    return tuple(code for code in named if isinstance(code, str))


def code_at_end(location: str) -> tuple[str, ...]:
    """The dossier code a `Location` ends with."""
    last = location.rsplit("/", 1)[-1]
    return (last,) if DOSSIER_CODE.fullmatch(last) else ()


def agency_of(dossier_code: str) -> str | None:
    """The agency a dossier code begins with, or None if it is no dossier code."""
    return dossier_code.rsplit("-", 2)[0] if DOSSIER_CODE.fullmatch(dossier_code) else None
