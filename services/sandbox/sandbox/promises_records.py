"""Every dossier, one by one: the hub holds what was acknowledged, the portal holds what the hub holds."""

from collections.abc import Mapping
from typing import Any

from sandbox.plan import PlannedDossier
from sandbox.play import Player, final_status
from sandbox.play_times import progress
from sandbox.promise import Promise, of_differences
from sandbox.replay_client import Http
from sandbox.replay_level import HubDossier
from shared.clock import from_wire


def check_hub(player: Player, held: dict[str, HubDossier]) -> list[Promise]:
    """What was acknowledged exists, once, as planned."""
    exists: list[str] = []
    identity: list[str] = []
    codes = set()
    for dossier, played in _pairs(player):
        codes.add(played.code)
        found = held.get(played.code)
        if found is None:
            exists.append(f"{played.code}: not in the hub")
            continue
        if found.status != final_status(dossier):
            exists.append(f"{played.code}: status {found.status}, planned {final_status(dossier)}")
        if found.due_at != played.due_at:
            exists.append(f"{played.code}: due at {found.due_at}, answered {played.due_at}")
        if found.identity != dossier.identity:
            identity.append(f"{played.code}: {found.identity}, planned {dossier.identity}")
    exists += [f"{code}: nobody filed it" for code in held.keys() - codes]
    if len(codes) != len(player.played):
        exists.append(f"{len(player.played) - len(codes)} codes were given twice")
    total = f"{len(player.played)} dossiers"
    return [
        of_differences("every acknowledged dossier exists once, in its planned status", total, exists),
        of_differences("every identity is verified as the register holds it", total, identity),
    ]


async def check_portal(
    player: Player, held: dict[str, HubDossier], sandbox: Http, refused: Mapping[str, Mapping[str, Any]]
) -> list[Promise]:
    """The national portal's own list against the hub's, record by record.

    `refused`: dossiers that the portal refuses, as the hub's synchronisation shows them: of these the portal must
    hold what it acknowledged.
    """
    dossiers = {played.code: (dossier, played.due_at) for dossier, played in _pairs(player)}
    records: list[str] = []
    rows: list[str] = []
    once: list[str] = []
    seen = 0
    of_province = player.plan.province + "."
    async for item in sandbox.items("/_sandbox/portal/dossiers"):
        code = item["code"]
        known = dossiers.pop(code, None)
        if known is None:
            # Another province's, or an earlier period's, is none of this play's business.
            if code.startswith(of_province) and code in held:
                records.append(f"{code}: at the portal twice")
            continue
        seen += 1
        acknowledged = refused[code]["acknowledged_progress"] if code in refused else None
        if acknowledged is None:
            records += _record_differences(code, item["record"], held.get(code))
        rows += _row_differences(player, code, known[0], item["progress"], acknowledged)
        if item["inserted"] != 1:
            once.append(f"{code}: inserted {item['inserted']} times")
        once += [
            f"{code}: a progress row stands {row['written']} times" for row in item["progress"] if row["written"] != 1
        ]
    absent = [code for code in dossiers if code not in refused or refused[code]["acknowledged_version"] > 0]
    records += [f"{code}: not at the portal" for code in absent]
    total = f"{len(player.played)} dossiers"
    return [
        of_differences("the portal holds every dossier with the hub's status and due time", total, records),
        of_differences("the portal holds exactly the progress rows of each dossier", total, rows),
        of_differences("the portal was told of each dossier and each row once", total, once, f"{seen} dossiers"),
    ]


def _record_differences(code: str, record: dict[str, Any], held: HubDossier | None) -> list[str]:
    if held is None:
        return [f"{code}: at the portal, not in the hub"]
    found = []
    if record["TrangThaiHoSo"] != str(held.status):
        found.append(f"{code}: status {record['TrangThaiHoSo']} at the portal, {held.status} in the hub")
    if _seconds(record["NgayHenTra"]) != held.due_at:
        found.append(f"{code}: due {record['NgayHenTra']!r} at the portal, {held.due_at} in the hub")
    return found


def _row_differences(
    player: Player, code: str, dossier: PlannedDossier, written: list[dict[str, Any]], acknowledged: int | None
) -> list[str]:
    """`acknowledged` None: all rows must be there, else at least so many."""
    planned = set(progress(dossier, player.when(dossier)))
    found = {(_seconds(each["row"]["ThoiDiemXuLy"]), int(each["row"]["TrangThai"])) for each in written}
    is_right = planned == found if acknowledged is None else found <= planned and len(found) >= acknowledged
    if is_right and len(written) == len(found):
        return []
    return [f"{code}: {len(found)} rows at the portal, {len(planned)} planned, {len(planned & found)} of them equal"]


def _pairs(player: Player) -> Any:
    return zip(player.plan.dossiers, player.played, strict=True)


def _seconds(wire: str) -> int | None:
    moment = from_wire(wire)
    return None if moment is None else int(moment.timestamp())
