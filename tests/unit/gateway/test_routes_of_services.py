"""Every public operation of a service has a route, and every route an operation: nothing opens by accident."""

from typing import Any

from gateway.documenting import merged
from gateway.route import ROUTES
from tests.support.documents import documents

# The others are pages for people, or for machines that read no OpenAPI.
SHOWN = [
    route
    for route in ROUTES
    if route.access != "none" and not route.template.startswith(("/console", "/oauth/authorize"))
]


def test_every_operation_has_a_route_and_every_route_an_operation() -> None:
    offered = {
        (service, method.upper(), path)
        for service, document in documents().items()
        for path, operations in document["paths"].items()
        for method in operations
        if not path.startswith("/internal/")
    }
    assert offered - {(route.service, route.method, route.template) for route in ROUTES} == set()
    assert {(route.service, route.method, route.template) for route in SHOWN} - offered == set()


def test_the_union_keeps_every_routed_operation_and_resolves_every_reference() -> None:
    union = merged(documents(), "http://hub")
    operations = {(method, path) for path, found in union["paths"].items() for method in found}
    assert {(route.method.lower(), route.template) for route in SHOWN} <= operations
    references = set(_references(union))
    assert references
    assert {name.rsplit("/", 1)[-1] for name in references} <= set(union["components"]["schemas"])


def test_every_operation_under_v1_names_its_scope() -> None:
    union = merged(documents(), "http://hub")
    scopes = {
        f"{method} {path}": operation.get("security")
        for path, found in union["paths"].items()
        for method, operation in found.items()
        if path.startswith("/v1/")
    }
    assert [name for name, security in scopes.items() if not security or not security[0]["oauth2"]] == []


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for member in value.values() for found in _references(member)]
    if isinstance(value, list):
        return [found for member in value for found in _references(member)]
    return []
