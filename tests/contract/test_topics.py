"""Every topic's YAML, schema and example hold together."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from shared import contracts
from shared.kafka import TOPICS

EXAMPLES = [
    pytest.param(example, id=f"{topic}-{number}")
    for topic, contract in contracts.topics().items()
    for number, example in enumerate(contract["examples"])
]
SERVICES = {"gateway", "dossier", "payment", "citizen-db-adapter", "sync-national", "console"}


def test_every_topic_has_a_contract() -> None:
    assert set(contracts.topics()) == set(TOPICS)


@pytest.mark.parametrize("contract", contracts.topics().values(), ids=contracts.topics().keys())
def test_a_contract_names_who_writes_and_who_reads(contract: dict[str, Any]) -> None:
    assert contract["owner"] in contract["producers"]
    assert set(contract["producers"]) | set(contract["consumers"]) <= SERVICES
    assert contract["events"]
    if contract["personal_data"]:
        assert contract["retention_days"] == 35
        assert contract["consumers"] == ["dossier"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_fits_its_schema(example: dict[str, Any]) -> None:
    schema = contracts.schema_of(example["type"])
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(example["data"])


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_without_a_required_member_does_not(example: dict[str, Any]) -> None:
    schema = contracts.schema_of(example["type"])
    validator = Draft202012Validator(schema)
    for name in schema["required"]:
        assert not validator.is_valid({k: v for k, v in example["data"].items() if k != name})


def test_no_schema_is_left_over() -> None:
    used = {event["schema"] for contract in contracts.topics().values() for event in contract["events"].values()}
    folder = Path(contracts.__file__).parent / "schemas"
    assert {path.stem for path in folder.glob("*.json")} == used


def test_every_topic_of_our_own_says_whose_version_its_sequence_is() -> None:
    assert [name for name, contract in contracts.topics().items() if contract["sequence"] is None] == ["lgsp.ministry"]


async def test_the_asyncapi_document_resolves() -> None:
    document = await asyncio.to_thread(contracts.asyncapi)
    for channel in document["channels"].values():
        for reference in channel["messages"].values():
            name = reference["$ref"].removeprefix("#/components/messages/")
            payload = document["components"]["messages"][name]["payload"]["properties"]["data"]["$ref"]
            assert payload.removeprefix("#/components/schemas/") in document["components"]["schemas"]
