"""Row 24: what a body does not name cannot be set, tried with every member that any answer shows."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel

from gateway.documenting import merged
from shared.web import Body
from tests.security.hub import Hub
from tests.security.test_routes_by_role import path_of
from tests.support.documents import PACKAGES, apps, documents

pytestmark = pytest.mark.timeout(300)
ALWAYS = {"is_admin", "status", "agency_id", "paid", "role", "version", "__proto__", "constructor", "id"}


def union() -> dict[str, Any]:
    return merged(documents(), "http://hub")


def resolved(schema: Any, schemas: dict[str, Any]) -> Any:
    while isinstance(schema, dict) and "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def members(schema: Any, schemas: dict[str, Any], depth: int = 0) -> Iterator[str]:
    """Names of all members, at any depth."""
    schema = resolved(schema, schemas)
    if not isinstance(schema, dict) or depth > 6:
        return
    for name, member in schema.get("properties", {}).items():
        yield name
        yield from members(member, schemas, depth + 1)
    for part in (schema.get("items"), schema.get("additionalProperties"), *schema.get("anyOf", ())):
        yield from members(part, schemas, depth + 1)


def shown(document: dict[str, Any]) -> set[str]:
    """Every member of every good answer of the hub."""
    schemas = document["components"]["schemas"]
    found = set(ALWAYS)
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                for content in answer.get("content", {}).values() if status.startswith("2") else ():
                    found |= set(members(content.get("schema"), schemas))
    return found


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation whose body is one JSON object, with the object's schema."""
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            schema = resolved(schema, schemas)
            options = [resolved(option, schemas) for option in (schema or {}).get("anyOf", [schema])]
            yield from ((f"{method.upper()} {path}", it) for it in options if it and "properties" in it)


def test_what_no_body_names_is_refused_by_name(hub: Hub) -> None:
    document = union()
    every, tried = shown(document), 0
    assert len(every) > 60
    token = hub.token("desk")
    for name, schema in bodies(document):
        method = name.partition(" ")[0]
        unnamed = sorted(every - schema["properties"].keys())
        answer = hub.call(method, path_of(name), token, dict.fromkeys(unnamed, "x"))
        assert answer.status_code == 422, f"{name}: {answer.status_code} {answer.text}"
        refused = {error["pointer"] for error in answer.json()["errors"]}
        missed = {member for member in unnamed if f"/{member}" not in refused}
        assert missed == set(), name
        tried += len(unnamed)
    assert tried > 600, "the bodies were found"


def test_members_within_members_are_refused_too(hub: Hub) -> None:
    extra = {"is_admin": True}
    filing = {
        "procedure_code": "2.000488", "agency_code": "H08.15", "channel": "online",
        "applicant": {"kind": "citizen", "full_name": "Nguyễn Thị An", "verified": True} | extra,
        "attachments": [{"name": "a.pdf"} | extra],
    }  # fmt: skip
    answer = hub.call("POST", "/v1/dossiers", hub.token("desk"), filing)
    refused = {error["pointer"] for error in answer.json()["errors"]}
    assert {"/applicant/is_admin", "/applicant/verified", "/attachments/0/is_admin"} <= refused
    (line,) = hub.lines("/v1/dossiers/batch", hub.token("desk"), filing | {"status": 10})
    assert line["status"] == 422
    assert {"/status", "/applicant/is_admin"} <= {error["pointer"] for error in line["problem"]["errors"]}
    action = {"code": "x", "action": "start", "version": 7, "actor": {"name": "x"} | extra}
    (line,) = hub.lines("/v1/dossiers/transitions/batch", hub.token("desk"), action)
    assert {"/version", "/actor/is_admin"} <= {error["pointer"] for error in line["problem"]["errors"]}


VALUES = ("DauHieuRieng", "1990-RIENG", "2026-01-05TRIENG+07:00", "RIENG" * 900)


def test_no_refusal_echoes_a_value(hub: Hub) -> None:
    document = union()
    token = hub.token("desk")
    for name, schema in bodies(document):
        method = name.partition(" ")[0]
        for value in VALUES:
            answer = hub.call(method, path_of(name), token, dict.fromkeys(schema["properties"], value))
            assert "RIENG" not in answer.text.upper(), f"{name}: {answer.text}"
            deeper = {
                member: [{"name": value, "kind": value, "at": value, "url": value}] for member in schema["properties"]
            }
            assert "RIENG" not in hub.call(method, path_of(name), token, deeper).text.upper(), name
    person = {"kind": "citizen", "full_name": "An", "date_of_birth": "1990-RIENG", "phone": "RIENG" * 90}
    filing = {
        "procedure_code": "RIENG",
        "agency_code": "RIENG",
        "applicant": person,
        "submitted_at": "2026-RIENGRIENGRIENG",
    }
    assert "RIENG" not in hub.call("POST", "/v1/dossiers", token, filing).text
    for query in ("received_from=1990-RIENG", "status=RIENG", "limit=RIENG", "overdue=RIENG", "cursor=RIENG"):
        assert "RIENG" not in hub.call("GET", f"/v1/dossiers?{query}", token).text, query


def test_every_model_that_reads_a_body_forbids_what_it_does_not_name() -> None:
    apps()
    for package in (*PACKAGES.values(), "shared"):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.endswith(("__main__", "migrations")):
                importlib.import_module(module.name)
    kinds = [kind for kind in _below(Body) if not kind.__module__.startswith("tests.")]
    assert len(kinds) > 15
    assert [kind.__name__ for kind in kinds if kind.model_config.get("extra") != "forbid"] == []
    read = {kind for app in apps().values() for kind in _read_by(app)}
    assert read
    assert [kind.__name__ for kind in read if not issubclass(kind, Body)] == [], "bodies inherit web.Body"


def _below(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def _read_by(app: Any) -> Iterator[type[BaseModel]]:
    """The models that the routes of an application declare for their bodies."""
    for route in iter_route_contexts(app.routes):
        for field in getattr(getattr(route, "dependant", None), "body_params", ()):
            kind = field.field_info.annotation
            for option in getattr(kind, "__args__", (kind,)):
                if isinstance(option, type) and issubclass(option, BaseModel):
                    yield option
