"""The one table of the hub's services: what each is called, where it listens and which settings it gets.

Values are templates. `{dossier}` is the base URL of a service, `{secrets}` the folder of key files,
`{platform_secret}` a shared secret's text. docker-compose.yml gives the same names to the same services; a
test keeps the two in step.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

SANDBOX = "sandbox"

# Topic → the services that read it; a publisher asks them what they have not seen (architecture, Guarantees
# 2).
READERS = {
    "lgsp.dossier": ("payment", "citizen-db-adapter", "sync-national", "console"),
    "lgsp.identity": ("dossier", "console"),
    "lgsp.payment": ("dossier", "console"),
    "lgsp.sync": ("console",),
    "lgsp.ministry": ("dossier",),
}

# What every service with a database gets.
COMMON = {
    "HUB_HOST": "{host}",
    "HUB_PORT": "{port}",
    "HUB_DATABASE_API_URL": "{api_url}",
    "HUB_DATABASE_SYSTEM_URL": "{system_url}",
    "HUB_KAFKA_BOOTSTRAP": "{kafka}",
    "HUB_KAFKA_PREFIX": "{kafka_prefix}",
    "HUB_GATEWAY_URL": "{gateway}",
    "HUB_SERVICE_KEY_FILE": "{secrets}/service-{name}.json",
    "HUB_READERS": "{readers}",
}
PORTAL = {"HUB_PORTAL_USERNAME": "lgsp-hub", "HUB_PORTAL_PASSWORD": "{portal_secret}"}
INBOUND = {"HUB_PORTAL_INBOUND_SECRET": "{inbound_secret}"}
PLATFORM = {"HUB_PLATFORM_PARTNER_CODE": "LGSPHUB", "HUB_PLATFORM_SECRET": "{platform_secret}"}
REGISTER = {"HUB_REGISTER_USERNAME": "lgsp-hub", "HUB_REGISTER_SECRET": "{register_secret}"}


@dataclass(frozen=True, slots=True)
class Service:
    """One process of the hub. `name` is its distribution, its client id and its container; `topic` what
    it publishes.
    """

    name: str
    port: int
    settings: Mapping[str, str] = field(default_factory=dict)
    topic: str | None = None
    arguments: tuple[str, ...] = ()
    has_database: bool = True

    @property
    def package(self) -> str:
        """The Python package, which is also the name of its database."""
        return self.name.replace("-", "_")

    @property
    def templates(self) -> dict[str, str]:
        """Every setting it gets, as templates."""
        return {**(COMMON if self.has_database else {"HUB_HOST": "{host}", "HUB_PORT": "{port}"}), **self.settings}

    def environment(self, values: Mapping[str, str], *, name_values: Mapping[str, str]) -> dict[str, str]:
        """Its settings filled in: `values` are the stack's, `name_values` its own (port, URLs of its
        database).
        """
        readers = {self.topic: [values[reader] for reader in READERS[self.topic]]} if self.topic else {}
        every = {**values, "name": self.name, "readers": json.dumps(readers), **name_values}
        return {setting: template.format_map(every) for setting, template in self.templates.items()}


SERVICES = (
    Service(
        "gateway",
        8080,
        {
            "HUB_SIGNING_KEYS_FILE": "{secrets}/signing-keys.json",
            "HUB_SERVICE_KEYS_FILE": "{secrets}/service-keys.json",
            "HUB_SEAL_FILE": "{folder}/exchange-seals.jws",
            "HUB_DOSSIER_URL": "{dossier}",
            "HUB_PAYMENT_URL": "{payment}",
            "HUB_CITIZEN_URL": "{citizen-db-adapter}",
            "HUB_SYNC_URL": "{sync-national}",
            "HUB_CONSOLE_URL": "{console}",
            "HUB_PORTAL_NETWORKS": '["127.0.0.0/8", "::1/128"]',
            **INBOUND,
        },
        topic="lgsp.ministry",
    ),
    Service(
        "dossier",
        8081,
        {"HUB_PERSON_KEYS_FILE": "{secrets}/person-hash-key", **INBOUND},
        topic="lgsp.dossier",
    ),
    Service(
        "payment",
        8082,
        {"HUB_DOSSIER_URL": "{dossier}", "HUB_PLATFORM_URL": "{sandbox}/payment-platform", **PLATFORM},
        topic="lgsp.payment",
    ),
    Service(
        "citizen-db-adapter",
        8083,
        {
            "HUB_DOSSIER_URL": "{dossier}",
            "HUB_REGISTER_URL": "{sandbox}/population",
            **REGISTER,
            "HUB_ENCRYPTION_KEY_FILE": "{secrets}/encryption-key",
        },
        topic="lgsp.identity",
    ),
    Service(
        "sync-national",
        8084,
        {
            "HUB_DOSSIER_URL": "{dossier}",
            "HUB_PORTAL_URL": "{sandbox}/portal",
            **PORTAL,
            "HUB_PORTAL_AGENCY_CODE": "H08",
        },
        topic="lgsp.sync",
    ),
    Service(
        "console",
        8085,
        {
            "HUB_CONSOLE_CLIENT_ID": "console-web",
            "HUB_SESSION_KEY_FILE": "{secrets}/session-key",
            "HUB_PUBLIC_URL": "{gateway}",
            "HUB_DOSSIER_URL": "{dossier}",
        },
    ),
    Service(
        SANDBOX,
        8090,
        {
            "HUB_SANDBOX_FILE": "{folder}/sandbox.sqlite",
            "HUB_CALLBACK_URL": "{gateway}/callbacks/payment-platform",
            "HUB_INBOUND_URL": "{gateway}/dvcqg/dossiers",
            **INBOUND,
            **PLATFORM,
            **PORTAL,
            **REGISTER,
        },
        arguments=("serve",),
        has_database=False,
    ),
)
BY_NAME = {service.name: service for service in SERVICES}
WITH_DATABASE = tuple(service for service in SERVICES if service.has_database)


def choose(names: Iterable[str]) -> tuple[Service, ...]:
    """The services of these names, in the table's order; all of them for none."""
    wanted = set(names)
    return tuple(service for service in SERVICES if not wanted or service.name in wanted)
