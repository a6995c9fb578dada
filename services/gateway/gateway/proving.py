"""Proving the exchange log: every chain walked, and held against the seals that were kept outside the database.

| what was done to the log          | what shows it                                                          |
|-----------------------------------|------------------------------------------------------------------------|
| a record changed                  | its digest                                                             |
| a record deleted, added, moved    | `seq`, or `previous`                                                   |
| the tail cut                      | the chain's head; the head cut with it: a seal                         |
| everything rewritten from one on  | a seal: the digest at its place is another                             |
| a whole chain gone                | its number, the openings behind it; the newest one: a seal             |
| an old copy put back              | a seal that knows more records                                         |
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from gateway import store_exchanges
from gateway.exchange import Flaw, Walk, opening_digest
from gateway.sealing import Sealed
from gateway.store_exchanges import GENESIS, Snapshot


@dataclass(frozen=True, slots=True)
class Proof:
    """What a verification found: how much was read, and the first flaw, if any."""

    chains: int
    records: int
    seals: int
    flaw: Flaw | None


async def verify(url: str, seals: Sequence[Sealed] = ()) -> Proof:
    """Walk every chain of the log and hold it against the seals."""
    by_chain: dict[str, dict[int, Sealed]] = defaultdict(dict)
    for sealed in seals:
        by_chain[sealed.chain][sealed.seq] = sealed
    async with store_exchanges.snapshot(url) as view:
        chains = await view.chains()
        records, before = 0, GENESIS
        for number, chain in enumerate(chains, start=1):
            opening = opening_digest(chain["id"], number, chain["started_at"], before)
            if chain["number"] != number or chain["opening"] != opening:
                reason = f"chain number {number} is missing or its opening was changed"
                return Proof(len(chains), records, len(seals), Flaw(chain["id"], 0, None, reason))
            before = opening
            walk = Walk(chain["id"], opening)
            sealed_here = by_chain.pop(chain["id"], {})
            flaw = await _walked(view, walk, sealed_here) or walk.end(chain["seq"], chain["digest"])
            flaw = flaw or _beyond(walk, sealed_here)
            records += walk.seq
            if flaw:
                return Proof(len(chains), records, len(seals), flaw)
        return Proof(len(chains), records, len(seals), await _gone(view, by_chain))


async def _walked(view: Snapshot, walk: Walk, seals: dict[int, Sealed]) -> Flaw | None:
    digests = await view.code_digests(walk.chain)
    proven = 0
    async for row in view.records(walk.chain):
        flaw = walk.step(row, digests.get(row["seq"]))
        if flaw:
            return flaw
        sealed = seals.get(walk.seq)
        if sealed is not None and sealed.digest != walk.digest:
            reason = f"rewritten, it or one up to record {sealed.seq}: the seal of {sealed.at.isoformat()} has another"
            return Flaw(walk.chain, proven + 1, None, reason)
        if sealed is not None:
            proven = sealed.seq
    return None


def _beyond(walk: Walk, seals: dict[int, Sealed]) -> Flaw | None:
    """A seal that knows more records than there are."""
    last = max(seals, default=0)
    if last <= walk.seq:
        return None
    reason = f"cut off, or an old copy: the seal of {seals[last].at.isoformat()} knows {last} records"
    return Flaw(walk.chain, walk.seq + 1, None, reason)


async def _gone(view: Snapshot, seals: dict[str, dict[int, Sealed]]) -> Flaw | None:
    """Records of a chain that the log does not know, or seals of one."""
    if stray := await view.homeless():
        return Flaw(stray, 1, None, "belongs to no chain")
    for chain, sealed in seals.items():
        reason = f"the chain is gone: seals know {max(sealed)} records of it"
        return Flaw(chain, 1, None, reason)
    return None
