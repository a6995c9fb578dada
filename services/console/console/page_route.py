"""What a page has that an API route has not: a signed-in operator, and errors for people instead of for programs."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from console import rendering, words_of_work
from console.hub import Refused
from console.signing_in import SESSION_COOKIE, SigningIn
from shared import problems
from shared.auth import Caller, TokenVerifier
from shared.errors import HubError, Unauthenticated
from shared.telemetry import log

_SAYINGS = {
    403: ("Không được phép", "Tài khoản của bạn không có quyền xem nội dung này."),
    404: ("Không tìm thấy", "Không có hồ sơ hoặc trang này, hoặc nó thuộc đơn vị khác."),
    409: ("Không thực hiện được", ""),
    422: ("Yêu cầu không hợp lệ", "Hãy kiểm tra lại địa chỉ trang và những gì đã nhập."),
    503: ("Tạm thời không đọc được", "Một dịch vụ của trục chưa trả lời. Trang sẽ đọc được khi dịch vụ hoạt động lại."),
}
_NOT_OURS = "Biểu mẫu đã cũ hoặc không phải của trang này; chưa có gì được thực hiện. Hãy mở lại trang rồi gửi lại."
_UNSURE_OF_FILE = (
    "Chưa rõ tệp đã được nhận hay chưa. Hãy xem danh sách đối soát: nếu lần đối soát này chưa có thì gửi lại tệp."
)
_UNSURE = (
    "Một dịch vụ của trục chưa trả lời, nên chưa biết việc này đã được thực hiện hay chưa. "
    "Gửi lại là an toàn: nếu đã được thực hiện thì không bị làm lần thứ hai."
)
_OTHER = ("Có lỗi xảy ra", "Trang không thể hiển thị lúc này.")


@dataclass(frozen=True, slots=True)
class Operator:
    """Who is looking: the verified token, and what the gateway calls them."""

    caller: Caller
    token: str
    name: str


async def signed_in(request: Request) -> Operator:
    """The operator of this session. Raises `Unauthenticated`, which leads to the sign-in."""
    signing_in: SigningIn = request.app.state.signing_in
    verifier: TokenVerifier = request.app.state.verifier
    session = signing_in.signed_in(request.cookies.get(SESSION_COOKIE))
    if session is None:
        raise Unauthenticated
    token, name = session
    operator = Operator(await verifier.verify(token), token, name)
    request.state.operator = operator
    return operator


SignedIn = Annotated[Operator, Depends(signed_in)]
Cursor = Annotated[str | None, Query(max_length=500)]
"""Where a list goes on, as the page before has it (`hub.rest_of`)."""


class PageRoute(APIRoute):
    """Shows an error as a page; whoever is not signed in is sent to sign in and comes back."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                return await inner(request)
            except Unauthenticated:
                return _to_sign_in(request)
            except RequestValidationError as failure:
                return _apology(request, problems.invalid(failure))
            except HubError as error:
                if error.status >= 500:
                    log.warning("page_failed", code=error.code, internal=error.internal)
                return _apology(request, error)

        return shown


def router(prefix: str) -> APIRouter:
    """A router of pages."""
    return APIRouter(prefix=prefix, tags=["pages"], route_class=PageRoute, include_in_schema=False)


def _to_sign_in(request: Request) -> Response:
    if request.headers.get("hx-request") == "true":
        # htmx would follow a redirect inside the page; this makes it leave the page instead.
        back = request.headers.get("hx-current-url", "")
        here = f"/console{back.partition('/console')[2]}" if "/console" in back else "/console"
        return Response(status_code=401, headers={"HX-Redirect": _sign_in_path(here), **rendering.HEADERS})
    asked = f"?{request.url.query}" if request.url.query else ""
    # What a form asked for is not done: the page it stands on says so once they are back.
    here = request.url.path + (asked if request.method == "GET" else "?expired=1")
    return RedirectResponse(_sign_in_path(here), 303, rendering.HEADERS)


def _sign_in_path(here: str) -> str:
    return f"/console/sign-in?to={quote(here, safe='')}"


def _apology(request: Request, error: HubError) -> Response:
    title, text = _SAYINGS.get(error.status, _OTHER)
    if isinstance(error, Refused):
        text = words_of_work.refusal(error.reason, error.pointers)
    elif error.code == "form_not_ours":
        text = _NOT_OURS
    again = getattr(request.state, "form", None) if error.status >= 500 else None
    if again is not None:
        text = _UNSURE if again else _UNSURE_OF_FILE
    live = request.headers.get("hx-request") == "true"
    # htmx shows a part only of a good answer; the page it belongs to goes on asking.
    template, status = ("apology_live.html", 200) if live else ("apology.html", error.status)
    return rendering.page(request, template, status, title=title, text=text, code=error.code, again=again)
