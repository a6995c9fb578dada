"""Signing in and out, and the files pages need."""

from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import RedirectResponse

from console import page_route, rendering
from console.signing_in import ATTEMPT_COOKIE, ATTEMPT_SECONDS, HOME, SESSION_COOKIE, SignInFailed, SigningIn
from shared.errors import Forbidden

router = page_route.router(HOME)

Short = Annotated[str, Query(max_length=2000)]


@router.get("/sign-in")
async def sign_in(request: Request, to: Short = HOME) -> Response:
    """Begin: off to the gateway's form."""
    url, cookie = _signing_in(request).begin(to)
    answer = RedirectResponse(url, 303, rendering.HEADERS)
    _set(request, answer, ATTEMPT_COOKIE, cookie, ATTEMPT_SECONDS)
    return answer


@router.get("/callback")
async def callback(request: Request, state: Short = "", code: Short = "", error: Short = "") -> Response:
    """Back from the form, with a code or a refusal."""
    if error or not code:
        raise SignInFailed
    session = await _signing_in(request).finish(request.cookies.get(ATTEMPT_COOKIE), state, code)
    answer = RedirectResponse(session.return_to, 303, rendering.HEADERS)
    answer.delete_cookie(ATTEMPT_COOKIE, path=HOME)
    _set(request, answer, SESSION_COOKIE, session.cookie, session.life_seconds)
    return answer


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Forget the session in this browser; its token ends by itself within the hour."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Forbidden
    answer = rendering.page(request, "signed_out.html")
    answer.delete_cookie(SESSION_COOKIE, path=HOME)
    return answer


def _signing_in(request: Request) -> SigningIn:
    signing_in: SigningIn = request.app.state.signing_in
    return signing_in


def _set(request: Request, answer: Response, name: str, text: str, life_seconds: int) -> None:
    # Lax, not Strict: the way back from the form is a navigation that another page began.
    answer.set_cookie(
        name,
        text,
        max_age=life_seconds,
        path=HOME,
        httponly=True,
        samesite="lax",
        secure=request.app.state.is_secure,
    )
