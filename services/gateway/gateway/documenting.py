"""One OpenAPI document of everything public: each service's own operations that a route leads to, names kept apart."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from gateway.route import ROUTES, Route
from gateway.upstream import Upstream
from shared import problems, strict_json
from shared.errors import HubError
from shared.telemetry import log

_METHODS = ("get", "put", "post", "patch", "delete")
_MOST_BYTES = 8 * 1024 * 1024
_KEPT_SECONDS = 60.0
_RETRY_SECONDS = 2.0


class Documents:
    """Fetches the services' documents when asked, keeps them for a minute."""

    def __init__(self, upstreams: Mapping[str, Upstream], issuer: str) -> None:
        self._upstreams = upstreams
        self._issuer = issuer
        self._kept: dict[str, Any] = {}
        self._written: dict[str, bytes] = {}
        self._until = 0.0
        self._fetching = asyncio.Lock()

    async def written(self, name: str, own: Mapping[str, Any], write: Callable[[Mapping[str, Any]], bytes]) -> bytes:
        """The whole document as `write` writes it.

        Anybody may ask: it is written once, and all who read it, however slowly, read the same bytes.
        """
        async with self._fetching:
            await self._fetch(own)
        if name not in self._written:
            self._written[name] = write(self._kept)
        return self._written[name]

    async def _fetch(self, own: Mapping[str, Any]) -> None:
        """Anew when it is time; a service that is down is missing from it for as long."""
        if time.monotonic() >= self._until:
            documents: dict[str, Mapping[str, Any]] = {"gateway": own}
            for name, upstream in self._upstreams.items():
                fetched = await _fetched(upstream)
                if fetched is not None:
                    documents[name] = fetched
            self._kept, self._written = merged(documents, self._issuer), {}
            whole = len(documents) == len(self._upstreams) + 1
            self._until = time.monotonic() + (_KEPT_SECONDS if whole else _RETRY_SECONDS)


async def _fetched(upstream: Upstream) -> Mapping[str, Any] | None:
    try:
        answer = await upstream.send("GET", "/openapi.json", [], None, cap=_MOST_BYTES)
        if answer.rest is not None:
            await answer.rest.aclose()
            return None
        document: Mapping[str, Any] = strict_json.loads(answer.body)
    except HubError as fault:
        log.warning("openapi_missing", service=upstream.name, code=fault.code)
        return None
    return document if answer.status == 200 else None


def merged(documents: Mapping[str, Mapping[str, Any]], issuer: str) -> dict[str, Any]:
    """Operations that a route leads to, each with its scope; schemas prefixed with their service's name."""
    routes = {(route.service, route.method.lower(), route.template): route for route in ROUTES}
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {}
    for service, document in documents.items():
        prefix = service.replace("-", "_") + "_"
        renamed = _renamed(document, prefix)
        for path, operations in renamed.get("paths", {}).items():
            for method in _METHODS:
                route = routes.get((service, method, path))  # type: ignore[arg-type]  # a name of the same set
                if method in operations and route is not None:
                    paths.setdefault(path, {})[method] = _operation(operations[method], route, prefix)
        for name, schema in renamed.get("components", {}).get("schemas", {}).items():
            schemas[prefix + name] = schema
    return {
        "openapi": "3.1.0",
        "info": {"title": "LGSP Hub", "version": "1", "description": "Trục tích hợp, chia sẻ dữ liệu cấp tỉnh"},
        "servers": [{"url": issuer}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "oauth2": {
                    "type": "oauth2",
                    "flows": {
                        "clientCredentials": {
                            "tokenUrl": f"{issuer}/oauth/token",
                            "scopes": {route.scope: "" for route in ROUTES if route.scope},
                        }
                    },
                }
            },
        },
    }


_OF_ANY = (
    (400, "bad_request, request_incomplete: malformed headers"),
    (404, "not_found: no such path"),
    (503, "overloaded, upstream_unavailable, exchange_log_unavailable"),
)
_OF_A_TOKEN = ((401, "unauthenticated"), (403, "insufficient_scope"), (429, "too_many_requests"))
_OF_A_PARTNER = ((401, "unauthenticated"), (429, "too_many_requests"))
_OF_A_BODY = ((408, "request_timeout"), (413, "payload_too_large"), (415, "unsupported_media_type"))
_OF_A_SERVICE = ((502, "upstream_invalid"), (504, "upstream_timeout"))


def _refusals(route: Route, prefix: str) -> dict[str, dict[str, Any]]:
    """What the gateway itself may answer on this route, whatever the service says."""
    told = [*_OF_ANY, *(_OF_A_TOKEN if route.scope else ()), *(_OF_A_BODY if route.method != "GET" else ())]
    told += _OF_A_PARTNER if route.access == "partner" else ()
    told += _OF_A_SERVICE if route.service != "gateway" else ()
    schema = {"$ref": f"#/components/schemas/{prefix}Problem"}
    content = {problems.MEDIA_TYPE: {"schema": schema}}
    return {str(status): {"description": codes, "content": content} for status, codes in told}


def _operation(operation: Mapping[str, Any], route: Route, prefix: str) -> dict[str, Any]:
    shown = {name: value for name, value in operation.items() if name != "security"}
    shown["responses"] = _refusals(route, prefix) | shown.get("responses", {})
    if "operationId" in shown:
        shown["operationId"] = prefix + shown["operationId"]
    if route.scope:
        shown["security"] = [{"oauth2": [route.scope]}]
    return shown


def _renamed(value: Any, prefix: str) -> Any:
    """The same document with every reference to a schema prefixed."""
    if isinstance(value, dict):
        return {
            key: member.replace("#/components/schemas/", f"#/components/schemas/{prefix}")
            if key == "$ref" and isinstance(member, str)
            else _renamed(member, prefix)
            for key, member in value.items()
        }
    if isinstance(value, list):
        return [_renamed(member, prefix) for member in value]
    return value
