"""What a replay registers with `bootstrap` before it plays: missing agencies, its procedures, its three clients."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.plan import Plan
from sandbox.plan_procedures import Procedure
from sandbox.play_bodies import external_reference
from sandbox.replay_client import Credentials, HubClient, Refused

ROLES = {
    "portal": "dossier:write dossier:read dossier:transition dossier:import payment:read catalogue:read",
    "desk": (
        "dossier:write dossier:read dossier:transition dossier:import payment:read payment:write catalogue:read "
        "citizen:verify citizen:lookup report:read"
    ),
    "ministry": "event:push dossier:read",
}
_VALID_FROM = "2000-01-01"


@dataclass(frozen=True, slots=True)
class Known:
    """The credentials of the stack that a replay starts from."""

    bootstrap: Credentials
    operator: Credentials


def read_credentials(path: Path) -> Known:
    """`.run/clients.json`. Raises `Refused`."""
    try:
        clients = json.loads(path.read_text(encoding="utf-8"))
        bootstrap, operator = (
            Credentials(clients[name]["client_id"], clients[name]["client_secret"])
            for name in ("bootstrap", "operator")
        )
    except (OSError, ValueError, KeyError) as fault:
        raise Refused(f"{path} does not hold the clients bootstrap and operator ({fault!r}).") from fault
    return Known(bootstrap, operator)


async def require_fresh(operator: HubClient, plan: Plan) -> None:
    """Raises `Refused` when the province has dossiers in the period: they would stand in its tables."""
    period = {"from": plan.period.first.isoformat(), "to": plan.period.last.isoformat()}
    report = await operator.get("/v1/reports/agencies", {"province": plan.province, **period})
    found = int(report["total"]["received_total"] or 0)
    # One that was only filed, by a replay that broke off, is in no report yet.
    reference = external_reference(plan, 0)
    filed = [each async for each in operator.items("/v1/dossiers", {"external_reference": reference})]
    if found or any(each["agency_code"].startswith(plan.province + ".") for each in filed):
        raise Refused(
            f"Province {plan.province} already has {found or 'some'} dossiers in the period "
            f"{plan.period.first} to {plan.period.last}: replay another period, or start from an empty hub."
        )


async def register_catalogue(bootstrap: HubClient, plan: Plan) -> None:
    """Agencies that the hub does not know yet, and the replay's own procedures."""
    known = {each["code"] async for each in bootstrap.items("/v1/agencies")}
    if plan.province not in known:
        await bootstrap.put(f"/v1/agencies/{plan.province}", _agency(f"Tỉnh {plan.province}", "province", None))
    for counts in plan.counts:
        code = plan.agency_code(counts.no)
        if code not in known:
            await bootstrap.put(f"/v1/agencies/{code}", _agency(counts.name, "department", plan.province))
    waiting = iter(plan.procedures.all)

    async def some() -> None:
        for procedure in waiting:
            await bootstrap.put(f"/v1/procedures/{procedure.code}", _procedure(procedure, plan.province))

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(some())


async def register_clients(bootstrap: HubClient, plan: Plan) -> dict[str, Credentials]:
    """The province's portal, desk and ministry, created and approved."""
    clients = {}
    for role, scope in ROLES.items():
        body = {
            "name": f"replay {plan.province} {plan.period.first} {role}",
            "role": role,
            "scope": scope,
            "agencies": [plan.province],
        }
        answer = await bootstrap.post("/v1/clients", body)
        if answer.status != 201:
            raise Refused(f"The client {role} was not created: {answer.problem}")
        created = answer.json()
        approved = await bootstrap.post(f"/v1/clients/{created['client_id']}/approve", {})
        if approved.status not in (200, 204):
            raise Refused(f"The client {role} was not approved: {approved.problem}")
        clients[role] = Credentials(created["client_id"], created["client_secret"])
    return clients


def _agency(name: str, level: str, parent: str | None) -> dict[str, Any]:
    return {
        "name": name,
        "level": level,
        "parent": parent,
        "valid_from": _VALID_FROM,
        "valid_to": None,
        "successor": None,
        "aliases": [],
    }


def _procedure(procedure: Procedure, province: str) -> dict[str, Any]:
    limit = {"value": procedure.limit_value, "unit": procedure.limit_unit}
    return {
        "name": procedure.name,
        "field_code": procedure.field_code,
        "field_name": procedure.field_name,
        "online_level": "full",
        "limits": [{"channel": channel, **limit} for channel in ("online", "counter", "post")],
        "fees": [
            {"code": "LP01", "name": "Lệ phí", "kind": "fee", "amount_vnd": 0},
            {"code": "PH01", "name": "Phí", "kind": "charge", "amount_vnd": 0},
        ],
        "components": [
            {"code": "KQ.G01.000001", "name": "Tờ khai", "required": True},
            {"code": "KQ.G01.000002", "name": "Giấy tờ kèm theo", "required": False},
        ],
        "results": [{"code": "KQ01", "name": "Kết quả giải quyết"}],
        "agencies": [province],
        "supplement_policy": "extend",
        "valid_from": _VALID_FROM,
    }
