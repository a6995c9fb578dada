"""Every public operation of a service has a route, and every route an operation: nothing opens by accident."""

from typing import Any

from gateway.documenting import merged, unmatched
from gateway.route import ROUTES
from tests.support.documents import documents


def test_every_operation_has_a_route_and_every_route_an_operation() -> None:
    without_route, without_operation = unmatched(documents())
    assert without_route == set()
    assert without_operation == set()


def test_the_union_keeps_every_routed_operation_and_resolves_every_reference() -> None:
    union = merged(documents(), "http://hub")
    operations = {(method, path) for path, found in union["paths"].items() for method in found}
    routed = {
        (route.method.lower(), route.template)
        for route in ROUTES
        if route.access != "none" and not route.template.startswith(("/console", "/oauth/authorize"))
    }
    assert routed <= operations
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
