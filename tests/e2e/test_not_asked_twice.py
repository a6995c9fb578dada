"""What a citizen has handed in or got before is found, for a purpose that is logged, and reused."""

import hashlib
from typing import Any

import pytest

from tests.e2e.journey import a_citizen, documents, done, filed, identified, registered
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(300)
PURPOSE = "Giai quyet ho so dat dai"


def test_an_earlier_result_is_found_and_reused(stack: Stack) -> None:
    citizen = registered(stack, a_citizen())
    earlier = filed(stack, citizen)
    identified(stack, earlier)
    for action in ("receive", "start"):
        done(stack, earlier, action)
    done(stack, earlier, "finish", result=documents("Giấy khai sinh"))

    def asked(by: str) -> tuple[int, Any]:
        body = {"personal_id": citizen["personal_id"]}
        answer = stack.call("POST", "/v1/persons/documents", by=by, json=body, headers={"hub-purpose": PURPOSE})
        return answer.status_code, answer.json()

    assert asked("desk")[0] == 403, "nobody handles anything of this person"
    digest = hashlib.sha256("Giấy khai sinh".encode()).hexdigest()
    source = {"name": "Giấy khai sinh", "sha256": digest, "reused": "result", "reused_from": earlier}
    new = filed(stack, citizen, agency_code="H08.16", attachments=[source])
    assert asked("desk")[0] == 403, "whoever files in a person's name opens nothing of that person's"
    identified(stack, new)
    assert asked("desk")[0] == 403, "nobody has received it"
    done(stack, new, "receive")
    status, found = asked("desk")
    assert (status, found["handled"]) == (200, {"dossier_code": new})
    (shown,) = found["items"]
    assert (shown["dossier_code"], shown["sha256"]) == (earlier, digest)
    assert asked("one-agency")[0] == 403, "H08.15 has nothing open of this person"
    for code in (earlier, new):
        logged = stack.read(f"/v1/exchanges?dossier_code={code}&limit=500")["items"]
        purposes = {it["purpose"] for it in logged if it["route"] == "/v1/persons/documents" and it["status"] == 200}
        assert purposes == {PURPOSE}, code
