"""What FastAPI cannot see of the routes that read their body by hand: request bodies and NDJSON answers."""

from typing import Any

from pydantic import BaseModel

from shared.idempotency import MAX_KEY_LENGTH

_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
}


def lean(*parameters: dict[str, Any]) -> dict[str, Any]:
    """What a route without dependencies has to say itself: the token, the idempotency key, its other parameters."""
    return {"security": [{"oauth2": []}], "parameters": [*parameters, _KEY]}


def code_in_path(longest: int) -> dict[str, Any]:
    """The dossier's code, of so many characters at most."""
    schema = {"type": "string", "minLength": 1, "maxLength": longest}
    return {"name": "code", "in": "path", "required": True, "schema": schema}


def json_body(kind: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route whose body is this model, written out in place."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": inline(kind)}}}}


def ndjson_body(kind: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """`responses` of a batch: one such object per line."""
    return {
        200: {
            "description": "One answer per line, in order",
            "content": {"application/x-ndjson": {"schema": inline(kind)}},
        }
    }


def inline(kind: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON Schema without references: it stands where no components are collected."""
    schema = kind.model_json_schema()
    definitions = schema.pop("$defs", {})
    resolved: dict[str, Any] = _resolve(schema, definitions)
    return resolved


def _resolve(part: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(part, dict):
        if "$ref" in part:
            return _resolve(definitions[part["$ref"].rsplit("/", 1)[-1]], definitions)
        return {name: _resolve(value, definitions) for name, value in part.items()}
    if isinstance(part, list):
        return [_resolve(value, definitions) for value in part]
    return part
