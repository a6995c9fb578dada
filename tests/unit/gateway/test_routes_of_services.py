"""Every public operation of a service has a route, and every route an operation: nothing opens by accident."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from gateway.documenting import merged, unmatched
from gateway.route import ROUTES

PACKAGES = {
    "gateway": "gateway",
    "dossier": "dossier",
    "payment": "payment",
    "citizen-db-adapter": "citizen_db_adapter",
    "sync-national": "sync_national",
    "console": "console",
}


def a_document(package: str, folder: Path) -> dict[str, Any]:
    """The OpenAPI document of a service that is never started."""
    settings = import_module(f"{package}.settings").Settings
    key = folder / "key"
    key.write_text("00" * 32)
    required = {name: field for name, field in settings.model_fields.items() if field.is_required()}
    values = {
        name: key if field.annotation is Path else "postgresql://nobody@127.0.0.1:9/none"
        for name, field in required.items()
    }
    if package == "gateway":
        values |= {"signing_keys_file": folder / "signing", "service_keys_file": folder / "services"}
        signer = ECKey.generate_key("P-256", {"kid": "1"}).as_dict(private=True)
        (folder / "signing").write_text(json.dumps({"keys": [signer]}))
        (folder / "services").write_text("{}")
    app = import_module(f"{package}.main").create_app(settings(**values))
    document: dict[str, Any] = (app.own_routes if package == "gateway" else app).openapi()
    return document


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("keys")
    return {service: a_document(package, folder) for service, package in PACKAGES.items()}


def test_every_operation_has_a_route_and_every_route_an_operation(documents: dict[str, dict[str, Any]]) -> None:
    without_route, without_operation = unmatched(documents)
    assert without_route == set()
    assert without_operation == set()


def test_the_union_keeps_every_routed_operation_and_resolves_every_reference(
    documents: dict[str, dict[str, Any]],
) -> None:
    union = merged(documents, "http://hub")
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


def test_every_operation_under_v1_names_its_scope(documents: dict[str, dict[str, Any]]) -> None:
    union = merged(documents, "http://hub")
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
