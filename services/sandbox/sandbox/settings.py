"""What the sandbox is told by its environment. The table in services/sandbox/README.md repeats it."""

from pathlib import Path

from pydantic import Field, SecretStr

from shared.settings import HubSettings


class Settings(HubSettings):
    """One frozen set of settings, read by `main` only."""

    port: int = 8090
    sandbox_file: Path = Path(".run/sandbox.sqlite3")
    sandbox_seed: int = 1

    portal_username: str = "hub"
    portal_password: SecretStr = SecretStr("hub")
    portal_session_seconds: float = Field(default=1800, gt=0)
    inbound_url: str = "http://127.0.0.1:8080/dvcqg/dossiers"
    portal_inbound_secret: SecretStr = SecretStr("")

    platform_partner_code: str = "LGSP-HUB"
    platform_secret: SecretStr = SecretStr("TEST-SECRET")
    callback_url: str = "http://127.0.0.1:8080/callbacks/payment-platform"
    callback_concurrency: int = Field(default=8, ge=1)
    callback_tries: int = Field(default=12, ge=1)
    callback_timeout_seconds: float = Field(default=10, gt=0)
    payer_milliseconds: int = Field(default=50, ge=0)

    register_username: str = "hub"
    register_secret: SecretStr = SecretStr("hub")
    register_skew_seconds: int = Field(default=300, gt=0)
