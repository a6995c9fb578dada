"""Two provinces' own middlewares in front of the same portal (wire §1.3): no session, bare arrays.

style       places below /portal                                                     answers
Hà Giang    /api/SynsTTHCC/DongBoHoSoMC?MaDinhDanhDV=&isUpdating=True|False          {error_code, message}
            /api/SynsTTHCC/CapNhatTienDoHoSoMC?MaDinhDanhDV= (path inferred)         {error_code, message}
Thanh Hoá   /dong-bo/them-moi, /dong-bo/cap-nhat: one dossier a call                 {error_code, message}, both texts
            /dong-bo/tien-trinh: at most 10 rows                                     plain text, "thành công" when well

What they hold, refuse and play of faults is the portal's. Neither is known to have a read service.
"""

from collections.abc import Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.portal import Portal

MOST_ROWS = 10
Executing = Callable[[dict[str, Any]], Response]


def routes(portal: Portal) -> list[Route]:
    """The five places."""
    return [
        Route("/portal/api/SynsTTHCC/DongBoHoSoMC", _ha_giang(portal, portal.push_dossiers), methods=["POST"]),
        Route("/portal/api/SynsTTHCC/CapNhatTienDoHoSoMC", _ha_giang(portal, portal.push_progress), methods=["POST"]),
        Route("/portal/dong-bo/them-moi", _thanh_hoa(portal, "False"), methods=["POST"]),
        Route("/portal/dong-bo/cap-nhat", _thanh_hoa(portal, "True"), methods=["POST"]),
        Route("/portal/dong-bo/tien-trinh", _thanh_hoa_progress(portal), methods=["POST"]),
    ]


def _ha_giang(portal: Portal, execute: Executing) -> Callable[..., Any]:
    async def endpoint(request: Request) -> Response:
        records = await _array_of(request)
        updating = request.query_params.get("isUpdating", "True")
        agency = request.query_params.get("MaDinhDanhDV")

        def executed() -> Response:
            if not agency:
                return portal.refuse("-1", "Thiếu MaDinhDanhDV")
            return _without_result(execute({"isUpdating": updating, "data": records}))

        return await portal.behaviour.play(request.url.path, executed, lambda: portal.refuse("-1", "Bị từ chối"))

    return endpoint


def _thanh_hoa(portal: Portal, updating: str) -> Callable[..., Any]:
    async def endpoint(request: Request) -> Response:
        records = await _array_of(request)

        def executed() -> Response:
            if not isinstance(records, list) or len(records) != 1:
                return _in_text(portal.refuse("-1", "Mỗi lần gọi gửi một hồ sơ"))
            return _in_text(portal.push_dossiers({"isUpdating": updating, "data": records}))

        return await portal.behaviour.play(
            request.url.path, executed, lambda: _in_text(portal.refuse("0", "Đồng bộ không thành công"))
        )

    return endpoint


def _thanh_hoa_progress(portal: Portal) -> Callable[..., Any]:
    async def endpoint(request: Request) -> Response:
        rows = await _array_of(request)

        def executed() -> Response:
            if not isinstance(rows, list) or not 0 < len(rows) <= MOST_ROWS:
                return PlainTextResponse(f"Mỗi lần gọi gửi tối đa {MOST_ROWS} dòng")
            answer = orjson.loads(portal.push_progress({"isUpdating": "True", "data": rows}).body)
            is_well = str(answer["error_code"]) in ("0", "00")
            done = "Cập nhật tiến trình thành công"
            return PlainTextResponse(done if is_well else f"Cập nhật tiến trình không thành công: {answer['message']}")

        refused = "Cập nhật tiến trình không thành công"
        return await portal.behaviour.play(request.url.path, executed, lambda: PlainTextResponse(refused))

    return endpoint


async def _array_of(request: Request) -> Any:
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return None


def _without_result(answer: Response) -> Response:
    told = orjson.loads(answer.body)
    return Response(
        orjson.dumps({name: told[name] for name in ("error_code", "message")}), media_type="application/json"
    )


def _in_text(answer: Response) -> Response:
    told = orjson.loads(answer.body)
    shown = {"error_code": str(told["error_code"]), "message": str(told["message"])}
    return Response(orjson.dumps(shown), media_type="application/json")
