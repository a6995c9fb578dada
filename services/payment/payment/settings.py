"""Settings of the payment service; the table in README.md says what each one means."""

from pydantic import Field, SecretStr

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read by `main` only."""

    port: int = 8082
    dossier_url: str = "http://127.0.0.1:8081"
    platform_url: str
    platform_partner_code: str
    platform_secret: SecretStr
    platform_caller_ip: str = "127.0.0.1"
    platform_beneficiary_account: str = ""
    platform_beneficiary_bank: str = ""
    platform_beneficiary_name: str = ""
    platform_concurrency: int = Field(default=8, ge=1, le=64)
    platform_deadline_seconds: float = Field(default=10.0, gt=0)
    platform_breaker_open_seconds: float = Field(default=10.0, gt=0)
    init_batch: int = Field(default=200, ge=1, le=500)
    init_lease_seconds: float = Field(default=60.0, gt=0)
    init_longest_retry_seconds: float = Field(default=60.0, gt=0)
    init_most_refusals: int = Field(default=5, ge=1)
    query_after_seconds: float = Field(default=60.0, gt=0)
    query_longest_seconds: float = Field(default=1800.0, gt=0)
    query_every_seconds: float = Field(default=2.0, gt=0)
    expire_after_seconds: float = Field(default=259200.0, gt=0)
