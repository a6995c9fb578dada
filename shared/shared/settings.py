"""Settings come as `HUB_*` environment variables; one that nobody knows is refused at start.

Only `main.py` of a service reads them. Every setting stands in the service's README with unit and default.
"""

import os
from pathlib import Path
from typing import Self

from pydantic import SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class HubSettings(BaseSettings):
    """Base of all: frozen, strict about unknown names."""

    model_config = SettingsConfigDict(env_prefix="HUB_", frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = 0
    log_level: str = "INFO"
    otlp_endpoint: str = ""
    crash: str = ""
    """`name:n`: the process kills itself at the n-th passage of a crash point (the fault suite's); `@file`: the
    order is taken from this file at SIGUSR2."""

    @model_validator(mode="after")
    def _know_every_name(self) -> Self:
        known = {f"HUB_{name.upper()}" for name in type(self).model_fields}
        unknown = sorted(name for name in os.environ if name.startswith("HUB_") and name not in known)
        if unknown:
            raise ValueError(f"unknown settings: {', '.join(unknown)}")
        return self


class ServiceSettings(HubSettings):
    """What every service behind the gateway needs."""

    database_api_url: SecretStr
    database_system_url: SecretStr
    database_pool_size: int = 10
    kafka_bootstrap: str = "127.0.0.1:9092"
    kafka_prefix: str = ""
    kafka_session_seconds: float = 10.0
    """So long a reader that is silent keeps its partitions."""
    gateway_url: str = "http://127.0.0.1:8080"
    service_key_file: Path | None = None
    readers: dict[str, list[str]] = {}
    """Topic → base URLs of the services that read it: whom the receipt check asks."""
    receipt_after_seconds: float = 120.0
    receipt_every_seconds: float = 180.0
