"""docker-compose.yml describes the stack of deploy/local: same services, ports, settings, server options."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import containers, environment_file
from deploy.local import broker, postgres, stack
from deploy.local.services import BY_NAME, READERS, SERVICES

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
CONTAINERS: dict[str, dict[str, Any]] = COMPOSE["services"]

# The keys of the compose specification that we use; anything else is a slip.
TOP_KEYS = {"name", "services", "volumes"}
SERVICE_KEYS = {
    "build": dict,
    "cap_drop": list,
    "command": list,
    "depends_on": dict,
    "environment": dict,
    "healthcheck": dict,
    "image": str,
    "ports": list,
    "read_only": bool,
    "restart": str,
    "security_opt": list,
    "shm_size": str,
    "stop_grace_period": str,
    "stop_signal": str,
    "tmpfs": list,
    "volumes": list,
}
HEALTH_KEYS = {"test", "interval", "timeout", "retries", "start_period"}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
ONE_SHOT = {"keys", "databases", "clients", "catalogue"}
# What a listener and an address are called where every process has a host of its own.
OTHER_KAFKA_SETTINGS = {
    "KAFKA_CONTROLLER_QUORUM_VOTERS",
    "KAFKA_LISTENERS",
    "KAFKA_ADVERTISED_LISTENERS",
    "KAFKA_LOG_DIRS",
    "CLUSTER_ID",
}


def test_the_file_keeps_to_the_compose_specification() -> None:
    assert {key for key in COMPOSE if not key.startswith("x-")} == TOP_KEYS
    for name, container in CONTAINERS.items():
        assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name)
        for key, value in container.items():
            assert key in SERVICE_KEYS, f"{name}: {key}"
            assert isinstance(value, SERVICE_KEYS[key]), f"{name}: {key}"
        assert set(container.get("healthcheck", {})) <= HEALTH_KEYS
        environment = container.get("environment", {})
        assert all(isinstance(value, str) for value in environment.values()), f"{name}: quote numbers and booleans"
        for needed, how in container.get("depends_on", {}).items():
            assert needed in CONTAINERS
            assert how["condition"] in CONDITIONS
        for volume in container.get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"]


def test_the_containers_are_the_processes_of_the_local_stack() -> None:
    names = {service.name for service in SERVICES} | {stack.POSTGRES, stack.KAFKA} | ONE_SHOT
    assert set(CONTAINERS) == names


@pytest.mark.parametrize("name", [service.name for service in SERVICES])
def test_a_container_gets_the_same_settings_and_port(name: str) -> None:
    container, service = CONTAINERS[name], BY_NAME[name]
    environment = container["environment"]
    assert set(environment) == set(service.templates)
    assert environment["HUB_PORT"] == str(service.port)
    assert container["command"] == ["python", "-m", service.package, *service.arguments]
    assert container["healthcheck"]["test"][-1] == f"http://127.0.0.1:{service.port}"
    if "HUB_READERS" in environment:
        readers = [f"http://{reader}:{BY_NAME[reader].port}" for reader in READERS.get(service.topic or "", ())]
        assert json.loads(environment["HUB_READERS"]) == ({service.topic: readers} if service.topic else {})


@pytest.mark.parametrize("name", [service.name for service in SERVICES])
def test_a_container_reaches_its_peers_where_they_listen(name: str) -> None:
    for setting, value in CONTAINERS[name]["environment"].items():
        for peer, port in re.findall(r"http://([a-z-]+):(\d+)", value):
            assert BY_NAME[peer].port == int(port), f"{setting} of {name}"


def test_only_the_gateway_and_the_sandbox_can_be_reached_and_only_from_this_host() -> None:
    published = {name: container["ports"] for name, container in CONTAINERS.items() if "ports" in container}
    assert published == {"gateway": ["127.0.0.1:8080:8080"], "sandbox": ["127.0.0.1:8090:8090"]}


def test_the_servers_have_the_same_options() -> None:
    command = CONTAINERS["postgres"]["command"]
    options = dict(option.split("=", 1) for option in command if "=" in option)
    local_only = {"listen_addresses", "unix_socket_directories"}
    assert options == {name: value for name, value in postgres.SETTINGS.items() if name not in local_only}
    given = CONTAINERS["kafka"]["environment"].items()
    assert {name: value for name, value in given if name not in OTHER_KAFKA_SETTINGS} == {
        f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in broker.SETTINGS.items()
    }
    version = re.search(r"kafka_2\.13</artifactId>\s*<version>([\d.]+)", (broker.POM_FOLDER / "pom.xml").read_text())
    assert version is not None
    assert CONTAINERS["kafka"]["image"] == f"apache/kafka:{version[1]}"


def test_every_variable_it_insists_on_is_written_by_the_environment_file() -> None:
    wanted = set(re.findall(r"\$\{([A-Z_]+):\?", FILE.read_text()))
    assert wanted == set(environment_file.variables("word"))


def test_everything_of_ours_runs_without_rights() -> None:
    for name in {service.name for service in SERVICES} | ONE_SHOT:
        container = CONTAINERS[name]
        assert container["read_only"]
        assert container["cap_drop"] == ["ALL"]
        assert container["image"] == "lgsp-hub"
    assert "USER 10001:10001" in (ROOT / "deploy/images/Dockerfile").read_text()
    assert CONTAINERS["gateway"]["environment"]["HUB_SIGNING_KEYS_FILE"].startswith(str(containers.SECRETS))


@pytest.mark.skipif(shutil.which("docker") is None, reason="docker's client is not here")
def test_docker_itself_understands_the_file(tmp_path: Path) -> None:
    variables = tmp_path / "env"
    variables.write_text("".join(f"{key}={value}\n" for key, value in environment_file.variables("word").items()))
    command = ["docker", "compose", "--env-file", str(variables), "-f", str(FILE), "config", "-q"]
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
