"""Settings of the console; the table with units and defaults is in the service's README."""

from pathlib import Path

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """What `main.create_app` needs."""

    port: int = 8085
    dossier_url: str = "http://127.0.0.1:8081"
    public_url: str = "http://127.0.0.1:8080"
    console_client_id: str = "console-web"
    session_key_file: Path
