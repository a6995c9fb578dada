"""The gateway's settings; the README's table says what each means."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from pydantic import SecretStr

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """From `HUB_*`."""

    port: int = 8080
    dossier_url: str = "http://127.0.0.1:8081"
    payment_url: str = "http://127.0.0.1:8082"
    citizen_url: str = "http://127.0.0.1:8083"
    sync_url: str = "http://127.0.0.1:8084"
    console_url: str = "http://127.0.0.1:8085"
    signing_keys_file: Path
    service_keys_file: Path
    upstream_deadline_seconds: float = 60.0
    upstream_most_under_way: int = 512
    requests_at_once: int = 24
    requests_waiting: int = 128
    batches_at_once: int = 16
    long_at_once: int = 1000
    batches_waiting: int = 128
    waiting_seconds: float = 2.0
    batches_waiting_seconds: float = 10.0
    answer_buffer_bytes: int = 4 * 1024 * 1024
    header_deadline_seconds: float = 10.0
    body_deadline_seconds: float = 60.0
    bodies_held_bytes: int = 256 * 1024 * 1024
    connections_per_address: int = 1000
    quota_per_second: float = 5000.0
    quota_burst: int = 10_000
    revocations_every_seconds: float = 1.0
    revocations_stale_seconds: float = 3600.0
    seal_file: Path | None = None
    seal_every_seconds: float = 60.0
    seal_stale_seconds: float = 14400.0
    recover_after_seconds: float = 120.0
    recover_every_seconds: float = 5.0
    portal_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    portal_inbound_secret: SecretStr = SecretStr("")
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    sign_in_tries: int = 5
    sign_in_window_seconds: float = 300.0
