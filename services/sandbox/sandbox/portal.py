"""The national portal (DVCQG) over its adapter: login, push services, read services (wire §1.1 to §1.5).

error_code  meaning (only 0 and -3 are known from the wire; the others are the sandbox's own)
0           done (also as "0" or "00", by switch)
-1          request not understood, refused, or unknown service
-2          session unknown or expired: log in again
-3          insert of a code that exists ("đã tồn tại")
-4          update or progress of a code that does not exist ("không tồn tại")
-5          a record breaks the rules of `portal_record` ("không hợp lệ")
-6          switch `answers: record`: some records were refused, see `result`
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import portal_catalogue, portal_store
from sandbox.faults import Behaviour, PortalSwitches
from sandbox.portal_record import code_of, fault_of_progress, fault_of_record
from sandbox.portal_session import Sessions
from sandbox.store import Store

MAX_RECORDS = 1000
SUCCESS: Mapping[str, Any] = {"string": "0", "integer": 0, "double_zero": "00"}
HEADERS = {"content-type": "application/json", "accept": "application/json", "charset": "utf-8"}
SESSION_OVER = "Phiên làm việc không tồn tại hoặc đã hết hạn"


class Refusal(NamedTuple):
    """Why one record, or the whole call, is refused."""

    code: str
    error_code: str
    message: str


class Portal:
    """The portal's three endpoints."""

    def __init__(
        self,
        store: Store,
        behaviour: Behaviour[PortalSwitches],
        *,
        username: str,
        password: str,
        session_seconds: float,
    ) -> None:
        self.store = store
        self.behaviour = behaviour
        self.sessions = Sessions(session_seconds)
        self._username, self._password = username, password
        self._integration: dict[str, Callable[[dict[str, Any]], Response]] = {
            "DongBoHoSoMC": self.push_dossiers,
            "CapNhatTienDoHoSoMC": self.push_progress,
        }
        self._share: dict[str, Callable[[dict[str, Any]], Response]] = {
            "TraCuuHoSo": self._look_up,
            **{service: partial(self._read_catalogue, read) for service, read in portal_catalogue.READS.items()},
        }

    def routes(self) -> list[Route]:
        return [
            Route("/portal/login", self._login_endpoint, methods=["POST"]),
            Route("/portal/integration", self._endpoint(self._integration), methods=["POST"]),
            Route("/portal/share", self._endpoint(self._share), methods=["POST"]),
        ]

    # the wire

    async def _login_endpoint(self, request: Request) -> Response:
        body = await _object_of(request)
        return await self.behaviour.play(
            "login",
            lambda: self._header_fault(request) or self._login(body),
            lambda: self.refuse("-1", "Hệ thống từ chối yêu cầu"),
        )

    def _endpoint(self, services: Mapping[str, Callable[[dict[str, Any]], Response]]) -> Callable[..., Any]:
        async def endpoint(request: Request) -> Response:
            body = await _object_of(request)
            service = body.get("service") if body is not None else None
            return await self.behaviour.play(
                service if isinstance(service, str) else "",
                lambda: self._header_fault(request) or self._serve(services, body),
                lambda: self.refuse("-1", "Hệ thống từ chối yêu cầu"),
            )

        return endpoint

    def _header_fault(self, request: Request) -> Response | None:
        headers = request.headers
        for name, wanted in HEADERS.items():
            if wanted not in headers.get(name, "").lower():
                return self.refuse("-1", f"Thiếu hoặc sai header {name}", status=400)
        return None if headers.get("dstcode") else self.refuse("-1", "Thiếu header dstcode", status=400)

    def _serve(
        self, services: Mapping[str, Callable[[dict[str, Any]], Response]], body: dict[str, Any] | None
    ) -> Response:
        if body is None:
            return self.refuse("-1", "Nội dung không phải là JSON")
        if not self._session_holds(body.get("session")):
            return self.refuse("-2", SESSION_OVER)
        if not isinstance(body.get("madonvi"), str) or not body["madonvi"]:
            return self.refuse("-1", "Thiếu madonvi")
        serve = services.get(str(body.get("service")))
        return self.refuse("-1", "Dịch vụ không tồn tại") if serve is None else serve(body)

    def _session_holds(self, token: object) -> bool:
        fault = self.behaviour.fault
        expiring = fault.mode == "expire_session"
        if not self.sessions.is_valid(token, fault.every_calls if expiring else None):
            return False
        if expiring and fault.rate < 1 and self.behaviour.draws():
            self.sessions.end(token)
            return False
        return True

    def _answer(self, result: Sequence[Any] = (), message: str = "Thành công") -> Response:
        return _json(
            {
                "error_code": SUCCESS[self.behaviour.switches.error_code],
                "message": message,
                "result": list(result),
            }
        )

    def refuse(self, error_code: str, message: str, result: Sequence[Any] = (), status: int = 200) -> Response:
        """An answer that says no, with the error_code in the style of the switch."""
        style = self.behaviour.switches.error_code
        return _json(
            {
                "error_code": int(error_code) if style == "integer" else error_code,
                "message": message,
                "result": list(result),
            },
            status,
        )

    # the services

    def _login(self, body: dict[str, Any] | None) -> Response:
        username, password = (body or {}).get("username"), (body or {}).get("password")
        is_known = isinstance(username, str) and hmac.compare_digest(username.encode(), self._username.encode())
        if not (
            is_known and isinstance(password, str) and hmac.compare_digest(password.encode(), self._password.encode())
        ):
            return self.refuse("-1", "Tên đăng nhập hoặc mật khẩu không đúng")
        return _json(
            {
                "error_code": SUCCESS[self.behaviour.switches.error_code],
                "session": self.sessions.start(),
                "message": "Thành công",
            }
        )

    def push_dossiers(self, body: dict[str, Any]) -> Response:
        """DongBoHoSoMC: `isUpdating` and `data`."""

        def store(good: Sequence[dict[str, Any]]) -> None:
            (portal_store.update if is_updating else portal_store.insert)(self.store, good)

        is_updating = body.get("isUpdating") == "True"
        return self._push(body, lambda records: self._judge_dossiers(records, is_updating), store)

    def push_progress(self, body: dict[str, Any]) -> Response:
        """CapNhatTienDoHoSoMC."""
        is_ignoring = self.behaviour.switches.progress == "ignore"
        return self._push(
            body,
            self._judge_progress,
            lambda good: portal_store.add_progress(self.store, good, ignore_equal=is_ignoring),
        )

    def _push(
        self,
        body: dict[str, Any],
        judge: Callable[[list[Any]], list[Refusal | None]],
        store: Callable[[Sequence[dict[str, Any]]], None],
    ) -> Response:
        records = body.get("data")
        if body.get("isUpdating") not in ("True", "False"):
            return self.refuse("-1", 'isUpdating phải là "True" hoặc "False"')
        if not isinstance(records, list) or not 0 < len(records) <= MAX_RECORDS:
            return self.refuse("-1", f"data phải là mảng từ 1 đến {MAX_RECORDS} phần tử")
        verdicts = judge(records)
        first = next((verdict for verdict in verdicts if verdict is not None), None)
        if first is None:
            store(records)
            return self._answer()
        if self.behaviour.switches.answers == "batch":
            return self.refuse(first.error_code, first.message)
        good = [record for record, verdict in zip(records, verdicts, strict=True) if verdict is None]
        if good:
            store(good)
        result = [
            {"MaHoSo": code_of(record), "error_code": "0", "message": "Thành công"}
            if verdict is None
            else {"MaHoSo": verdict.code, "error_code": verdict.error_code, "message": verdict.message}
            for record, verdict in zip(records, verdicts, strict=True)
        ]
        return self.refuse("-6", f"Đã tiếp nhận {len(good)}/{len(records)} bản ghi", result)

    def _judge_dossiers(self, records: list[Any], is_updating: bool) -> list[Refusal | None]:
        known = portal_store.known_codes(self.store, [code_of(record) for record in records])
        verdicts: list[Refusal | None] = []
        for record in records:
            code = code_of(record)
            fault = fault_of_record(record) or self._rejects(code)
            if fault is not None:
                verdicts.append(Refusal(code, "-5", f"Hồ sơ {code} không hợp lệ: {fault}"))
            elif is_updating and code not in known:
                verdicts.append(Refusal(code, "-4", f"Hồ sơ {code} không tồn tại"))
            elif not is_updating and code in known:
                verdicts.append(Refusal(code, "-3", f"Hồ sơ {code} đã tồn tại"))
            else:
                verdicts.append(None)
                known.add(code)
        return verdicts

    def _judge_progress(self, rows: list[Any]) -> list[Refusal | None]:
        known = portal_store.known_codes(self.store, list({code_of(row) for row in rows}))
        verdicts: list[Refusal | None] = []
        for row in rows:
            code = code_of(row)
            fault = fault_of_progress(row)
            if fault is not None:
                verdicts.append(Refusal(code, "-5", f"Tiến độ của hồ sơ {code} không hợp lệ: {fault}"))
            elif code not in known:
                verdicts.append(Refusal(code, "-4", f"Hồ sơ {code} không tồn tại"))
            else:
                verdicts.append(None)
        return verdicts

    def _rejects(self, code: str) -> str | None:
        fault = self.behaviour.fault
        if fault.mode != "reject_record":
            return None
        is_chosen = code in fault.codes if fault.codes else self.behaviour.hits(code, fault.rate, "reject_record")
        return "bị từ chối theo yêu cầu kiểm thử" if is_chosen else None

    def _look_up(self, body: dict[str, Any]) -> Response:
        code = body.get("mahoso")
        if not isinstance(code, str):
            return self.refuse("-1", "Thiếu mahoso")
        with_progress = self.behaviour.switches.progress != "neither"
        return self._answer(portal_store.look_up(self.store, code, with_progress=with_progress))

    def _read_catalogue(self, read: Callable[[Mapping[str, Any]], Sequence[Any]], body: dict[str, Any]) -> Response:
        return self._answer(read(body))


async def _object_of(request: Request) -> dict[str, Any] | None:
    """The body as a JSON object, None when it is not one."""
    try:
        value = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _json(value: Mapping[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
