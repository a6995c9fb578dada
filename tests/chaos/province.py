"""A small province played through the hub while something breaks, and the promises that must hold afterwards.

25 dossiers from filing to result, as the replay plays a whole province-year: 9 pay online, 5 at the counter, a third
goes by events of a ministry. The checker is the replay's own (`sandbox/promises.py`): both published tables, every
dossier in the hub and at the portal, both ledgers, outbox = topic = inbox, the exchange log.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from pathlib import Path

import aiohttp

from sandbox import plan as planning
from sandbox import plan_tables, promises, promises_sync, replay_level, replay_registration
from sandbox.plan import Plan
from sandbox.plan_dates import Period
from sandbox.play import Clients, Player
from sandbox.replay_client import Credentials, Http, HubClient
from sandbox.replay_level import HubDossier, Level
from tests.chaos.history import History
from tests.chaos.hub import Hub


@dataclass(frozen=True, slots=True)
class Size:
    """How large a province, and how patient its people. One of `single_every` dossiers goes by single calls."""

    tables: Path
    period: Period
    scale: Fraction
    single_every: int
    timeout_seconds: float
    patience_seconds: float


SMALL = Size(
    Path(__file__).with_name("tables"), Period(date(2023, 1, 1), date(2023, 3, 31)), Fraction(1), 2, 10.0, 90.0
)
DOSSIERS = 25
"""Of a small one."""


def a_year(scale: Fraction) -> Size:
    """The published province-year at this scale: 99,364 dossiers at 1."""
    tables = Path(__file__).parents[1] / "data" / "binh_dinh_2023"
    return Size(tables, Period(date(2023, 1, 1), date(2023, 12, 25)), scale, 20, 90.0, 900.0)


# Of the events' promises in `promises_events`: what a broker that lost acknowledged records cannot give back.
OF_TOPICS = "outbox = topic = inbox"

_NUMBERS = itertools.count()


@dataclass(slots=True)
class Province:
    """One play. Nobody else's dossiers stand in its tables."""

    hub: Hub
    size: Size
    player: Player
    operator: HubClient
    sandbox: Http
    history: History
    found: dict[str, str] = field(default_factory=dict)
    """Promise → what was counted for it, at the last look."""

    async def play(self) -> None:
        """From the first filing to the last result; what is in the way of it is waited for."""
        await self.player.play()

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[None]:
        """The play goes on while the block runs; afterwards it comes to its end."""
        task = asyncio.create_task(self.play())
        try:
            yield
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def level(self, *, may_refuse: bool = False) -> Level:
        """Everything that was sent has had all its effects, here and at the nation. Raises `GaveUp`."""
        within = self.size.patience_seconds
        return await replay_level.wait_until_level(
            self.operator, self.player, within, lambda _: None, may_refuse=may_refuse
        )

    async def keeps_every_promise(self, *, but: str = "-", may_refuse: bool = False, reconciled: bool = False) -> Level:
        """Once the hub is level. `but`: of promises whose name begins so the readers' side alone must hold.

        `may_refuse`: the portal does. `reconciled`: the hub's own comparison with the portal must find nothing else.
        """
        level = await self.level(may_refuse=may_refuse)
        checked = await promises.check(
            *(self.player, level.dossiers, self.operator, self.sandbox, self.hub.described),
            refused=level.refused,
            thorough=False,
        )
        if reconciled:
            codes = frozenset(played.code for played in self.player.played)
            checked.promises.append(await promises_sync.check(self.operator, codes, level.refused))
        self.found = {promise.name: promise.found for promise in checked.promises}
        broken = [
            f"{promise.name}: {promise.found}"
            for promise in checked.promises
            if not (promise.holds or (promise.name.startswith(but) and "inbox of" not in promise.found))
        ]
        broken += self._of_history(level.dossiers)
        assert not broken, "\n".join(broken)
        return level

    def _of_history(self, held: dict[str, HubDossier]) -> list[str]:
        """Whoever was told of a dossier can have it, and was told of one only."""
        broken = [f"acknowledged, but not in the hub: {code}" for code in self.history.codes - held.keys()]
        broken += [f"two dossiers under one key: {each}" for each in self.history.contradictions()]
        if len(self.history.codes) != len(self.player.plan.dossiers):
            broken.append(
                f"{len(self.history.codes)} dossiers were acknowledged, {len(self.player.plan.dossiers)} were filed"
            )
        return broken


@asynccontextmanager
async def a_province(hub: Hub, folder: Path, size: Size = SMALL) -> AsyncIterator[Province]:
    """A new one, its catalogue and clients registered; its history stands in `folder`."""
    number = next(_NUMBERS)
    code = f"{'ABCDEFG'[number // 90]}{10 + number % 90}"
    tables = plan_tables.read(size.tables)
    # Not here: a large plan takes a while, and whoever measures shares this loop.
    plan = _lean(await asyncio.to_thread(planning.make, tables, code, size.period, size.scale, seed=number))
    known = replay_registration.read_credentials(hub.folder / "clients.json")
    history = History(folder / f"history-{code}.jsonl")
    timeout = aiohttp.ClientTimeout(total=size.timeout_seconds, sock_connect=2)
    async with aiohttp.ClientSession(timeout=timeout, trace_configs=[history.trace()]) as session:

        def client(credentials: Credentials) -> HubClient:
            return HubClient(session, hub.gateway, credentials, patience_seconds=size.patience_seconds)

        bootstrap = client(known.bootstrap)
        await replay_registration.register_catalogue(bootstrap, plan)
        own = await replay_registration.register_clients(bootstrap, plan)
        sandbox = Http(session, hub.sandbox, patience_seconds=size.patience_seconds)
        clients = Clients(client(own["portal"]), client(own["desk"]), client(own["ministry"]), sandbox)
        player = Player(plan, clients, lambda _wave, _number: None, single_every=size.single_every)
        try:
            yield Province(hub, size, player, client(known.operator), sandbox, history)
        finally:
            history.close()


def _lean(plan: Plan) -> Plan:
    """Only the procedures that somebody applies for: registering the others takes longer than the play."""
    used = {dossier.procedure.code: dossier.procedure for dossier in plan.dossiers}
    return replace(plan, procedures=replace(plan.procedures, all=tuple(used.values())))
