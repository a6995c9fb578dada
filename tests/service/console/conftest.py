"""A console on a database and a topic prefix of its own, with a stand-in for the gateway and dossier."""

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest_asyncio
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from joserfc.jwk import ECKey

from console.main import create_app
from console.settings import Settings
from deploy.local.databases import Urls
from shared.auth import JwksSource
from tests.support.tokens import TokenIssuer

from . import acting

AGENCIES = {
    "H08": "Tỉnh Bình Định", "H08.15": "Sở Tư pháp", "H08.16": "Sở Văn hóa và Thể thao", "H08.90": "Cục Thuế tỉnh",
    "H09.01": "Sở Y tế",
}  # fmt: skip
VERTICAL = {"H08.90"}
CODE = "H08.15-230301-0001"
AT = "2023-03-01T08:30:00+07:00"
PARKED = {
    "code": CODE, "destination": "dvcqg", "agency_code": "H08.15", "status_code": 1, "state": "parked",
    "desired_version": 2, "acknowledged_version": 0, "desired_progress": 1, "acknowledged_progress": 0, "tries": 3,
    "reason": "Hồ sơ không hợp lệ", "owner": "partner", "next_try_at": None, "unsynced_since": AT,
    "acknowledged_at": None, "changed_at": AT,
}  # fmt: skip
SYNC_STATUS = {
    "destinations": [
        {
            "destination": "dvcqg",
            "counts": {"synced": 3, "parked": 1, "pending": 0},
            "oldest_unsynced_seconds": 65.0,
            "acknowledged_last_minute": 6,
            "throughput_per_second": 0.1,
            "breaker": "closed",
            "failures": {"partner": 1, "hub": 0, "poison": 0},
            "hold": None,
            "holds": [acting.HOLD],
            "drain": acting.DRAIN,
            "quota_left": None,
            "last_reconciliation": None,
        }
    ]
}
SUBMITTED = {
    "version": 1, "action": "submit", "from": None, "to": "submitted", "reason": "<script>alert(1)</script>",
    "actor": {"name": "Trần Văn Bình", "title": None, "unit": None}, "at": AT, "recorded_at": AT, "due_before": None,
    "due_after": None, "client_id": "desk", "exchange_id": "x1",
}  # fmt: skip
DOSSIER = {
    "code": CODE, "status": "submitted", "status_code": 1, "agency_code": "H08.15", "procedure_code": "2.000488",
    "channel": "online", "identity": {"outcome": "pending"}, "received_at": None, "due_at": None, "finished_at": None,
    "payment": {"state": "none", "due_vnd": 0, "paid_vnd": 0, "payment_url": None}, "submitted_at": AT,
    "returned_at": None, "version": 1, "clock": acting.CLOCK, "verdicts": acting.VERDICTS,
    "next_actions": acting.NEXT_ACTIONS,
}  # fmt: skip
EXCHANGE = {
    "id": "x1", "method": "POST", "route": "/v1/dossiers", "path": "/v1/dossiers", "status": 201, "client_id": "desk",
    "role": "desk", "purpose": None, "received_at": AT,
}  # fmt: skip
ATTEMPT = {
    "number": 1, "at": AT, "version": 1, "progress_number": 1, "outcome": "refused", "reason": "Hồ sơ không hợp lệ",
    "request": {"MaHoSo": CODE}, "exchanges": [{"service": "DongBoHoSoMC", "error_code": "-5"}],
}  # fmt: skip
RECONCILIATION_ID = "01920000-0000-7000-8000-000000000001"
RECONCILIATION: dict[str, Any] = {
    "id": RECONCILIATION_ID, "destination": "dvcqg", "source": "file", "state": "done", "fault": None,
    "agencies": ["*"],
    "period_from": "2023-03-01", "period_to": None, "as_of": AT, "layout": "dvcqg", "file_name": "cong.csv",
    "file_format": "csv", "file_bytes": 1200345, "file_sha256": "ab" * 32, "asked_by": "operator",
    "reason": "Báo cáo quý",
    "asked_at": AT, "started_at": AT, "finished_at": AT, "verifies": None, "repair": None, "compared": 12345,
    "equal": 12344, "missing_there": 0, "missing_here": 0, "status_differs": 1, "time_differs": 1,
    "verdict_differs": 0,
    "payment_differs": 0, "progress_differs": 0, "record_differs": 0, "on_the_way": 2, "changed_since": 3,
    "not_asked_for": 0, "lines": 12346, "faulty_lines": 1, "faults": ["Dòng 6: Dòng có 1 ô, cần 6"],
}  # fmt: skip
DIFFERENCE = {
    "code": CODE, "agency_code": "H08.15", "kinds": ["status_differs", "time_differs"], "state": "synced",
    "reason": None, "owner": None, "theirs": {"status": "4", "due": "20230316", "others": []},
    "ours": {"status": "10", "due": "20230315170000", "ended": "", "payment": "0", "progress": 6, "verdict": None},
}  # fmt: skip
ANSWERS: dict[str, Any] = {
    **acting.ANSWERS,
    "/v1/sync/reconciliations": {"items": [RECONCILIATION], "next_cursor": None},
    f"/v1/sync/reconciliations/{RECONCILIATION_ID}": {**RECONCILIATION, "items": [DIFFERENCE], "next_cursor": "x=/"},
    "/v1/sync/status": SYNC_STATUS,
    "/v1/sync/dossiers": {"items": [PARKED], "next_cursor": None},
    f"/v1/sync/dossiers/{CODE}": {**PARKED, "attempts": [ATTEMPT]},
    f"/v1/dossiers/{CODE}": DOSSIER,
    f"/v1/dossiers/{CODE}/history": {"items": [SUBMITTED], "next_cursor": None},
    f"/v1/tracking/{CODE}": {"procedure_name": "Cấp Phiếu lý lịch tư pháp", "agency_name": "Sở Tư pháp"},
    "/v1/exchanges": {"items": [EXCHANGE], "next_cursor": None},
}


@dataclass
class Neighbours:
    """What the stand-in answers, and what it was asked."""

    challenge: str = ""
    grant: dict[str, Any] = field(default_factory=dict)
    verified: bool = False
    is_down: bool = False
    away: str = "nothing"
    """Reads below this path are answered 503."""
    asked: list[tuple[str, httpx2.Headers, bytes]] = field(default_factory=list)
    """What was posted: path with its query, headers, body."""
    said: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """What is answered to a POST on this path; 404 without."""
    shown: dict[str, Any] = field(default_factory=dict)
    """What is read there instead of what stands in `ANSWERS`."""

    def fits(self, verifier: str) -> bool:
        """RFC 7636 §4.6."""
        digest = hashlib.sha256(verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == self.challenge

    def app(self) -> FastAPI:
        """Gateway and dossier in one."""
        app = FastAPI()

        @app.post("/oauth/token")
        async def token(request: Request) -> dict[str, Any]:
            form = await request.form()
            if form["grant_type"] == "authorization_code":
                self.verified = self.fits(str(form["code_verifier"])) and form["code"] == "good"
                return self.grant if self.verified else {}
            return {"access_token": "internal", "expires_in": 600, "token_type": "Bearer"}

        @app.get("/internal/agencies")
        async def agencies() -> dict[str, Any]:
            items = [{"code": code, "name": name, "vertical": code in VERTICAL} for code, name in AGENCIES.items()]
            return {"items": items, "next_cursor": None}

        @app.post("/v1/{rest:path}")
        async def acted(rest: str, request: Request) -> JSONResponse:
            query = f"?{request.url.query}" if request.url.query else ""
            headers = httpx2.Headers(request.headers.items())
            self.asked.append((f"/v1/{rest}{query}", headers, await request.body()))
            if self.is_down:
                return JSONResponse({}, 503)
            status, document = self.said.get(f"/v1/{rest}", (404, {}))
            return JSONResponse(document, status)

        @app.get("/v1/{rest:path}")
        async def anything(rest: str) -> JSONResponse:
            if self.is_down or rest == "payments" or rest.startswith(self.away):
                return JSONResponse({}, 503)
            found = self.shown.get(f"/v1/{rest}") or ANSWERS.get(f"/v1/{rest}")
            return JSONResponse(found or {}, 200 if found else 404)

        return app


@dataclass(frozen=True, slots=True)
class Console:
    """A running console and what the tests need around it."""

    client: httpx2.AsyncClient
    app: FastAPI
    urls: Urls
    bootstrap: str
    prefix: str
    gateway_url: str
    neighbours: Neighbours

    def issue(self, issuer: TokenIssuer, **claims: Any) -> str:
        """A token of this console's gateway."""
        own = TokenIssuer(self.gateway_url)
        own.key = issuer.key
        return own.token(**claims)


@pytest_asyncio.fixture
async def console(
    service_database: Callable[[str], Awaitable[Urls]],
    kafka_bootstrap: str,
    kafka_prefix: str,
    token_issuer: TokenIssuer,
    in_process: Callable[[FastAPI], Awaitable[httpx2.AsyncClient]],
    served: Callable[..., Awaitable[str]],
    tmp_path: Path,
) -> Console:
    """The console as it runs, its neighbours played; its client may read every report."""
    urls = await service_database("console")
    neighbours = Neighbours()
    around = await served(neighbours.app())
    key = ECKey.generate_key("P-256", {"kid": "console-1"}).as_dict(private=True)
    (tmp_path / "service.json").write_text(json.dumps({**key, "client_id": "console"}))
    (tmp_path / "session-key").write_text("11" * 32)
    settings = Settings(
        database_api_url=urls.api,
        database_system_url=urls.system,
        kafka_bootstrap=kafka_bootstrap,
        kafka_prefix=kafka_prefix,
        gateway_url=around,
        dossier_url=around,
        public_url=around,
        service_key_file=tmp_path / "service.json",
        session_key_file=tmp_path / "session-key",
    )
    app = create_app(settings, jwks=JwksSource.of(token_issuer.jwks))
    client = await in_process(app)
    console = Console(client, app, urls, kafka_bootstrap, kafka_prefix, around, neighbours)
    token = console.issue(token_issuer, role="operator", scopes=["report:read"], agencies=["*"])
    client.headers["authorization"] = f"Bearer {token}"
    return console
