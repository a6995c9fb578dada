"""Rows 25 and 26: every operation, from the union of the services' documents, with every role and set of scopes."""

import re
from collections.abc import Iterator

import pytest

from gateway.documenting import merged
from gateway.route import ROUTES
from gateway.token import ROLES, SCOPES
from tests.security.hub import Hub
from tests.security.rules import RULES, WITH_SCOPE, Rule
from tests.support.documents import documents

pytestmark = pytest.mark.timeout(300)
NOBODYS = "H08.15-230301-999999"
SERVICE = {f"{route.method} {route.template}": route.service for route in ROUTES}
CLIENTS = ("portal", "desk", "ministry", "one-agency", "operator", "bootstrap")


def offered() -> Iterator[str]:
    """Every public operation."""
    for path, operations in merged(documents(), "http://hub")["paths"].items():
        for method in operations:
            yield f"{method.upper()} {path}"


def inner() -> Iterator[tuple[str, str]]:
    """Every operation that only services may use, with the service that offers it."""
    for service, document in documents().items():
        for path, operations in document["paths"].items():
            for method in operations:
                if path.startswith("/internal/"):
                    yield service, f"{method.upper()} {path}"
        yield service, "POST /internal/inbox/missing"


def path_of(name: str) -> str:
    return re.sub(r"\{[^}]*\}", NOBODYS, name.partition(" ")[2])


def test_every_public_operation_has_a_rule_and_every_rule_an_operation() -> None:
    assert set(offered()) == set(RULES)


def test_the_route_table_asks_for_the_scope_that_the_contract_names() -> None:
    asked = {f"{route.method} {route.template}": route.scope for route in ROUTES}
    assert {name: asked[name] for name in RULES} == {name: rule.scope for name, rule in RULES.items()}


@pytest.mark.parametrize("name", WITH_SCOPE)
def test_without_a_token_it_is_401(hub: Hub, name: str) -> None:
    for at in ("gateway", SERVICE[name]):
        answer = hub.call(name.partition(" ")[0], path_of(name), None, {}, at=at)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), at
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("name", WITH_SCOPE)
def test_without_its_scope_it_is_403_for_every_role(hub: Hub, name: str) -> None:
    scope = WITH_SCOPE[name].scope
    assert scope is not None
    others = tuple(each for each in SCOPES if each != scope)
    tokens = [hub.token(role, others) for role in ROLES]
    tokens += [hub.named(each) for each in CLIENTS if scope not in hub.stack.clients[each]["scope"].split()]
    for token in tokens:
        for at in ("gateway", SERVICE[name]):
            answer = hub.call(name.partition(" ")[0], path_of(name), token, {}, at=at)
            assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope"), at
            assert f'scope="{scope}"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(("name", "rule"), WITH_SCOPE.items())
def test_with_its_scope_alone_it_opens_for_every_role(hub: Hub, name: str, rule: Rule) -> None:
    assert rule.scope is not None
    method = name.partition(" ")[0]
    body = None if method == "GET" else dict(rule.probe or {})
    for role in ROLES:
        answer = hub.call(method, path_of(name), hub.token(role, (rule.scope,)), body)
        assert answer.status_code not in (401, 403, 500), f"{role}: {answer.text}"


def test_what_services_ask_each_other_is_closed_to_partners(hub: Hub) -> None:
    everything = hub.token("operator")
    for service, name in inner():
        method, path = name.split(" ")
        assert hub.call(method, path, everything, {}).status_code == 404, "the gateway knows no such path"
        if service == "gateway":
            continue
        for token in (None, everything):
            answer = hub.call(method, path, token, {}, at=service)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), f"{service} {name}"
