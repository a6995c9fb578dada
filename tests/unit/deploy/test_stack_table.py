"""The table of services, its ports and what each gets."""

import importlib
import json
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from deploy.local import keys, stack
from deploy.local.layout import Layout
from deploy.local.problem import StackError
from deploy.local.services import BY_NAME, READERS, SERVICES, WITH_DATABASE
from deploy.local.topics import TOPICS
from shared import kafka
from shared.settings import HubSettings


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty stack's folder with its keys."""
    made = Layout(tmp_path)
    made.make()
    keys.make_all(made.secrets, [service.name for service in WITH_DATABASE])
    return made


def test_the_ports_are_those_of_the_contract() -> None:
    assert {service.name: service.port for service in SERVICES} == {
        "gateway": 8080,
        "dossier": 8081,
        "payment": 8082,
        "citizen-db-adapter": 8083,
        "sync-national": 8084,
        "console": 8085,
        "sandbox": 8090,
    }


def test_the_topics_are_those_of_the_code() -> None:
    assert set(TOPICS) == set(kafka.TOPICS) == set(READERS)
    assert {service.topic for service in WITH_DATABASE if service.topic} == set(TOPICS)
    assert TOPICS["lgsp.ministry"] == 35 * 24 * 3600 * 1000


@pytest.mark.parametrize("name", [service.name for service in SERVICES])
def test_each_service_understands_exactly_what_it_gets(
    name: str, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = stack.plan(layout, free_ports=True, only=())
    for setting, value in one.environment(BY_NAME[name]).items():
        monkeypatch.setenv(setting, value)
    settings: HubSettings = importlib.import_module(f"{BY_NAME[name].package}.settings").Settings()
    assert settings.port == one.ports[name]


def test_a_publisher_knows_its_readers(layout: Layout) -> None:
    one = stack.plan(layout, free_ports=False, only=())
    readers = json.loads(one.environment(BY_NAME["dossier"])["HUB_READERS"])
    assert readers == {"lgsp.dossier": [f"http://127.0.0.1:{port}" for port in (8082, 8083, 8084, 8085)]}
    assert json.loads(one.environment(BY_NAME["console"])["HUB_READERS"]) == {}


def test_chosen_ports_stay_the_same_at_the_next_start(layout: Layout) -> None:
    first = stack.plan(layout, free_ports=True, only=()).ports
    assert stack.plan(layout, free_ports=True, only=()).ports == first


def test_only_names_programs(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUB_POSTGRES_URL", raising=False)
    monkeypatch.delenv("HUB_KAFKA_BOOTSTRAP", raising=False)
    assert stack.plan(layout, free_ports=True, only=("postgres",)).runs == {"postgres"}
    some = stack.plan(layout, free_ports=True, only=("dossier",))
    assert [service.name for service in some.services] == ["dossier"]
    assert some.runs == {"postgres", "kafka"}


def test_given_servers_are_used_instead_of_ours(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_POSTGRES_URL", "postgresql://admin:word@127.0.0.1:1/postgres")
    monkeypatch.setenv("HUB_KAFKA_BOOTSTRAP", "127.0.0.1:2")
    one = stack.plan(layout, free_ports=True, only=())
    assert not one.runs
    environment = one.environment(BY_NAME["dossier"])
    assert environment["HUB_KAFKA_BOOTSTRAP"] == "127.0.0.1:2"
    assert environment["HUB_DATABASE_API_URL"].endswith("@127.0.0.1:1/dossier")
    assert environment["HUB_DATABASE_API_URL"].startswith("postgresql://dossier_api:")


def test_keys_are_private_and_stay(layout: Layout) -> None:
    before = {path.name: path.read_text() for path in layout.secrets.iterdir()}
    keys.make_all(layout.secrets, [service.name for service in WITH_DATABASE])
    assert {path.name: path.read_text() for path in layout.secrets.iterdir()} == before
    assert all(path.stat().st_mode & 0o077 == 0 for path in layout.secrets.iterdir())
    assert layout.secrets.stat().st_mode & 0o077 == 0


def test_the_gateway_gets_the_public_half_of_each_service_key(layout: Layout) -> None:
    public = json.loads((layout.secrets / "service-keys.json").read_text())
    assert set(public) == {service.name for service in WITH_DATABASE}
    assert not any("d" in key for key in public.values())
    private = json.loads((layout.secrets / "service-dossier.json").read_text())
    assert private["client_id"] == "dossier"
    assert ECKey.import_key(private).thumbprint() == ECKey.import_key(public["dossier"]).thumbprint()


def test_a_run_may_add_settings(layout: Layout) -> None:
    one = stack.plan(layout, free_ports=True, only=(), settings=["dossier:HUB_LOG_LEVEL=DEBUG"])
    assert one.environment(BY_NAME["dossier"])["HUB_LOG_LEVEL"] == "DEBUG"
    assert "HUB_LOG_LEVEL" not in one.environment(BY_NAME["payment"])
    with pytest.raises(StackError, match="write, for example"):
        stack.plan(layout, free_ports=True, only=(), settings=["HUB_LOG_LEVEL=DEBUG"])
