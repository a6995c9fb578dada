"""The settings of this service; read by main only. The table is in the README."""

from pathlib import Path

from pydantic import SecretStr

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """`HUB_*` environment variables."""

    port: int = 8081
    person_hash_key_file: Path
    """32 bytes in hex: the key of the hash by which a person's dossiers are found."""
    catalogue_check_seconds: float = 2.0
    """How often to look whether another process changed the catalogue."""
    stuck_check_seconds: float = 30.0
    """How often to look over all dossiers for those that stand still; at most 2 % of the time is spent on it."""
    intake_lanes: int = 16
    """Connections of the intake; more wait for a free one."""
    portal_inbound_secret: SecretStr = SecretStr("")
    """What the national portal shows to bring dossiers; without it, it cannot."""
