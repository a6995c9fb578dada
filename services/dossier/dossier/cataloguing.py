"""Changing the catalogue, seeding it, and the copy of it every process keeps.

The copy is changed at once by this process's own changes; a worker looks every two seconds whether another
process made one. Whoever misses a code in it asks `check` before refusing: the code may be younger than that.
"""

import csv
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import lru_cache
from importlib.resources import files

from dossier import catalogue_store as store
from dossier.catalogue import (
    Agency,
    ChannelLimit,
    Component,
    Fee,
    Procedure,
    Result,
    Snapshot,
    snapshot,
)
from dossier.deadline import Limit
from dossier.refusal import AliasTaken
from shared import clock
from shared.agency_codes import covers
from shared.auth import Caller
from shared.db import Database, Reading, Transaction
from shared.succession import Successions

LAST_DAY_OF_DISTRICTS = date(2025, 6, 30)


class Catalogue:
    """This process's copy of the catalogue; look-ups cost no query."""

    def __init__(self) -> None:
        self._snapshot: Snapshot = snapshot(-1, (), ())
        self._own_changes: list[Agency | Procedure] = []

    def find_agency(self, code: str) -> Agency | None:
        """The agency of this code, former code or alias, also when it is no longer valid."""
        return self._snapshot.find(code)

    def agency(self, code: str, day: date) -> Agency | None:
        """The agency that stands under this code, former code or alias on `day` (Vietnamese date), or its successor."""
        return self._snapshot.agency(code, day)

    def widened(self, caller: Caller) -> Caller:
        """The caller, who also has the dossiers of the agencies that his succeeded."""
        return self.successions().widen(caller)

    def successions(self) -> Successions:
        """Who has the dossiers of agencies that have ended, today."""
        return _successions(self._snapshot, clock.local_date(clock.now()))

    def procedure(self, code: str, day: date) -> Procedure | None:
        """The procedure's version in force on `day` (Vietnamese date)."""
        return self._snapshot.procedure(code, day)

    def find_agencies(self, text: str) -> list[Agency]:
        """Search by words: `Snapshot.find_agencies`."""
        return self._snapshot.find_agencies(text)

    def find_procedures(self, text: str, day: date) -> list[Procedure]:
        """Search by words: `Snapshot.find_procedures`."""
        return self._snapshot.find_procedures(text, day)

    def is_performed_by(self, procedure: Procedure, codes: set[str], day: date) -> bool:
        """Whether one of these agencies performs it, or one that they have succeeded by `day`."""
        if any(map(procedure.is_performed_by, codes)):
            return True
        succeeded = (ended for ended, now in self._snapshot.successions(day).items() if covers(codes, now))
        return any(map(procedure.is_performed_by, succeeded))

    def procedure_version(self, code: str, version: int) -> Procedure | None:
        """The very version a dossier was filed under."""
        return next((it for it in self._snapshot.procedures.get(code, ()) if it.version == version), None)

    def name_of_agency(self, code: str) -> str | None:
        """The agency's name, also when it is no longer valid."""
        found = self._snapshot.agencies.get(code)
        return None if found is None else found.name

    async def check(self, database: Database) -> int:
        """Read the catalogue anew if another process changed it; 1 if so, else 0. The step of a worker."""
        async with database.reading() as rx:
            number = await store.number(rx)
            if number == self._snapshot.number:
                return 0
            # Own changes committed while the rows are read are not among them yet.
            self._own_changes = []
            fresh = await _read(rx)
        self._snapshot = fresh
        missed, self._own_changes = self._own_changes, []
        for change in missed:
            self.apply(change)
        if missed:
            # One of them may be older than what was read: read once more at the next check.
            self._snapshot = replace(self._snapshot, number=-1)
        return 1

    def apply(self, change: Agency | Procedure) -> None:
        """Take over a change this process has just committed."""
        self._own_changes.append(change)
        now = self._snapshot
        agencies = dict(now.agencies)
        procedures = [version for versions in now.procedures.values() for version in versions]
        if isinstance(change, Agency):
            agencies[change.code] = change
        elif change not in procedures:
            procedures.append(change)
        # The number stays: the next check then reads once more than needed rather than once too little.
        self._snapshot = snapshot(now.number, agencies.values(), procedures)


@lru_cache(maxsize=1)
def _successions(known: Snapshot, day: date) -> Successions:
    return Successions(known.successions(day))


async def put_agency(tx: Transaction, catalogue: Catalogue, it: Agency) -> bool:
    """Create or change an agency; the same again changes nothing. True when it is new.

    Raises `AliasTaken` when one code would name two agencies.
    """
    await store.lock(tx)
    before = await store.agency(tx, it.code)
    if before is not None and before.code != it.code:
        raise AliasTaken  # the code is another agency's alias
    if await store.alias_taken(tx, it.code, it.aliases):
        raise AliasTaken
    if before != it:
        await store.put_agency(tx, it)
        await store.count_change(tx)
        tx.on_commit(lambda: catalogue.apply(it))
    return before is None


async def put_procedure(tx: Transaction, catalogue: Catalogue, it: Procedure) -> tuple[Procedure, bool]:
    """Add a version unless the one with the same `valid_from` says the same. The version; is it new."""
    await store.lock(tx)
    known = await store.versions(tx, it.code)
    same_day = [version for version in known if version.valid_from == it.valid_from]
    if same_day and replace(same_day[-1], version=0) == replace(it, version=0):
        return same_day[-1], False
    fresh = replace(it, version=len(known) + 1)
    await store.put_procedure(tx, fresh)
    await store.count_change(tx)
    tx.on_commit(lambda: catalogue.apply(fresh))
    return fresh, True


async def seed(tx: Transaction) -> tuple[int, int]:
    """The 18 agencies of Bình Định and 78 real procedures; how many of each were new. Repeatable."""
    unread = Catalogue()
    new_agencies = [await put_agency(tx, unread, it) for it in seeded_agencies()]
    new_procedures = [(await put_procedure(tx, unread, it))[1] for it in seeded_procedures()]
    return sum(new_agencies), sum(new_procedures)


async def merge(tx: Transaction) -> int:
    """The mergers of 2025-07-01 and the end of the district level, as they concern this catalogue; how many changed.

    seed/mergers_2025_07_01.csv has all provinces: those that ended name their successors. An agency of an ended
    province ends with it, and a district's authority with its level, unless the catalogue says already when it ends:
    who comes after it is the province's successor (or the province) until its own successor is put. Communes stay:
    their new codes come one by one. Repeatable.
    """
    unread = Catalogue()
    known = {it.code: it for it in await store.agencies(tx, None, "", None)}
    provinces = {it.code: it for it in merged_provinces()}
    changed = [await _put_if_other(tx, unread, known, _merged(it, known.get(it.code))) for it in provinces.values()]
    for it in known.values():
        province = provinces.get(it.code.split(".")[0])
        if province is None or it.code == province.code or it.valid_to is not None:
            continue
        if province.successor is not None and it.level != "commune":
            ended = replace(it, valid_to=province.valid_to, successor=province.successor)
        elif it.level == "district":
            ended = replace(it, valid_to=LAST_DAY_OF_DISTRICTS, successor=province.code)
        else:
            continue
        changed.append(await _put_if_other(tx, unread, known, ended))
    return sum(changed)


def merged_provinces() -> list[Agency]:
    """seed/mergers_2025_07_01.csv."""
    return [
        Agency(
            code=row["code"],
            name=row["name"],
            level="province",
            parent=None,
            valid_from=None,
            valid_to=date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
            successor=row["successor"] or None,
            aliases=(f"000.00.00.{row['code']}",),
        )
        for row in _rows("mergers_2025_07_01.csv")
    ]


def _merged(province: Agency, known: Agency | None) -> Agency:
    """What is known of a province, and how it ended."""
    if known is None:
        return province
    return replace(known, valid_to=province.valid_to, successor=province.successor)


async def _put_if_other(tx: Transaction, unread: Catalogue, known: Mapping[str, Agency], it: Agency) -> bool:
    if known.get(it.code) == it:
        return False
    await put_agency(tx, unread, it)
    return True


def seeded_agencies() -> list[Agency]:
    """seed/agencies.csv: names as in the province's own table of 2023, codes `H08.{number in the table}`."""
    return [
        Agency(
            code=row["code"],
            name=row["name"],
            level=row["level"],
            parent=row["parent"] or None,
            valid_from=None,
            valid_to=None,
            successor=None,
            aliases=tuple(row["aliases"].split()),
        )
        for row in _rows("agencies.csv")
    ]


def seeded_procedures() -> list[Procedure]:
    """seed/procedures.csv; `confidence` says how sure the row is.

    Estimates of ours, the same for every procedure: the limit holds for all channels, the fee is one line of
    kind `fee`, one required component (the application) and one result. Field codes (seed/fields.csv) are
    local numbers in the form of TT 01/2018/TT-VPCP (`H08-LV01`), not the national ones.
    """
    fields = {row["field_name"]: row["field_code"] for row in _rows("fields.csv")}
    return [_a_seeded_procedure(row, fields[row["field_name"]]) for row in _rows("procedures.csv")]


def _a_seeded_procedure(row: dict[str, str], field_code: str) -> Procedure:
    code, fee_vnd = row["code"], int(row["fee_vnd"])
    limit = Limit(int(row["limit_value"]), row["limit_unit"])  # type: ignore[arg-type]  # our own file, tested
    return Procedure(
        code=code,
        version=0,
        name=row["name"],
        field_code=field_code,
        field_name=row["field_name"],
        online_level="full",
        limits=(
            ChannelLimit("online", limit),
            ChannelLimit("counter", limit),
            ChannelLimit("post", limit),
        ),
        fees=(Fee(f"{code}.LP", "Lệ phí", "fee", fee_vnd),) if fee_vnd else (),
        components=(Component(f"{code}.TP01", "Đơn đề nghị", is_required=True),),
        results=(Result(f"{code}.KQ01", "Kết quả giải quyết thủ tục hành chính"),),
        agencies=("*",),
        supplement_policy="extend",
        valid_from=None,
    )


async def _read(rx: Reading) -> Snapshot:
    # The number first: a change that commits in between is then read twice instead of never.
    number = await store.number(rx)
    return snapshot(number, await store.agencies(rx, None, "", None), await store.all_procedures(rx))


def _rows(name: str) -> list[dict[str, str]]:
    text = files("dossier").joinpath("seed", name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))
