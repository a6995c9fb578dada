"""The topics' contracts: one YAML a topic (owner, producers, consumers, retention, examples), JSON Schemas beside.

They are checked by tests, not on the way of each event; the AsyncAPI document is generated from them.
"""

from functools import cache
from importlib import resources
from typing import Any

import orjson
import yaml

_HERE = resources.files(__package__)
_TRACEPARENT = "W3C trace context of the exchange it came of; left out when a worker found it out by itself"


@cache
def topics() -> dict[str, dict[str, Any]]:
    """Every topic's contract, by name."""
    files = [entry for entry in _HERE.iterdir() if entry.name.endswith(".yaml")]
    contracts = [yaml.safe_load(entry.read_text("utf-8")) for entry in files]
    return {contract["topic"]: contract for contract in sorted(contracts, key=lambda c: str(c["topic"]))}


@cache
def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of an event's `data`."""
    document: dict[str, Any] = orjson.loads((_HERE / "schemas" / f"{name}.json").read_bytes())
    return document


def schema_of(event_type: str) -> dict[str, Any]:
    """The schema of this type's `data`. Raises KeyError for a type that no topic carries."""
    for contract in topics().values():
        if event_type in contract["events"]:
            return schema(contract["events"][event_type]["schema"])
    raise KeyError(event_type)


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document of all topics."""
    document: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "LGSP Hub: events",
            "version": "1",
            "description": "CloudEvents 1.0, JSON, structured mode. The key is the dossier's code.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {},
        "operations": {},
        "components": {"messages": {}, "schemas": {}},
    }
    for name, contract in topics().items():
        _add_topic(document, name, contract)
    return document


def _add_topic(document: dict[str, Any], name: str, contract: dict[str, Any]) -> None:
    components = document["components"]
    messages = {}
    for event_type, event in contract["events"].items():
        components["schemas"][event["schema"]] = schema(event["schema"])
        components["messages"][event_type] = {
            "name": event_type,
            "contentType": "application/cloudevents+json",
            "payload": _envelope(event_type, event["schema"], contract["sequence"]),
        }
        messages[event_type] = {"$ref": f"#/components/messages/{event_type}"}
    retention = contract["retention_days"]
    kept = "for ever" if retention is None else f"{retention} days"
    document["channels"][name] = {
        "address": name,
        "description": f"Owner: {contract['owner']}. Key: {contract['key']}. Kept {kept}.",
        "messages": messages,
    }
    channel = {"$ref": f"#/channels/{name}"}
    for producer in contract["producers"]:
        document["operations"][f"{producer} sends {name}"] = {"action": "send", "channel": channel}
    for consumer in contract["consumers"]:
        document["operations"][f"{consumer} receives {name}"] = {"action": "receive", "channel": channel}


def _envelope(event_type: str, schema_name: str, sequence: str | None) -> dict[str, Any]:
    text = {"type": "string"}
    envelope: dict[str, Any] = {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "time", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text,
            "source": text,
            "type": {"const": event_type},
            "subject": text,
            "time": {"type": "string", "format": "date-time"},
            "data": {"$ref": f"#/components/schemas/{schema_name}"},
        },
    }
    if sequence is not None:  # an event of the hub's own
        envelope["required"].append("sequence")
        envelope["properties"]["sequence"] = {"type": "integer", "description": f"version {sequence}"}
        envelope["properties"]["traceparent"] = {"type": "string", "description": _TRACEPARENT}
    return envelope
