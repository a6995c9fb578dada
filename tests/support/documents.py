"""The services' applications and OpenAPI documents without starting anything: for tests made from what is offered."""

import json
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import FastAPI
from joserfc.jwk import ECKey

PACKAGES: Mapping[str, str] = {
    "gateway": "gateway",
    "dossier": "dossier",
    "payment": "payment",
    "citizen-db-adapter": "citizen_db_adapter",
    "sync-national": "sync_national",
    "console": "console",
}


def _an_app(package: str, folder: Path) -> FastAPI:
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
    made = import_module(f"{package}.main").create_app(settings(**values))
    app: FastAPI = made.own_routes if package == "gateway" else made
    return app


@cache
def apps() -> Mapping[str, FastAPI]:
    """Every service's application, never started, by the service's name."""
    with TemporaryDirectory() as folder:
        return {service: _an_app(package, Path(folder)) for service, package in PACKAGES.items()}


@cache
def documents() -> Mapping[str, dict[str, Any]]:
    """Every service's OpenAPI document by the service's name."""
    return {service: app.openapi() for service, app in apps().items()}
