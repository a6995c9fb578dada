"""The one-shot containers of docker-compose.yml: `python -m deploy.containers keys|databases`.

```
keys        makes the keys that are missing in the volume /run/hub
databases   makes databases, roles and topics and brings every database to its newest revision
```
Both may run again at every start: what is there stays.
"""

import asyncio
import os
import sys
from pathlib import Path

from deploy.local import databases, keys, topics
from deploy.local.services import WITH_DATABASE
from shared.migrating import upgrade

SECRETS = Path("/run/hub/secrets")


async def make_databases(admin_url: str, bootstrap: str) -> None:
    """Databases, roles and topics, then the tables, one service after the other."""
    await topics.create(bootstrap)
    for service in WITH_DATABASE:
        urls = await databases.provision(admin_url, service.package)
        await asyncio.to_thread(upgrade, service.package, urls.owner)


def main() -> int:
    """Runs the job that is named."""
    match sys.argv[1:]:
        case ["keys"]:
            keys.make_all(SECRETS, [service.name for service in WITH_DATABASE])
        case ["databases"]:
            asyncio.run(make_databases(os.environ["HUB_POSTGRES_URL"], os.environ["HUB_KAFKA_BOOTSTRAP"]))
        case _:
            print("keys or databases?", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
