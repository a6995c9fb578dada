"""A province in memory: a fake dossier service for `/internal/dossiers/read`, and its events on the real broker."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import orjson
from fastapi import FastAPI, Request, Response

from shared import clock, events
from shared.events import Event, new_event
from shared.kafka import Kafka

STARTED = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)


_DOSSIER: dict[str, Any] = {
    "version": 1,
    "agency_name": "Sở Tư pháp",
    "procedure_code": "2.000488",
    "procedure_name": "Cấp Phiếu lý lịch tư pháp cho công dân Việt Nam",
    "status_code": 1,
    "field_code": "G03-TP10",
    "field_name": "Lý lịch tư pháp",
    "channel": "online",
    "applicant": {
        "kind": "citizen",
        "full_name": "Nguyễn Thị An",
        "personal_id": "052190000001",
        "date_of_birth": "1990-04-12",
        "phone": "0905000000",
        "email": None,
        "organisation_tax_code": None,
        "address": None,
    },
    "abstract": "Đề nghị cấp phiếu lý lịch tư pháp số 1",
    "submitted_at": STARTED.isoformat(),
    "received_at": None,
    "due_at": None,
    "finished_at": None,
    "returned_at": None,
    "refused_at": None,
    "return_method": "direct",
    "attachments": [
        {
            "component_code": "KQ.G01.000001",
            "name": "don.pdf",
            "media_type": "application/pdf",
            "size": 20480,
            "sha256": "0" * 64,
            "url": "https://portal.example/don.pdf",
            "digitised": True,
            "reused": "none",
        }
    ],
    "results": [],
    "fees": [],
    "supplements": [],
    "identity_outcome": "pending",
    "digitised": True,
    "electronic_result": False,
    "payments": {"due_vnd": 0, "paid_vnd": 0, "online": False},
    "last_reason": None,
    "progress": [
        {"number": 1, "status_code": 1, "at": STARTED.isoformat(), "actor": None, "reason": None, "due_at": None}
    ],
}


def a_dossier(number: int = 1, agency: str = "H08.15", **changes: Any) -> dict[str, Any]:
    """A submitted dossier as view `sync` shows it. Invented people only."""
    return {
        **_DOSSIER,
        "code": f"{agency}-260302-{number:04d}",
        "agency_code": agency,
        "external_reference": f"portal-{number}",
        "applicant": {**_DOSSIER["applicant"], "personal_id": f"0521900{number:05d}"},
        **changes,
    }


class Province:
    """Dossiers that move; every move is an event on `lgsp.dossier`."""

    def __init__(self, kafka: Kafka) -> None:
        self.dossiers: dict[str, dict[str, Any]] = {}
        self.reads = 0
        self._kafka = kafka
        self._producer: Any = None
        self.app = FastAPI()
        self.app.add_api_route("/internal/dossiers/read", self._read, methods=["POST"])

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Province"]:
        """With a producer of its own."""
        self._producer = self._kafka.producer()
        await self._producer.start()
        yield self
        await self._producer.stop()

    async def file(self, *dossiers: dict[str, Any]) -> list[str]:
        """New dossiers and their first events."""
        for dossier in dossiers:
            self.dossiers[dossier["code"]] = dossier
        await self.publish(*(self.event(dossier["code"], None) for dossier in dossiers))
        return [dossier["code"] for dossier in dossiers]

    async def move(self, code: str, status: int, **changes: Any) -> Event:
        """To another status: a version and a progress row more."""
        event = self.moved(code, status, **changes)
        await self.publish(event)
        return event

    def moved(self, code: str, status: int, **changes: Any) -> Event:
        """The same, the event not yet published."""
        before = self.dossiers[code]
        at = (STARTED + timedelta(hours=before["version"])).isoformat()
        row = {
            "number": len(before["progress"]) + 1,
            "status_code": status,
            "at": at,
            "actor": {"name": "Trần Văn Bình", "title": "Chuyên viên", "unit": "Bộ phận Một cửa"},
            "reason": "Theo quy trình",
            "due_at": None,
        }
        times = {"received_at": at} if status == 2 else {"finished_at": at} if status == 9 else {}
        self.dossiers[code] = {
            **before,
            "status_code": status,
            "version": before["version"] + 1,
            "progress": [*before["progress"], row],
            **times,
            **changes,
        }
        return self.event(code, before["status_code"])

    async def learn(self, code: str, **changes: Any) -> None:
        """A fact (identity, payment): a version more, the same status."""
        before = self.dossiers[code]
        self.dossiers[code] = {**before, "version": before["version"] + 1, **changes}
        await self.publish(self.event(code, before["status_code"]))

    def event(self, code: str, from_status: int | None) -> Event:
        """The event of the last change."""
        dossier = self.dossiers[code]
        moment = clock.now()
        names = ("code", "agency_code", "procedure_code", "status_code", "version")
        times = ("submitted_at", "received_at", "due_at", "finished_at", "returned_at")
        state = {name: dossier[name] for name in (*names, *times, "payments")} | {
            "ended_at": dossier["finished_at"] or dossier["refused_at"]
        }
        if "national_late_at" in dossier:
            state["national_late_at"] = dossier["national_late_at"]
        change = {
            "action": "move",
            "from_status": from_status,
            "to_status": dossier["status_code"],
            "at": moment,
            "recorded_at": moment,
        }
        return new_event(
            "/lgsp/dossier",
            "vn.lgsp.dossier.moved.v1",
            code,
            moment,
            {**state, "change": change},
            sequence=dossier["version"],
        )

    async def publish(self, *news: Event) -> None:
        """On the broker, acknowledged."""
        sent = [
            await self._producer.send(
                self._kafka.topic("lgsp.dossier"), key=event.subject.encode(), value=events.encode(event)
            )
            for event in news
        ]
        await asyncio.gather(*sent)

    async def _read(self, request: Request) -> Response:
        self.reads += 1
        codes: Sequence[str] = orjson.loads(await request.body())["codes"]
        items = [self.dossiers[code] for code in codes if code in self.dossiers]
        return Response(orjson.dumps({"items": items}), media_type="application/json")


class NationalPortal:
    """The sandbox's portal, looked at through its controls."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = httpx2.AsyncClient(base_url=url, trust_env=False)

    async def fault(self, **order: Any) -> None:
        """Order a fault or a switch."""
        answer = await self.client.post("/_sandbox/faults", json={"system": "portal", **order})
        assert answer.status_code < 300, answer.text

    async def holds(self) -> dict[str, dict[str, Any]]:
        """What the portal holds, by code."""
        found: dict[str, dict[str, Any]] = {}
        cursor = None
        while True:
            answer = await self.client.get(
                "/_sandbox/portal/dossiers", params={"limit": 500} | ({"cursor": cursor} if cursor else {})
            )
            page = answer.json()
            found.update({item["code"]: item for item in page["items"]})
            cursor = page["next_cursor"]
            if cursor is None:
                return found
