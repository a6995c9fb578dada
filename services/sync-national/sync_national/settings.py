"""Settings of this service; read by `main` only. Units and meaning: README.md."""

from typing import Literal

from pydantic import Field, SecretStr

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """`HUB_*` of the environment."""

    port: int = 8084
    dossier_url: str = "http://127.0.0.1:8081"
    portal_url: str
    portal_username: str
    portal_password: SecretStr
    portal_agency_code: str
    portal_destination_code: str = "dvcqg"
    portal_profile: str = Field(default="national-adapter@2", pattern=r"^[a-z0-9-]+@[0-9]+$")
    portal_timeout_seconds: float = Field(default=60.0, gt=0)
    portal_settle_seconds: float = Field(default=300.0, ge=0)
    portal_max_answer_bytes: int = Field(default=4_194_304, gt=0)
    portal_breaker_failures: int = Field(default=5, gt=0)
    portal_breaker_open_seconds: float = Field(default=10.0, gt=0)
    portal_progress: Literal["ignore", "show", "neither"] = "ignore"
    portal_quick_seconds: float = Field(default=3.0, gt=0)
    portal_calls_per_minute: int = Field(default=0, ge=0)
    sync_workers: int = Field(default=3, ge=1, le=16)
    sync_batch_size: int = Field(default=100, ge=1, le=500)
    sync_delay_seconds: float = Field(default=0.1, ge=0)
    sync_longest_delay_seconds: float = Field(default=15.0, ge=0)
    sync_lease_seconds: float = Field(default=90.0, gt=0)
    sync_first_retry_seconds: float = Field(default=1.0, gt=0)
    sync_longest_retry_seconds: float = Field(default=300.0, gt=0)
    sync_refusals: int = Field(default=3, ge=1)
    sync_evidence_days: int = Field(default=35, ge=1)
    sync_replays_per_second: int = Field(default=200, ge=1)
    sync_reconcile_at: str = Field(default="01:30", pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^$")
