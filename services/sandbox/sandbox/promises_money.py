"""The money: the hub's ledger is the plan's, to the transaction, and the payment platform's is the hub's."""

from collections import Counter
from datetime import datetime
from typing import Any

from sandbox.play import Player
from sandbox.promise import Promise, of_differences
from sandbox.replay_client import Http, HubClient

Entry = tuple[str, str, int, int]
"""Dossier, method, đồng, second of the payment."""


async def check(player: Player, operator: HubClient, sandbox: Http) -> list[Promise]:
    """Reads both ledgers and compares each with what was planned."""
    planned = _planned(player)
    codes = {played.code for played in player.played}
    ledger: Counter[Entry] = Counter()
    online: dict[str, tuple[str, int]] = {}
    unpaid: list[str] = []
    for counts in player.plan.counts:
        async for item in operator.items("/v1/payments", {"agency": player.plan.agency_code(counts.no)}):
            code = item["dossier_code"]
            if code not in codes:
                continue
            if item["state"] != "paid":
                unpaid.append(f"{code}: a payment is {item['state']}")
                continue
            ledger[(code, item["method"], item["amount_vnd"], _second(item["at"]))] += 1
            if item["method"] == "online":
                online[item["reference"]] = (code, item["amount_vnd"])
    differences = unpaid + [f"missing {_told(entry)}" for entry in (planned - ledger).elements()]
    differences += [f"not planned {_told(entry)}" for entry in (ledger - planned).elements()]
    promises = [
        of_differences("the hub's ledger is the planned one, transaction by transaction", _sums(planned), differences)
    ]
    platform = await _platform(player, sandbox, codes)
    differences = [f"{reference}: {online.get(reference)} in the hub, {paid} at the platform"
                   for reference, paid in platform.items() if online.get(reference) != paid]  # fmt: skip
    differences += [f"{reference}: paid in the hub only" for reference in online.keys() - platform.keys()]
    total = sum(amount for _, amount in platform.values())
    promises.append(
        of_differences(
            "the payment platform's ledger is the hub's",
            f"{len(online)} online payments, {sum(amount for _, amount in online.values())} đồng",
            differences,
            f"{len(platform)} online payments, {total} đồng",
        )
    )
    return promises


async def _platform(player: Player, sandbox: Http, codes: set[str]) -> dict[str, tuple[str, int]]:
    """What citizens really paid, by reference."""
    paid = {}
    of_province = player.plan.province + "."
    async for item in sandbox.items("/_sandbox/payments"):
        code = item["dossier_code"]
        if item["state"] == "paid" and (code in codes or code.startswith(of_province)):
            paid[item["reference"]] = (code, item["amount_vnd"])
    return paid


def _planned(player: Player) -> Counter[Entry]:
    planned: Counter[Entry] = Counter()
    for dossier, played in zip(player.plan.dossiers, player.played, strict=True):
        if not (dossier.online_amounts or dossier.counter_amounts):
            continue
        when = player.when(dossier)
        for amount, at in zip(dossier.online_amounts, when.asked_to_pay, strict=True):
            planned[(played.code, "online", amount, at)] += 1
        for amount, at in zip(dossier.counter_amounts, when.collected, strict=True):
            planned[(played.code, "counter", amount, at)] += 1
    return planned


def _sums(entries: Counter[Entry]) -> str:
    parts = []
    for method in ("online", "counter"):
        own = [(amount, n) for (_, way, amount, _), n in entries.items() if way == method]
        parts.append(f"{sum(n for _, n in own)} {method} {sum(amount * n for amount, n in own)} đồng")
    return ", ".join(parts)


def _told(entry: Entry) -> str:
    code, method, amount, at = entry
    return f"{code} {method} {amount} đồng at {at}"


def _second(text: Any) -> int:
    return int(datetime.fromisoformat(text).timestamp()) if text else 0
