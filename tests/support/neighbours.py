"""What a service sees of the hub when it is tested alone: tokens, the dossier service's internal read, a topic."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import Body, FastAPI, Request
from joserfc.jwk import ECKey

from shared import events
from shared.db import Database
from shared.events import Event
from shared.kafka import Kafka
from tests.support.tokens import TokenIssuer


class Neighbours:
    """The gateway's token endpoint and the dossier service's internal read on one port, answering from memory."""

    def __init__(self) -> None:
        """Knows no dossier yet; `tokens` is set once the port is known."""
        self.dossiers: dict[str, dict[str, Any]] = {}
        self.reads: list[list[str]] = []
        self.successions: dict[str, str] = {}
        self.tokens = TokenIssuer()
        self.app = FastAPI()
        self.app.post("/oauth/token")(self._token)
        self.app.post("/internal/dossiers/read")(self._read)
        self.app.get("/internal/agencies/successions")(self._succeeded)

    def know(self, code: str, **members: Any) -> dict[str, Any]:
        """Add a dossier with an invented applicant; members replace the defaults."""
        self.dossiers[code] = a_dossier(code) | members
        return self.dossiers[code]

    async def _token(self) -> dict[str, Any]:
        return {
            "access_token": self.tokens.token(audience="lgsp-internal", role="service"),
            "token_type": "Bearer",
            "expires_in": 600,
        }

    async def _succeeded(self) -> dict[str, Any]:
        return {"items": self.successions}

    async def _read(self, request: Request, question: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        assert request.headers["authorization"].startswith("Bearer ")
        self.reads.append(question["codes"])
        return {"items": [self.dossiers[code] for code in question["codes"] if code in self.dossiers]}


def a_dossier(code: str = "H08.15-230301-0001") -> dict[str, Any]:
    """A dossier as `/internal/dossiers/read` shows it (the views identity and payment together)."""
    return {
        "code": code,
        "version": 1,
        "agency_code": code.partition("-")[0],
        "agency_name": "Sở Tư pháp",
        "procedure_code": "2.000488",
        "procedure_name": "Cấp Phiếu lý lịch tư pháp cho công dân Việt Nam",
        "status_code": 2,
        "submitted_at": "2023-03-01T08:30:00+07:00",
        "applicant": {
            "kind": "citizen",
            "full_name": "Nguyễn Thị An",
            "personal_id": "052190000123",
            "date_of_birth": "1990-04-12",
            "organisation_tax_code": None,
            "address": "Quy Nhơn",
        },
    }


def a_service_key(folder: Path, client_id: str) -> Path:
    """A service's private key file as `make up` writes it."""
    key = ECKey.generate_key("P-256", {"kid": client_id})
    path = folder / f"service-{client_id}.json"
    path.write_bytes(orjson.dumps({**key.as_dict(private=True), "client_id": client_id}))
    return path


async def feed(kafka: Kafka, topic: str, sent: Sequence[Event]) -> None:
    """Publish events as a relay would."""
    producer = kafka.producer()
    await producer.start()
    try:
        for event in sent:
            await producer.send(kafka.topic(topic), events.encode(event), key=event.subject.encode())
        await producer.flush()
    finally:
        await producer.stop()


async def published(database: Database) -> list[dict[str, Any]]:
    """Every event this service has written to its outbox, carried or not, in order."""
    async with database.reading() as rx:
        rows = await rx.rows(
            "SELECT value FROM (SELECT event_id, value FROM outbox UNION ALL SELECT event_id, value "
            "FROM outbox_published) AS every ORDER BY event_id"
        )
    return [orjson.loads(row["value"]) for row in rows]


async def eventually(
    question: Callable[[], Awaitable[Any]], *, seconds: float = 15.0, every_seconds: float = 0.02
) -> Any:
    """The first truthy answer; fails when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := await question():
            return answer
        await asyncio.sleep(every_seconds)
    raise AssertionError("it did not happen in time")


def dossier_event(name: str, code: str, at: datetime, *, version: int = 1, **members: Any) -> Event:
    """An event of `lgsp.dossier`; members replace those of its state, `change` those of its change."""
    change = {"action": name, "from_status": None, "to_status": 1, "at": at, "recorded_at": at}
    change |= members.pop("change", {})
    state = {
        "code": code,
        "agency_code": code.partition("-")[0],
        "procedure_code": "2.000488",
        "channel": "online",
        "status_code": 1,
        "version": version,
        "submitted_at": at,
        "received_at": None,
        "due_at": None,
        "finished_at": None,
        "returned_at": None,
        "identity_outcome": "pending",
        "payments": {"due_vnd": 0, "paid_vnd": 0},
        "digitised": False,
        "electronic_result": False,
        "change": change,
    }
    event = events.new_event("/lgsp/dossier", f"vn.lgsp.dossier.{name}.v1", code, at, state | members, version)
    return events.decode(events.encode(event))  # times as a reader sees them
