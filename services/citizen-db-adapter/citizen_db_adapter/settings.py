"""Settings of citizen-db-adapter; the table in README.md says what each one means."""

from pathlib import Path

from pydantic import Field, SecretStr

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read by `main` only."""

    port: int = 8083
    dossier_url: str = "http://127.0.0.1:8081"
    register_url: str
    register_username: str
    register_secret: SecretStr
    register_client: str = "VN/GOV/LGSP/HUB"
    register_api_key: SecretStr = SecretStr("none")
    register_officer: str = "LGSP"
    register_concurrency: int = Field(default=8, ge=1, le=64)
    register_deadline_seconds: float = Field(default=10.0, gt=0)
    register_breaker_open_seconds: float = Field(default=10.0, gt=0)
    register_calls_per_minute: int = Field(default=60_000, ge=1)
    register_cache_seconds: float = Field(default=300.0, ge=0)
    encryption_key_file: Path
    permitted_fields: tuple[str, ...] = (
        "full_name",
        "date_of_birth",
        "gender",
        "nationality",
        "old_id",
        "permanent_address",
        "current_address",
    )
    ask_batch: int = Field(default=400, ge=1, le=500)
    ask_lease_seconds: float = Field(default=120.0, gt=0)
    ask_longest_retry_seconds: float = Field(default=60.0, gt=0)
    pending_after_seconds: float = Field(default=60.0, gt=0)
    pending_every_seconds: float = Field(default=5.0, gt=0)
