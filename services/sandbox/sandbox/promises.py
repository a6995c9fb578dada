"""What must be true when everything has come to rest, checked on every side that has a word in it.

The one checker of replay, demo and fault suite: what was played is held against the hub's reports and lists, against
what the sandboxed nation holds, and, where the stack's own databases and broker can be read, against those.

```
promises_records   every dossier: hub = plan; portal = hub
promises_tables    both published tables: hub = plan, cell by cell
promises_money     both ledgers: hub = plan; payment platform = hub
promises_sync      the hub's reconciliation finds no difference
promises_events    outbox = topic = inbox; nothing parked, waiting or unpublished; the exchange log verifies
```
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sandbox import promises_events, promises_money, promises_records, promises_sync, promises_tables
from sandbox.play import Player
from sandbox.promise import Promise
from sandbox.replay_client import Http, HubClient
from sandbox.replay_level import HubDossier
from sandbox.replay_stack import Stack


@dataclass(slots=True)
class Checked:
    """All promises, and what was counted on the way."""

    promises: list[Promise]
    figures: dict[str, Any]

    @property
    def all_hold(self) -> bool:
        return all(promise.holds for promise in self.promises)

    def as_json(self) -> dict[str, Any]:
        return {"promises": [asdict(promise) for promise in self.promises], "figures": self.figures}


async def check(
    player: Player,
    held: dict[str, HubDossier],
    operator: HubClient,
    sandbox: Http,
    stack: Stack | None,
    *,
    refused: Mapping[str, Mapping[str, Any]] | None = None,
    thorough: bool = True,
) -> Checked:
    """Every promise. `stack` None: its databases and broker cannot be read, their promises are left out.

    `refused`: dossiers that the portal refuses (`Level.refused`). `thorough` False: whoever checks often has the
    chains of the exchange log verified, and all dossiers reconciled, once, at the end.
    """
    figures: dict[str, Any] = {}
    tables = await promises_tables.check(player.plan, operator)
    figures["tables"] = tables.figures
    promises = list(tables.promises)
    promises += promises_records.check_hub(player, held)
    promises += await promises_records.check_portal(player, held, sandbox, refused or {})
    promises += await promises_money.check(player, operator, sandbox)
    codes = frozenset(played.code for played in player.played)
    if thorough:
        promises.append(await promises_sync.check(operator, codes, refused or {}))
    if stack is not None:
        events = await promises_events.check(stack, codes)
        promises += events.promises
        if thorough:
            promises.append(await promises_events.log_verifies(stack))
        figures["events"] = events.figures
    return Checked(promises, figures)
