"""OAuth 2 and OpenID Connect over HTTP: token, introspection, revocation, sign-in, metadata, keys."""

import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from jinja2 import Environment, FileSystemLoader
from sqlalchemy.util import greenlet_spawn

from gateway import oauth, token
from gateway.call import CALL, Call
from gateway.client_auth import ASSERTION_ALGORITHMS, CLIENT_METHODS
from gateway.issuing import Server
from gateway.keys import Keys
from gateway.oauth import FormRequest, Reply
from gateway.signing_in import SignIn, StaleForm, WrongPassword
from shared import strict_json, web
from shared.auth import TokenVerifier
from shared.db import Database, Transaction
from shared.errors import HubError, TooManyRequests, Unauthenticated
from shared.service import Runtime

_MOST_FIELDS = 50
_COOKIE = "lgsp_sign_in"
_FORM_TYPE = "application/x-www-form-urlencoded"
_pages = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)


class Desk:
    """What these routes need, wired by `main` into `app.state.desk`."""

    def __init__(
        self,
        database: Database,
        keys: Keys,
        verifier: TokenVerifier,
        services: dict[str, dict[str, Any]],
        sign_in: SignIn,
    ) -> None:
        self.database = database
        self.keys = keys
        self.sign_in = sign_in
        self._verifier = verifier
        self._services = services

    def server(self, tx: Transaction) -> Server:
        """The authorization server in this transaction."""
        return Server(tx, self.keys, self._verifier, self._services)


router = APIRouter(tags=["oauth"])


def _form_of(required: str, *others: str) -> dict[str, Any]:
    """`openapi_extra` of a form with these fields; all of them are text."""
    names = (required, *others, "client_id", "client_secret", "client_assertion_type", "client_assertion")
    members = {name: {"type": "string"} for name in names}
    schema = {"type": "object", "required": [required], "properties": members}
    return {"requestBody": {"required": True, "content": {_FORM_TYPE: {"schema": schema}}}}


_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "RFC 6749 error", "content": {"application/json": {}}},
    401: {"description": "invalid_client", "content": {"application/json": {}}},
}


@router.post(
    "/oauth/token",
    openapi_extra=_form_of("grant_type", "scope", "code", "redirect_uri", "code_verifier"),
    responses=_ERRORS,
)
async def issue(request: Request) -> Response:
    """An access token (RFC 6749 §3.2): client_credentials, or authorization_code with PKCE."""
    return await _served(request, lambda server, form: server.create_token_response(form))


@router.post("/oauth/introspect", openapi_extra=_form_of("token", "token_type_hint"), responses=_ERRORS)
async def introspect(request: Request) -> Response:
    """Whether a token holds (RFC 7662)."""
    return await _served(request, lambda server, form: server.create_endpoint_response("introspection", form))


@router.post("/oauth/revoke", openapi_extra=_form_of("token", "token_type_hint"), responses=_ERRORS)
async def revoke(request: Request) -> Response:
    """End a token (RFC 7009); known everywhere within seconds."""
    return await _served(request, lambda server, form: server.create_endpoint_response("revocation", form))


@router.get("/oauth/revocations", responses=web.errors(Unauthenticated), dependencies=[web.requires_internal()])
async def revocations(request: Request) -> Response:
    """What is revoked now, for the services' own copies."""
    runtime: Runtime = request.app.state.runtime
    told = {"tokens": sorted(runtime.revocations.tokens), "clients": runtime.revocations.clients}
    return Response(strict_json.dumps(told), media_type="application/json", headers={"Cache-Control": "no-store"})


async def _served(request: Request, act: Any) -> Response:
    call: Call = request.scope[CALL]
    desk: Desk = request.app.state.desk
    try:
        parameters = oauth.checked(await _form(request))
        oauth.one_authentication(parameters, call.incoming)
    except OAuth2Error as error:
        return _response(oauth.refusal(error))
    form = FormRequest(request.method, parameters, _headers(request))
    async with desk.database.transaction() as tx:
        reply = await greenlet_spawn(act, desk.server(tx), form)
    if form.client is not None and reply.status < 400:
        call.client_id = form.client.client_id
    return _response(reply)


async def _form(request: Request) -> list[tuple[str, str]]:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != _FORM_TYPE:
        raise InvalidRequestError("The body is application/x-www-form-urlencoded")
    return _pairs((await request.body()).decode("utf-8", "replace"))


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise InvalidRequestError("Too many parameters") from None


def _headers(request: Request) -> dict[str, str]:
    value = request.headers.get("authorization")
    return {"Authorization": value} if value else {}


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, dict(reply.headers))


@router.get("/oauth/authorize", include_in_schema=False)
async def sign_in_page(request: Request) -> Response:
    """The form, or what is wrong with the application that sent the browser here."""
    desk: Desk = request.app.state.desk
    async with desk.database.transaction() as tx:
        reply, form = await _authorization(request, desk.server(tx))
    if reply is not None:
        return _refused(reply)
    return _form_page(request, desk, form, status=200)


@router.post("/oauth/authorize", include_in_schema=False)
async def sign_in(request: Request) -> Response:
    """Check name and password; back to the application with a code."""
    desk: Desk = request.app.state.desk
    posted = dict(_pairs((await request.body()).decode("utf-8", "replace")))
    async with desk.database.transaction() as tx:
        server = desk.server(tx)
        reply, form = await _authorization(request, server)
        if reply is not None:
            return _refused(reply)
        try:
            desk.sign_in.forms.check(posted.get("form", ""), request.cookies.get(_COOKIE, ""), request.url.query)
            address = request.client.host if request.client else ""
            operator = await desk.sign_in.operator(
                tx, posted.get("username", "")[:100], posted.get("password", "")[:500], address
            )
        except (WrongPassword, StaleForm, TooManyRequests) as refusal:
            return _form_page(request, desk, form, status=refusal.status, refusal=refusal)
        call: Call = request.scope[CALL]
        call.client_id, call.subject, call.role = form.client.client_id, operator.subject, "operator"
        grant = await greenlet_spawn(server.get_authorization_grant, form)
        granted: Reply = await greenlet_spawn(server.create_authorization_response, form, operator, grant)
    return _back(desk, granted)


async def _authorization(request: Request, server: Server) -> tuple[Reply | None, FormRequest]:
    """The validated request; or the answer that refuses it."""
    try:
        form = FormRequest("GET", oauth.checked(_pairs(request.url.query)), {})
    except OAuth2Error as error:
        return oauth.refusal(error), FormRequest("GET", {}, {})
    try:
        await greenlet_spawn(server.get_consent_grant, form)
    except OAuth2Error as error:
        return server.handle_error_response(form, error), form
    return None, form


def _refused(reply: Reply) -> Response:
    """To the application if its address is known to be right; else a page for the person."""
    if reply.location:
        return Response(status_code=303, headers=dict(reply.headers))
    return _page(400, message="Yêu cầu đăng nhập không hợp lệ.")


def _back(desk: Desk, reply: Reply) -> Response:
    """RFC 9207: the answer names its issuer."""
    joint = "&" if urlsplit(reply.location).query else "?"
    location = f"{reply.location}{joint}{urlencode({'iss': desk.keys.issuer})}"
    response = Response(status_code=303, headers={**reply.headers, "Location": location})
    response.delete_cookie(_COOKIE, path="/oauth")
    return response


def _form_page(
    request: Request, desk: Desk, form: FormRequest, *, status: int, refusal: HubError | None = None
) -> Response:
    cookie = request.cookies.get(_COOKIE) or secrets.token_urlsafe(24)
    message = ""
    if isinstance(refusal, TooManyRequests):
        message = "Bạn đã thử quá nhiều lần. Vui lòng đợi vài phút rồi thử lại."
    elif refusal is not None:
        message = refusal.message + "."
    target = urlsplit(form.payload.redirect_uri)
    response = _page(
        status,
        message=message,
        form=desk.sign_in.forms.token(cookie, request.url.query),
        action=f"/oauth/authorize?{request.url.query}",
        # Chromium applies form-action to the redirect that follows the post, too.
        form_action=f"'self' {target.scheme}://{target.netloc}",
    )
    if refusal is not None and refusal.retry_after_seconds:
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    secure = desk.keys.issuer.startswith("https://")
    response.set_cookie(_COOKIE, cookie, max_age=3600, path="/oauth", httponly=True, samesite="lax", secure=secure)
    return response


def _page(status: int, *, message: str, form_action: str = "'none'", **values: str) -> Response:
    nonce = secrets.token_urlsafe(16)
    body = _pages.get_template("sign_in.html").render(message=message, nonce=nonce, **values)
    headers = {
        "Content-Security-Policy": f"default-src 'none'; style-src 'nonce-{nonce}'; form-action {form_action}; "
        "frame-ancestors 'none'; base-uri 'none'",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    return Response(body, status, headers, "text/html; charset=utf-8")


@router.get("/.well-known/jwks.json", include_in_schema=True)
async def jwks(request: Request) -> JSONResponse:
    """The public keys of access tokens; several while they are rotated."""
    desk: Desk = request.app.state.desk
    return JSONResponse(desk.keys.public(), headers={"Cache-Control": "public, max-age=60"})


@router.get("/.well-known/oauth-authorization-server")
async def metadata(request: Request) -> dict[str, Any]:
    """RFC 8414."""
    desk: Desk = request.app.state.desk
    return _metadata(desk.keys.issuer)


@router.get("/.well-known/openid-configuration")
async def discovery(request: Request) -> dict[str, Any]:
    """OpenID Connect Discovery 1.0."""
    desk: Desk = request.app.state.desk
    return _metadata(desk.keys.issuer) | {
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "EdDSA"],
        "claims_supported": ["sub", "name", "preferred_username", "nonce"],
    }


def _metadata(issuer: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "scopes_supported": [*token.SCOPES, token.IDENTITY_SCOPE],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["client_credentials", "authorization_code"],
        "token_endpoint_auth_methods_supported": [*CLIENT_METHODS, "none"],
        "token_endpoint_auth_signing_alg_values_supported": ASSERTION_ALGORITHMS,
        "introspection_endpoint_auth_methods_supported": CLIENT_METHODS,
        "revocation_endpoint_auth_methods_supported": [*CLIENT_METHODS, "none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "service_documentation": f"{issuer}/docs",
        "ui_locales_supported": ["vi"],
    }
