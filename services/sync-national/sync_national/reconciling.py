"""Reconciliation: the two sides compared record by record, in the order of the codes, at a steady small size.

```
source   their side                                            our side
file     an export of the portal, sorted on disk               what the last event of each dossier asked for
portal   TraCuuHoSo for each of our dossiers                   the record as it would be pushed now
```
The portal's read service cannot be asked for what we do not know: only a file shows what is missing here.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from shared import clock
from shared.db import Database
from shared.dossiers import Dossiers
from shared.errors import Conflict, Upstream, UpstreamUnavailable
from shared.telemetry import log
from sync_national import export_file, layout_store, portal_record, reconciliation_store, replay_store, status_store
from sync_national.comparison import FIGURES, Difference, Merge, Ours, Theirs, compare
from sync_national.export_file import Sorter
from sync_national.export_layout import UnreadableFile
from sync_national.pacing import PLAIN_BATCH_CALLS
from sync_national.portal import Portal
from sync_national.portal_record import Item, MappingFailed, Prepared
from sync_national.reconciliation_store import Task, Wish

Pair = tuple[Ours, Theirs | None]
_LEASE_SECONDS = 60.0
_PAGE = 200
_WRITTEN_AT_ONCE = 5000
_WAIT_SECONDS = 15.0
"""Until a portal that is away is asked again."""
_LINES_AT_ONCE = 20_000
_COMPARED = ("MaHoSo", "TrangThaiHoSo", "NgayHenTra", "NgayKetThucXuLy", "DuocThanhToanTrucTuyen")
_NO_READING = "Đích không có dịch vụ tra cứu: hãy đối soát bằng tệp"
_NIGHTLY_DAYS = 3
_WEEKLY_WEEKDAY = 6  # Sunday


class NoReadService(Conflict):
    """The destination is a province's middleware (wire §1.3) that cannot be asked what it holds."""

    code, title = "no_read_service", "The destination cannot be asked; compare with one of its files"


class Reconciler:
    """Compares with one destination; one reconciliation at a time per process."""

    def __init__(
        self,
        destination: str,
        system: Database,
        api: Database,
        dossiers: Dossiers,
        portal: Portal,
        *,
        look_ups_at_once: int,
        calls_per_minute: int = 0,
    ) -> None:
        self._destination = destination
        self._system = system
        self._api = api
        self._dossiers = dossiers
        self._portal = portal
        self._places = asyncio.Semaphore(look_ups_at_once)
        self._calls_per_minute = calls_per_minute

    async def step(self) -> int:
        """Work on the next one that is due; 0 when there is none."""
        async with self._system.transaction() as tx:
            task = await reconciliation_store.take(tx, self._destination, _LEASE_SECONDS)
        if task is None:
            return 0
        figures = dict.fromkeys(FIGURES, 0) | task.figures
        try:
            if task.source == "file":
                await self._with_file(task, figures)
            elif not self._portal.can_be_asked:  # written down when the destination still was another
                await self._write(task, task.position, figures, [], None, "failed", _NO_READING)
            else:
                await self._with_portal(task, figures)
        except UnreadableFile as fault:
            await self._write(task, task.position, figures, [], None, "failed", str(fault))
        return 1

    async def schedule(self, at: str) -> int:
        """Write down the night's reconciliation once `at` (HH:MM, local) has passed; whoever comes first does."""
        present = clock.now().astimezone(clock.VIETNAM)
        if not self._portal.can_be_asked or not at or present.strftime("%H:%M") < at:
            return 0
        today = present.date()
        is_whole = today.weekday() == _WEEKLY_WEEKDAY
        wish = Wish(
            self._destination,
            "portal",
            ("*",),
            asked_by="sync-national",
            reason="Đối soát hằng tuần: tất cả" if is_whole else f"Đối soát hằng đêm: {_NIGHTLY_DAYS} ngày gần nhất",
            period_from=None if is_whole else today - timedelta(days=_NIGHTLY_DAYS),
            scheduled_for=today,
        )
        async with self._system.transaction() as tx:
            return int(await reconciliation_store.create(tx, wish) is not None)

    async def verify(self) -> int:
        """Compare again what a repair has touched, once it has settled."""
        if not self._portal.can_be_asked:
            return 0
        async with self._system.transaction() as tx:
            repair = await replay_store.settled_repair(tx, self._destination)
            if repair is None:
                return 0
            wish = Wish(
                self._destination,
                "portal",
                repair["agencies"],
                asked_by=repair["confirmed_by"],
                reason="Kiểm tra lại sau khi sửa",
                verifies=str(repair["reconciliation_id"]),
                verified_replay=str(repair["id"]),
            )
            verification = await reconciliation_store.create(tx, wish)
            assert verification is not None  # only scheduled ones collide
            await replay_store.note_verification(tx, str(repair["id"]), verification)
        return 1

    # from a file

    async def _with_file(self, task: Task, figures: dict[str, Any]) -> None:
        async with self._sorted(task, figures) as theirs:
            merge = Merge(theirs.merged(), task.agencies, task.position, {n: figures[n] for n in FIGURES})
            position, found = task.position, list[Difference]()
            # The API's role: the asker's agencies narrow our side.
            async with self._api.reading(task.agencies) as rx:
                async for piece in reconciliation_store.ours(rx, self._destination, task):
                    found += merge.take(piece)
                    position = piece[-1].code
                    if merge.figures["compared"] // _WRITTEN_AT_ONCE != figures["compared"] // _WRITTEN_AT_ONCE:
                        figures |= merge.figures
                        if not await self._write(task, position, figures, found):
                            return
                        found = []
            while more := merge.rest(_WRITTEN_AT_ONCE):
                figures |= merge.figures
                if not await self._write(task, more[-1].code, figures, found + more):
                    return
                found = []
            figures |= merge.figures | {"faulty_lines": theirs.faulty_count, "faults": theirs.faults}
            await self._write(task, position, figures, found, None, "done")

    @asynccontextmanager
    async def _sorted(self, task: Task, figures: dict[str, Any]) -> AsyncIterator[Sorter]:
        """The uploaded file, read and sorted in a thread piece by piece, so that the service goes on answering."""
        with tempfile.TemporaryFile() as file:
            async with self._system.reading() as rx:
                layout = await layout_store.layout(rx, task.layout or "dvcqg", task.layout_version)
                names = await reconciliation_store.names(rx, self._destination)
                async for piece in reconciliation_store.pieces(rx, task.id):
                    await asyncio.to_thread(file.write, piece)
            file.seek(0)
            kind: export_file.Format = "xlsx" if task.file_format == "xlsx" else "csv"
            sorter = await asyncio.to_thread(export_file.opened, file, kind, layout, names)
            try:
                while await asyncio.to_thread(sorter.take, _LINES_AT_ONCE):
                    await self._write(task, task.position, figures | {"lines": sorter.line_count}, [])
                figures["lines"] = sorter.line_count
                yield sorter
            finally:
                sorter.close()

    # through the portal's read service

    async def _with_portal(self, task: Task, figures: dict[str, Any]) -> None:
        position = task.position
        while True:
            if await self._must_wait():
                await self._write(task, position, figures, [], _WAIT_SECONDS)
                return
            room = min(_PAGE, await self.calls_to_spare())
            if room <= 0:
                await self._write(task, position, figures, [], _WAIT_SECONDS)
                return
            began = clock.now()
            async with self._api.reading(task.agencies) as rx:
                codes = await reconciliation_store.codes(rx, self._destination, task, position, room)
            if not codes:
                await self._write(task, position, figures, [], None, "done")
                return
            done, pairs, fault = await self._asked(codes)
            position = done[-1] if done else position
            differences = await self._compared(pairs, began, figures)
            if fault is not None:
                log.warning("reconciliation_waits", fault=fault.internal or fault.message)
                await self._write(task, position, figures, differences, _WAIT_SECONDS)
                return
            if not await self._write(task, position, figures, differences):
                return

    async def calls_to_spare(self) -> int:
        """Look-ups that leave this minute's deliveries a quarter of the portal's calls, and at least one batch's."""
        if not self._calls_per_minute:
            return _PAGE
        async with self._system.reading() as rx:
            taken = await status_store.calls_this_minute(rx, self._destination)
        kept = max(PLAIN_BATCH_CALLS, self._calls_per_minute // 4)
        return self._calls_per_minute - taken + self._portal.quota.left - kept

    async def _must_wait(self) -> bool:
        async with self._system.reading() as rx:
            is_held = await status_store.is_held(rx, self._destination)
        return is_held or self._portal.is_closed_for_now

    async def _asked(self, codes: Sequence[str]) -> tuple[Sequence[str], list[Pair], Upstream | None]:
        """Both sides of the codes up to the first that could not be looked up, and why it could not."""
        try:
            items = await self._dossiers.read(codes)
        except Upstream as fault:
            return [], [], fault
        wanted = [code for code in codes if code in items]
        answers = await asyncio.gather(*(self._looked_up(items[code]) for code in wanted), return_exceptions=True)
        pairs: list[Pair] = []
        for code, answer in zip(wanted, answers, strict=True):
            if isinstance(answer, Upstream):
                return codes[: codes.index(code)], pairs, answer
            if isinstance(answer, BaseException):
                raise answer
            pairs.append(answer)
        return codes, pairs, None

    async def _compared(self, pairs: Sequence[Pair], began: datetime, figures: dict[str, Any]) -> list[Difference]:
        """The differences of so many dossiers; counts them in `figures`."""
        unlike = {ours.code: (ours, theirs) for ours, theirs in pairs if theirs is None or compare(ours, theirs)}
        async with self._system.reading() as rx:
            standing = await reconciliation_store.settled(rx, self._destination, list(unlike), began)
        found: list[Difference] = []
        counted = dict.fromkeys(FIGURES, 0)
        counted["equal"] = len(pairs) - len(unlike)
        for code, (ours, theirs) in unlike.items():
            row = standing[code]
            if row["has_changed_since"] or row["on_the_way"]:
                counted["changed_since" if row["has_changed_since"] else "on_the_way"] += 1
                continue
            full = ours._replace(
                agency_code=row["agency_code"], state=row["state"], reason=row["reason"], owner=row["owner"]
            )
            kinds = compare(full, theirs) if theirs is not None else ("missing_there",)
            found.append(Difference(code, full.agency_code, kinds, full, theirs))
            for kind in kinds:
                counted[kind] += 1
        counted["compared"] = counted["equal"] + len(found)
        for name, number in counted.items():
            figures[name] += number
        return found

    async def _looked_up(self, item: Item) -> Pair:
        code = str(item["code"])
        async with self._places:
            found, _ = await self._portal.look_up(portal_record.portal_code(item))
        if found.trouble is not None:
            raise UpstreamUnavailable(internal=found.trouble.reason)
        try:
            prepared = portal_record.prepare(item, self._portal.profile)
        except MappingFailed:
            # We cannot say it in the portal's words, so the portal cannot have it right.
            mute = Ours(code, str(item["agency_code"]), str(item["status_code"]), "", "", None, 0, "")
            return mute, None if found.record is None else Theirs(code, others=("MaHoSo",))
        return _ours(prepared), None if found.record is None else _theirs(prepared, found.record)

    async def _write(
        self,
        task: Task,
        position: str,
        figures: dict[str, Any],
        differences: Sequence[Difference],
        due_in: float | None = _LEASE_SECONDS,
        state: str = "running",
        fault: str | None = None,
    ) -> bool:
        async with self._system.transaction() as tx:
            return await reconciliation_store.advance(tx, task, position, figures, differences, due_in, state, fault)


def _ours(prepared: Prepared) -> Ours:
    record = prepared.record
    return Ours(
        prepared.code,
        prepared.agency_code,
        record["TrangThaiHoSo"],
        record["NgayHenTra"],
        record["NgayKetThucXuLy"],
        record["DuocThanhToanTrucTuyen"],
        len(prepared.rows),
        "",
    )


def _theirs(prepared: Prepared, shown: Any) -> Theirs:
    rows = shown.get(portal_record.PROGRESS_FIELD)
    return Theirs(
        prepared.code,
        str(shown.get("TrangThaiHoSo") or ""),
        str(shown.get("NgayHenTra") or ""),
        str(shown.get("NgayKetThucXuLy") or ""),
        str(shown.get("DuocThanhToanTrucTuyen") or "0"),
        portal_record.rows_shown(prepared.rows, rows) if isinstance(rows, list) else None,
        None,
        portal_record.members_unlike(prepared.record, shown, _COMPARED),
    )
