"""The public documents: OpenAPI of the whole hub, AsyncAPI of its topics, and a plain page to read."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from jinja2 import Environment, FileSystemLoader

from gateway.documenting import Documents
from shared import contracts, strict_json

router = APIRouter(include_in_schema=False)
_pages = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)


@router.get("/openapi.json")
async def union(request: Request) -> Response:
    """OpenAPI 3.1 of everything public."""
    return _json(await _union(request))


@router.get("/asyncapi.json")
async def asyncapi() -> Response:
    """AsyncAPI of the topics."""
    return _json(contracts.asyncapi())


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The OpenAPI document as a page without scripts."""
    document = await _union(request)
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = (operation.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append(_shown(path, method, operation, document))
    nonce = secrets.token_urlsafe(16)
    headers = {
        "Content-Security-Policy": f"default-src 'none'; style-src 'nonce-{nonce}'; "
        "frame-ancestors 'none'; base-uri 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    body = _pages.get_template("docs.html").render(groups=dict(sorted(groups.items())), nonce=nonce)
    return Response(body, headers=headers, media_type="text/html; charset=utf-8")


async def _union(request: Request) -> dict[str, Any]:
    documents: Documents = request.app.state.documents
    return await documents.union(request.app.openapi())


def _shown(path: str, method: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    security = operation.get("security") or [{}]
    content = operation.get("requestBody", {}).get("content", {})
    return {
        "id": operation.get("operationId", ""),
        "method": method.upper(),
        "path": path,
        "scope": " ".join(security[0].get("oauth2", [])),
        "text": operation.get("description") or operation.get("summary", ""),
        "parameters": operation.get("parameters", []),
        "body": {kind: _resolved(media.get("schema", {}), document) for kind, media in content.items()},
        "answers": [(status, answer.get("description", "")) for status, answer in operation["responses"].items()],
    }


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    name = str(schema.get("$ref", "")).rsplit("/", 1)[-1]
    return document["components"]["schemas"].get(name, schema) if name else schema


def _json(document: Mapping[str, Any]) -> Response:
    return Response(strict_json.dumps(dict(document)), media_type="application/json")
