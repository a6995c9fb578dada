"""The settings of this service; read by main only. The table is in the README."""

from pathlib import Path

from pydantic import SecretStr

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """`HUB_*` environment variables."""

    port: int = 8081
    person_keys_file: Path
    """One key a line, 32 bytes in hex, the newest on top: under them personal IDs are sealed and found."""
    person_keys_check_seconds: float = 5.0
    """How often to look whether the key file has changed."""
    person_key_rest_seconds: float = 60.0
    """So long a new key is only read with, until every copy of the service has it."""
    catalogue_check_seconds: float = 2.0
    """How often to look whether another process changed the catalogue."""
    stuck_check_seconds: float = 30.0
    """How often to look over all dossiers for those that stand still; at most 2 % of the time is spent on it."""
    ministry_open_days: int = 90
    """After so long a ministry's event that is unmatched, unmapped or refused expires, and its content is forgotten."""
    intake_lanes: int = 16
    """Connections of the intake; more wait for a free one."""
    portal_inbound_secret: SecretStr = SecretStr("")
    """What the national portal shows to bring dossiers; without it, it cannot."""
