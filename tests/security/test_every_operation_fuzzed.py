"""Invariant I10: whatever comes in, every answer is in the hub's OpenAPI document, and none is our own fault.

Inputs are made by schemathesis from the document, right ones and wrong ones; in half of them the ids are real, so
that what lies behind the first refusal is reached, too. Some hundreds in the push tier, `--security-long` for more.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
import schemathesis
import schemathesis.specs.openapi.schemas
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.documenting import merged
from tests.security.hub import Hub
from tests.security.rules import RULES
from tests.security.world import World
from tests.support.documents import documents

pytestmark = pytest.mark.timeout(1800)
PUSH, LONG = 5, 300
"""Inputs for each operation and each mode, right and wrong."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ACTIONS = ("receive", "start", "finish", "request_supplement", "request_payment", "withdraw", "extend", "return")
LINES_OF = {
    "POST /v1/dossiers/batch": ("/v1/dossiers", "POST"),
    "POST /v1/dossiers/transitions/batch": ("/v1/dossiers/{code}/transitions", "POST"),
}
"""Batches, and the operation whose bodies are their lines."""
OAUTH = ("/oauth/token", "/oauth/introspect", "/oauth/revoke")


def real(world: World) -> Mapping[str, Any]:
    """Values that lead somewhere, by the name of the parameter or member."""
    ours = world.ours
    return {
        "code": st.just(ours.dossier), "dossier_code": st.just(ours.dossier), "payment_id": st.just(ours.payment),
        "verification_id": st.just(ours.verification), "petition_id": st.just(ours.petition),
        "agency_code": st.just(ours.agency),
        "agency": st.just(ours.agency), "province": st.just("H08"), "procedure_code": st.just("2.000488"),
        "action": st.sampled_from(ACTIONS), "personal_id": st.just(ours.citizen["personal_id"]),
        "from": st.just("2026-01-01"), "to": st.just("2026-12-31"), "state": st.just("synced"),
    }  # fmt: skip


def replaced(data: st.DataObject, known: Mapping[str, Any], held: Any) -> None:
    """Put real values in the place of invented ones."""
    if isinstance(held, dict):
        for name in held:
            if name in known:
                held[name] = data.draw(known[name])


@schemathesis.serializer("application/x-ndjson")
def lines(_context: Any, value: Any) -> bytes:
    """A batch as it is sent."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def schema() -> Any:
    return schemathesis.openapi.from_dict(merged(documents(), "http://hub"))


@pytest.fixture(scope="module")
def session(hub: Hub) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session
    # Some input may have put the destination or an agency on hold, or will.
    operator = hub.token("operator")
    for entry in hub.call("GET", "/v1/sync/maintenance?limit=500", operator).json()["items"]:
        if entry["state"] in {"planned", "running"}:
            hub.call("POST", f"/v1/sync/maintenance/{entry['id']}/cancel", operator)
    (status,) = hub.call("GET", "/v1/sync/status", operator).json()["destinations"]
    for held in status["holds"]:
        hub.call("POST", "/v1/sync/release", operator, {"agency": held["agency_code"]})
    assert hub.call("GET", "/v1/sync/status", operator).json()["destinations"][0]["holds"] == []


@pytest.mark.parametrize("name", [name for name in RULES if name != "GET /v1/sync/stream"])  # it has no end
def test_every_answer_is_in_the_document(
    hub: Hub, world: World, schema: Any, session: requests.Session, is_long: bool, name: str
) -> None:
    method, path = name.split(" ")
    operation, known = schema[path][method], real(world)
    token = hub.token("desk") if RULES[name].scope else None
    right = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    wrong = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    # What only has a path cannot be wrong: every text is somebody's code.
    may_be_wrong = bool(operation.body) or bool(operation.query)

    @settings(
        max_examples=LONG if is_long else PUSH,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data(), is_known=st.booleans())
    def every(data: st.DataObject, is_known: bool) -> None:
        for strategy in (right, wrong) if may_be_wrong else (right,):
            case = data.draw(strategy)
            if is_known:
                for held in (case.path_parameters, case.query, case.body):
                    replaced(data, known, held)
            if name in LINES_OF:
                path_of_line, method_of_line = LINES_OF[name]
                line = schema[path_of_line][method_of_line].as_strategy(generation_mode=GenerationMode.POSITIVE)
                drawn = [data.draw(line).body for _ in range(data.draw(st.integers(0, 3)))]
                for each in drawn:
                    replaced(data, known, each)
                case.body = b"\n".join(json.dumps(each).encode() for each in drawn)
            if name == "GET /v1/feed" and (strategy is right or "wait" not in (case.query or {})):
                case.query = {**(case.query or {}), "wait": 0}
            headers = {"authorization": f"Bearer {token}"} if token else {}
            answer = case.call(base_url=hub.stack.gateway, session=session, headers=headers)
            assert (
                answer.status_code not in (401, 403) or not token or "agency" in answer.text or "purpose" in answer.text
            )
            if answer.status_code >= 400 and path not in OAUTH:
                said = answer.headers["content-type"][0]
                assert said == "application/problem+json", f"{answer.status_code} {said}"
                assert json.loads(answer.content)["status"] == answer.status_code
            case.validate_response(answer, checks=CHECKS)

    every()
