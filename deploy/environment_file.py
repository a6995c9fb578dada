"""`python -m deploy.environment_file`: writes `.env` for docker-compose.yml, with passwords of this installation's own.

An existing `.env` is left as it is: the database keeps the passwords it was made with.
The roles' passwords are derived from the administrator's as `deploy/local/databases.py` does it, because the one-shot
container `databases` makes the roles.
"""

import secrets
import sys
from pathlib import Path

from deploy.local.databases import password_of
from deploy.local.keys import SHARED_SECRETS
from deploy.local.layout import write_text
from deploy.local.services import WITH_DATABASE

ADMIN_URL = "postgresql://postgres:{password}@postgres:5432/postgres"


def main() -> int:
    """Writes the file once."""
    path = Path(".env")
    if path.exists():
        print(".env is there already and was left as it is.")
        return 0
    lines = [f"{name}={value}" for name, value in variables(secrets.token_hex(24)).items()]
    write_text(path, "\n".join(lines) + "\n", 0o600)
    print("Wrote .env; now: docker compose up -d --build")
    return 0


def variables(admin_password: str) -> dict[str, str]:
    """Every variable that docker-compose.yml insists on."""
    admin_url = ADMIN_URL.format(password=admin_password)
    found = {"POSTGRES_PASSWORD": admin_password}
    for service in WITH_DATABASE:
        for role in ("api", "system"):
            name = f"{service.package}_{role}"
            found[f"{name.upper()}_PASSWORD"] = password_of(admin_url, name)
    found |= {f"{system.upper()}_SECRET": secrets.token_hex(32) for system in SHARED_SECRETS}
    return found


if __name__ == "__main__":
    sys.exit(main())
