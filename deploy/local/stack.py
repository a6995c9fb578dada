"""What one stack consists of: its ports, addresses and secrets, and the programs made from them."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from deploy.local import broker, databases, health, keys, ports, postgres, steering, topics
from deploy.local.layout import Layout, read_json, write_json
from deploy.local.problem import StackError
from deploy.local.process import Program
from deploy.local.services import BY_NAME, SANDBOX, SERVICES, WITH_DATABASE, Service, choose
from deploy.local.supervised import Supervised

POSTGRES, KAFKA, CONTROLLER = "postgres", "kafka", "kafka-controller"
# Beside the customary ports, where a PostgreSQL or a Kafka of the machine's own may listen.
INFRASTRUCTURE_PORTS = {POSTGRES: 15432, KAFKA: 19092, CONTROLLER: 19093}
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Stack:
    """One stack, chosen but not started."""

    layout: Layout
    ports: Mapping[str, int]
    services: Sequence[Service]
    runs: frozenset[str]  # which of postgres and kafka are ours to run
    postgres_url: str | None
    kafka_bootstrap: str | None
    extra: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # service → settings of this run (--set)

    @property
    def admin_url(self) -> str:
        """The administrator's URL of PostgreSQL, ours or the given one."""
        password = keys.postgres_password(self.layout.secrets)
        return self.postgres_url or f"postgresql://postgres:{password}@127.0.0.1:{self.ports[POSTGRES]}/postgres"

    @property
    def kafka(self) -> str:
        """Where Kafka listens, ours or the given one."""
        return self.kafka_bootstrap or f"127.0.0.1:{self.ports[KAFKA]}"

    def url(self, service: Service) -> str:
        """The base URL of a service."""
        return f"http://127.0.0.1:{self.ports[service.name]}"

    @property
    def own_ports(self) -> dict[str, int]:
        """The ports that this stack will listen on."""
        names = [service.name for service in self.services]
        names += [POSTGRES] if POSTGRES in self.runs else []
        names += [KAFKA, CONTROLLER] if KAFKA in self.runs else []
        return {name: self.ports[name] for name in names}

    def environment(self, service: Service) -> dict[str, str]:
        """All the settings a service gets."""
        secrets = {f"{name}_secret": keys.shared_secret(self.layout.secrets, name) for name in keys.SHARED_SECRETS}
        values = {each.name: self.url(each) for each in SERVICES} | secrets
        values |= {"kafka": self.kafka, "kafka_prefix": "", "secrets": str(self.layout.secrets)}
        own = {"host": "127.0.0.1", "port": str(self.ports[service.name]), "folder": str(self.layout.folder)}
        if service.has_database:
            urls = databases.urls_of(self.admin_url, service.package)
            own |= {"api_url": urls.api, "system_url": urls.system}
        return service.environment(values, name_values=own) | dict(self.extra.get(service.name, {}))

    def program(self, service: Service) -> Program:
        """How to start a service."""
        command = [sys.executable, "-m", service.package, *service.arguments]
        return Program(service.name, command, ROOT, self.environment(service))

    def supervised(self, service: Service) -> Supervised:
        """The service, to be kept alive."""

        def prepare() -> Program:
            program = self.program(service)
            settings = steering.take_next(self.layout, service.name)
            return replace(program, environment={**program.environment, **settings})

        return Supervised(service.name, self.layout, prepare, partial(health.is_alive, self.url(service)))

    def infrastructure(self) -> list[Supervised]:
        """PostgreSQL and Kafka, to be kept alive, unless they were given from outside or are not wanted."""
        programs = []
        if POSTGRES in self.runs:
            programs.append(
                Supervised(
                    POSTGRES,
                    self.layout,
                    self._postgres,
                    partial(databases.answers, self.admin_url),
                    is_alive=partial(databases.is_alive, self.admin_url),
                    start_seconds=600,
                )
            )
        if KAFKA in self.runs:
            answers = partial(topics.answers, self.kafka)
            programs.append(Supervised(KAFKA, self.layout, self._kafka, answers, start_seconds=120))
        return programs

    def description(self) -> dict[str, Any]:
        """What `stack.json` says: read by the demo, the checker of promises and the bench."""
        return {
            "gateway": self.url(BY_NAME["gateway"]),
            "sandbox": self.url(BY_NAME[SANDBOX]),
            "services": {service.name: self.url(service) for service in self.services},
            "postgres": {
                service.package: databases.urls_of(self.admin_url, service.package).system for service in WITH_DATABASE
            },
            "postgres_admin": self.admin_url,
            "kafka": self.kafka,
            "kafka_prefix": "",
        }

    def _postgres(self) -> Program:
        password = keys.postgres_password(self.layout.secrets)
        return postgres.prepare(self.layout.folder / POSTGRES, self.ports[POSTGRES], password).program

    def _kafka(self) -> Program:
        return broker.prepare(self.layout.folder / KAFKA, self.ports[KAFKA], self.ports[CONTROLLER]).program


def plan(layout: Layout, *, free_ports: bool, only: Sequence[str], settings: Sequence[str] = ()) -> Stack:
    """Chooses services and ports; `settings` are `service:HUB_NAME=value`, on top of the table's.

    Ports of an earlier start with `--free-ports` are kept as long as they are still free: clients may know
    them.
    """
    infrastructure = set(only) & {POSTGRES, KAFKA}
    named = set(only) - infrastructure
    # Services need both servers; `--only postgres` alone means just that.
    services = choose(named) if named or not only else ()
    runs = frozenset({POSTGRES, KAFKA} if services else infrastructure)
    chosen = {service.name: service.port for service in SERVICES} | INFRASTRUCTURE_PORTS
    if free_ports:
        kept = read_json(layout.folder / "ports.json") or {}
        taken: set[int] = set()
        for name in chosen:
            port = int(kept.get(name, 0))
            again = port and port not in taken and ports.is_free(port)
            chosen[name] = port if again else ports.a_free_port(taken)
            taken.add(chosen[name])
    write_json(layout.folder / "ports.json", chosen)
    given = os.environ.get("HUB_POSTGRES_URL"), os.environ.get("HUB_KAFKA_BOOTSTRAP")
    runs -= {name for name, address in zip((POSTGRES, KAFKA), given, strict=True) if address}
    return Stack(layout, chosen, services, runs, *given, extra=by_service(settings))


def by_service(settings: Iterable[str]) -> dict[str, dict[str, str]]:
    """`["dossier:HUB_LOG_LEVEL=DEBUG"]` → `{"dossier": {"HUB_LOG_LEVEL": "DEBUG"}}`."""
    found: dict[str, dict[str, str]] = {}
    for each in settings:
        service, _, setting = each.partition(":")
        name, equals, value = setting.partition("=")
        if service not in BY_NAME or not equals or not name.startswith("HUB_"):
            raise StackError(f"--set {each} is not understood: write, for example, dossier:HUB_LOG_LEVEL=DEBUG.")
        found.setdefault(service, {})[name] = value
    return found
