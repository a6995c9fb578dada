"""The public documents: OpenAPI of the whole hub, AsyncAPI of its topics, and a plain page to read."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from jinja2 import Environment, FileSystemLoader

from gateway.documenting import Documents
from shared import contracts, strict_json

router = APIRouter(include_in_schema=False)
_pages = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
_STYLE = (
    (Path(__file__).parent / "templates" / "docs.html").read_text().partition("<style>")[2].partition("</style>")[0]
)
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
"""By the hash of our style, not by a nonce: the page is the same for everybody and written once."""


@router.get("/openapi.json")
async def union(request: Request) -> Response:
    """OpenAPI 3.1 of everything public."""
    return Response(await _written(request, "openapi", _json), media_type="application/json")


@router.get("/asyncapi.json")
async def asyncapi() -> Response:
    """AsyncAPI of the topics."""
    return Response(_asyncapi(), media_type="application/json")


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The OpenAPI document as a page without scripts."""
    headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
    body = await _written(request, "docs", _page)
    return Response(body, headers=headers, media_type="text/html; charset=utf-8")


def _page(document: Mapping[str, Any]) -> bytes:
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = (operation.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append(_shown(path, method, operation, document))
    return _pages.get_template("docs.html").render(groups=dict(sorted(groups.items()))).encode()


async def _written(request: Request, name: str, write: Callable[[Mapping[str, Any]], bytes]) -> bytes:
    documents: Documents = request.app.state.documents
    return await documents.written(name, request.app.openapi(), write)


@cache
def _asyncapi() -> bytes:
    return _json(contracts.asyncapi())


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


def _json(document: Mapping[str, Any]) -> bytes:
    return strict_json.dumps(dict(document))
