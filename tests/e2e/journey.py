"""What the journeys have in common: how a desk, a portal and a ministry speak to the hub."""

import hashlib
import itertools
import json
import uuid
from typing import Any

import httpx2

from tests.support.stack import Stack, eventually

ACTOR = {"name": "Trần Văn Bình", "title": "Chuyên viên", "unit": "Bộ phận Một cửa"}
FEE = {"code": "LP01", "name": "Lệ phí", "kind": "fee", "amount_vnd": 200_000}
_NUMBERS = itertools.count(int(uuid.uuid4()) % 900_000)


def a_citizen(**changes: Any) -> dict[str, Any]:
    """An invented person of Bình Định, each time another."""
    number = f"052190{next(_NUMBERS):06d}"
    return {
        "kind": "citizen", "full_name": "Nguyễn Thị An", "personal_id": number, "date_of_birth": "1990-04-12",
    } | changes  # fmt: skip


def registered(stack: Stack, citizen: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The population register knows this person (as `changes` say)."""
    known = {key: citizen[key] for key in ("personal_id", "full_name", "date_of_birth")} | {"gender": "female"}
    stack.control("/_sandbox/population", json.dumps(known | changes).encode())
    return citizen


def filed(stack: Stack, applicant: dict[str, Any], *, by: str = "portal", **changes: Any) -> str:
    """A stored dossier's code."""
    body = {
        "procedure_code": "2.000488", "agency_code": "H08.15", "channel": "online", "applicant": applicant,
        "abstract": "Cấp phiếu lý lịch tư pháp", "attachments": [], "return_method": "electronic",
    } | changes  # fmt: skip
    answer = stack.call("POST", "/v1/dossiers", by=by, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["code"])


def act(stack: Stack, code: str, action: str, *, by: str = "desk", **members: Any) -> httpx2.Response:
    """One action."""
    body = {"action": action, "actor": ACTOR} | members
    return stack.call("POST", f"/v1/dossiers/{code}/transitions", by=by, json=body)


def done(stack: Stack, code: str, action: str, **members: Any) -> dict[str, Any]:
    """One action that must succeed: the dossier after it."""
    answer = act(stack, code, action, **members)
    assert answer.status_code == 200, f"{action}: {answer.status_code} {answer.text}"
    dossier: dict[str, Any] = answer.json()
    return dossier


def documents(name: str = "Phiếu lý lịch tư pháp") -> dict[str, Any]:
    """A result with one electronic document."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    document = {"result_code": "KQ01", "name": name, "number": "12/LLTP", "url": "https://kq.example/12.pdf"}
    return {"documents": [document | {"sha256": digest}]}


def dossier(stack: Stack, code: str) -> dict[str, Any]:
    """As the portal reads it."""
    found: dict[str, Any] = stack.read(f"/v1/dossiers/{code}", by="portal")
    return found


def identified(stack: Stack, code: str, seconds: float = 60.0) -> str:
    """The identity's outcome, once it is known."""

    def outcome() -> str | None:
        found = str(dossier(stack, code)["identity"]["outcome"])
        return None if found == "pending" else found

    return str(eventually(outcome, seconds=seconds, why="identity"))


def synced(stack: Stack, code: str, seconds: float = 90.0) -> dict[str, Any]:
    """The synchronisation's view, once the portal shows the newest version."""

    def level() -> dict[str, Any] | None:
        answer = stack.call("GET", f"/v1/sync/dossiers/{code}", by="operator")
        if answer.status_code != 200:
            return None
        found: dict[str, Any] = answer.json()
        newest = dossier(stack, code)["version"]
        is_level = found["state"] == "synced" and found["acknowledged_version"] == newest
        return found if is_level else None

    found: dict[str, Any] = eventually(level, seconds=seconds, why=f"{code} synced")
    return found


def at_the_portal(stack: Stack, code: str) -> dict[str, Any]:
    """What the national portal holds of this dossier."""
    cursor = ""
    while True:
        page = stack.control(f"/_sandbox/portal/dossiers?limit=500{cursor}")
        for item in page["items"]:
            if item["code"] == code:
                held: dict[str, Any] = item
                return held
        assert page["next_cursor"], f"{code} is not at the portal"
        cursor = f"&cursor={page['next_cursor']}"


def pushed(stack: Stack, kind: str, data: dict[str, Any], **changes: Any) -> httpx2.Response:
    """A ministry's event."""
    event = {
        "specversion": "1.0", "id": str(uuid.uuid4()), "source": "/ministry/justice", "data": data,
        "type": f"vn.gov.ministry.{kind}.v1", "time": "2026-01-05T02:00:00Z", "datacontenttype": "application/json",
    } | changes  # fmt: skip
    headers = {"content-type": "application/cloudevents+json"}
    return stack.call("POST", "/v1/events", by="ministry", content=json.dumps(event).encode(), headers=headers)
