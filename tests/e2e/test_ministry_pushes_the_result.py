"""A ministry's system works a dossier by events; one that comes too early waits for its fact."""

import pytest

from tests.e2e.journey import a_citizen, documents, done, dossier, filed, identified, pushed, registered, synced
from tests.support.stack import Stack, eventually

pytestmark = pytest.mark.timeout(300)


def test_a_result_before_the_identity_waits_for_it(stack: Stack) -> None:
    stack.control("/_sandbox/faults", b'{"system": "population", "mode": "down"}')
    try:
        code = filed(stack, registered(stack, a_citizen()))
        moment = done(stack, code, "receive")["received_at"]
        started = {"dossier_code": code, "action": "start", "actor": {"name": "Hệ thống Bộ"}, "at": moment}
        assert pushed(stack, "dossier.progressed", started).json()["accepted"] == 1
        issued = {"dossier_code": code, "documents": documents()["documents"], "at": moment}
        event = {"id": f"result-{code}"}
        assert pushed(stack, "dossier.result-issued", issued, **event).json()["accepted"] == 1
        assert pushed(stack, "dossier.result-issued", issued, **event).json()["duplicates"] == 1
        eventually(lambda: dossier(stack, code)["status"] == "in_process", why="started by the ministry")
        assert dossier(stack, code)["identity"]["outcome"] == "pending", "the register is down"
    finally:
        stack.control("/_sandbox/faults", b'{"system": "population", "mode": "normal"}')
    assert identified(stack, code, seconds=120) == "match"
    eventually(lambda: dossier(stack, code)["status"] == "processed", why="taken up by the fact")
    synced(stack, code)
    finishes = [step for step in stack.read(f"/v1/dossiers/{code}/history", by="portal")["items"]
                if step["action"] == "finish"]  # fmt: skip
    assert len(finishes) == 1
