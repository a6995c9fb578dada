"""The table of everything the hub lets in: what is not here does not exist (404), whatever the services offer.

A row says where a request goes, which scope opens it, how large its body may be, and how the exchange log learns
which dossiers it concerned. `/internal/*` can not be written here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote_to_bytes

from shared.errors import HubError, NotFound

Service = Literal["gateway", "dossier", "payment", "citizen-db-adapter", "sync-national", "console"]
Access = Literal["token", "partner", "own", "none"]
"""token: a bearer token with the scope · partner: a known address with the shared credential (`partner_door`) ·
own: the route authenticates by itself · none: public."""

Concern = Literal["nothing", "path", "query", "answer", "lines", "items", "events"]
"""Where the dossiers of an exchange are named: the path's {code}; `dossier_code` in the query; the answer's
Location, or `code` or `dossier_code` of the request or the answer; the answer's lines, whatever the purpose; the items
of a list, where a purpose is given; the events of the request."""

Kind = Literal["single", "batch", "long"]
KIBIBYTE = 1024
BODY_BYTES = 1024 * KIBIBYTE
BATCH_BYTES = 16 * 1024 * KIBIBYTE
EXPORT_BYTES = 256 * 1024 * KIBIBYTE
"""A portal's export of a million dossiers is about 100 MB; it passes without being held."""
EVENTS_BYTES = 4 * 1024 * KIBIBYTE
PREFIX = "{rest}"
"""As the last segment of a template: any path below it."""


@dataclass(frozen=True, slots=True)
class Route:
    """One public operation."""

    method: str
    template: str
    service: Service
    scope: str | None = None
    access: Access = "token"
    concern: Concern = "nothing"
    body_bytes: int = BODY_BYTES
    is_recorded: bool = True
    is_long: bool = False
    """Waits for news: a long poll, or a stream. It must not take the places of those who want an answer."""

    @property
    def is_for_known(self) -> bool:
        """Whether the gateway itself finds out who calls; a stranger's refusal is counted and not recorded."""
        return self.access in ("token", "partner")

    @property
    def kind(self) -> Kind:
        """Which places of its service it takes."""
        return "long" if self.is_long else "batch" if self.is_batch else "single"

    @property
    def is_batch(self) -> bool:
        """Many things in one request."""
        return self.body_bytes > BODY_BYTES


class MethodNotAllowed(HubError):
    """The path exists, the method does not."""

    status, code, title = 405, "method_not_allowed", "This method is not offered here"


class NotOfferedYet(HubError):
    """The contract names the operation, this version of the hub does not have it yet."""

    status, code, title = 501, "not_offered_yet", "Not in this version of the hub yet"


def _dossier() -> list[Route]:
    read, write, transition = "dossier:read", "dossier:write", "dossier:transition"
    return [
        Route("GET", "/v1/agencies", "dossier", "catalogue:read"),
        Route("GET", "/v1/agencies/{code}", "dossier", "catalogue:read"),
        Route("PUT", "/v1/agencies/{code}", "dossier", "catalogue:write"),
        Route("GET", "/v1/procedures", "dossier", "catalogue:read"),
        Route("GET", "/v1/procedures/{code}", "dossier", "catalogue:read"),
        Route("GET", "/v1/procedures/{code}/versions", "dossier", "catalogue:read"),
        Route("PUT", "/v1/procedures/{code}", "dossier", "catalogue:write"),
        Route("POST", "/v1/dossiers", "dossier", write, concern="answer"),
        Route("POST", "/v1/dossiers/batch", "dossier", write, concern="lines", body_bytes=BATCH_BYTES),
        Route("POST", "/v1/dossiers/combined", "dossier", write, concern="lines"),
        Route("GET", "/v1/dossiers", "dossier", read, concern="items"),
        Route("POST", "/v1/persons/documents", "dossier", read, concern="items"),
        Route("POST", "/v1/dossiers/search", "dossier", read, concern="items"),
        Route("GET", "/v1/dossiers/receptions", "dossier", read),
        Route("GET", "/v1/dossiers/counts", "dossier", read),
        Route("GET", "/v1/dossiers/stuck", "dossier", read, concern="items"),
        Route("GET", "/v1/dossiers/{code}", "dossier", read, concern="path"),
        Route("GET", "/v1/dossiers/{code}/history", "dossier", read, concern="path"),
        Route("POST", "/v1/dossiers/{code}/transitions", "dossier", transition, concern="path"),
        Route("POST", "/v1/dossiers/transitions/batch", "dossier", transition, concern="lines", body_bytes=BATCH_BYTES),
        Route("POST", "/v1/dossiers/{code}/corrections", "dossier", transition, concern="path"),
        Route("GET", "/v1/dossiers/{code}/corrections", "dossier", read, concern="path"),
        Route("POST", "/v1/dossiers/{code}/corrections/decision", "dossier", transition, concern="path"),
        Route("GET", "/v1/tracking/{code}", "dossier", read, concern="path"),
        Route("POST", "/dvcqg/dossiers", "dossier", access="partner", concern="answer"),
        Route("POST", "/v1/ratings", "dossier", write, concern="answer"),
        Route("GET", "/v1/feed", "dossier", read, is_long=True),
        Route("GET", "/v1/ratings", "dossier", read),
        Route("GET", "/v1/ratings/counts", "dossier", read),
        Route("POST", "/v1/petitions", "dossier", write, concern="answer"),
        Route("GET", "/v1/petitions", "dossier", read),
        Route("GET", "/v1/petitions/counts", "dossier", read),
        Route("GET", "/v1/events/unsettled", "dossier", read),
        Route("GET", "/v1/events/vocabularies", "dossier", "sync:read"),
        Route("PUT", "/v1/events/vocabularies", "dossier", "sync:operate"),
        Route("POST", "/v1/events/replays", "dossier", "sync:operate"),
        Route("GET", "/v1/events/replays/{replay_id}", "dossier", "sync:read"),
        Route("POST", "/v1/events/replays/{replay_id}/confirm", "dossier", "sync:operate"),
        Route("POST", "/v1/events/replays/{replay_id}/cancel", "dossier", "sync:operate"),
        Route("GET", "/v1/petitions/{petition_id}", "dossier", read, concern="answer"),
        Route("POST", "/v1/petitions/{petition_id}/steps", "dossier", transition, concern="answer"),
    ]


def _payment() -> list[Route]:
    return [
        Route("GET", "/v1/payments", "payment", "payment:read", concern="query"),
        Route("GET", "/v1/payments/{payment_id}", "payment", "payment:read", concern="answer"),
        Route("POST", "/v1/payments/counter", "payment", "payment:write", concern="answer"),
        Route("POST", "/v1/payments/{payment_id}/refunds", "payment", "payment:write", concern="answer"),
        Route("POST", "/callbacks/payment-platform", "payment", access="own", concern="answer"),
    ]


def _citizen() -> list[Route]:
    verify = "citizen:verify"
    return [
        Route("POST", "/v1/citizens/verify", "citizen-db-adapter", verify, concern="answer"),
        Route("POST", "/v1/citizens/lookup", "citizen-db-adapter", "citizen:lookup", concern="answer"),
        Route("GET", "/v1/citizens/verifications/{verification_id}", "citizen-db-adapter", verify, concern="answer"),
    ]


def _sync() -> list[Route]:
    return [
        Route("GET", "/v1/sync/status", "sync-national", "sync:read"),
        Route("GET", "/v1/sync/stream", "sync-national", "sync:read", is_long=True),
        Route("GET", "/v1/sync/dossiers", "sync-national", "sync:read"),
        Route("GET", "/v1/sync/dossiers/{code}", "sync-national", "sync:read", concern="path"),
        Route("POST", "/v1/sync/dossiers/{code}/retry", "sync-national", "sync:operate", concern="path"),
        Route("POST", "/v1/sync/retries", "sync-national", "sync:operate"),
        Route("GET", "/v1/sync/retries", "sync-national", "sync:read"),
        Route("GET", "/v1/sync/retries/{replay_id}", "sync-national", "sync:read"),
        Route("POST", "/v1/sync/retries/{replay_id}/confirm", "sync-national", "sync:operate"),
        Route("POST", "/v1/sync/retries/{replay_id}/cancel", "sync-national", "sync:operate"),
        Route("POST", "/v1/sync/reconciliations", "sync-national", "sync:operate", body_bytes=EXPORT_BYTES),
        Route("GET", "/v1/sync/reconciliations", "sync-national", "sync:read"),
        Route("GET", "/v1/sync/reconciliations/{reconciliation_id}", "sync-national", "sync:read"),
        Route("POST", "/v1/sync/reconciliations/{reconciliation_id}/repair", "sync-national", "sync:operate"),
        Route("GET", "/v1/sync/incidents", "sync-national", "sync:read"),
        Route("GET", "/v1/sync/incidents/{incident_id}", "sync-national", "sync:read"),
        Route("POST", "/v1/sync/incidents/{incident_id}/resolve", "sync-national", "sync:operate"),
        Route("GET", "/v1/sync/layouts", "sync-national", "sync:read"),
        Route("GET", "/v1/sync/layouts/{name}", "sync-national", "sync:read"),
        Route("PUT", "/v1/sync/layouts/{name}", "sync-national", "sync:operate"),
        Route("POST", "/v1/sync/hold", "sync-national", "sync:operate"),
        Route("POST", "/v1/sync/release", "sync-national", "sync:operate"),
        Route("POST", "/v1/sync/maintenance", "sync-national", "sync:operate"),
        Route("GET", "/v1/sync/maintenance", "sync-national", "sync:read"),
        Route("GET", "/v1/sync/maintenance/{maintenance_id}", "sync-national", "sync:read"),
        Route("POST", "/v1/sync/maintenance/{maintenance_id}/cancel", "sync-national", "sync:operate"),
    ]


def _console() -> list[Route]:
    pages = [
        Route(method, template, "console", access="own")
        for method in ("GET", "POST")
        for template in ("/console", f"/console/{PREFIX}")
    ]
    # A form brings a portal's export with a few fields around it.
    form_bytes = EXPORT_BYTES + 64 * KIBIBYTE
    return [
        Route("POST", "/console/reconciliations/file", "console", access="own", body_bytes=form_bytes),
        Route("GET", "/v1/reports/agencies", "console", "report:read"),
        Route("GET", "/v1/reports/fees", "console", "report:read"),
        Route("GET", f"/console/static/{PREFIX}", "console", access="none", is_recorded=False),
        *pages,
    ]


def _gateway() -> list[Route]:
    admin = "client:admin"
    documents = (
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/asyncapi.json",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/.well-known/jwks.json",
    )
    return [
        *(Route("GET", path, "gateway", access="none", is_recorded=False) for path in documents),
        Route("POST", "/oauth/token", "gateway", access="own"),
        Route("POST", "/oauth/introspect", "gateway", access="own"),
        Route("POST", "/oauth/revoke", "gateway", access="own"),
        Route("GET", "/oauth/revocations", "gateway", access="own", is_recorded=False),
        Route("GET", "/oauth/authorize", "gateway", access="own", is_recorded=False),
        Route("POST", "/oauth/authorize", "gateway", access="own"),
        Route("POST", "/v1/clients", "gateway", admin),
        Route("GET", "/v1/clients", "gateway", admin),
        Route("GET", "/v1/clients/{client_id}", "gateway", admin),
        Route("PATCH", "/v1/clients/{client_id}", "gateway", admin),
        Route("POST", "/v1/clients/{client_id}/secrets", "gateway", admin),
        Route("POST", "/v1/clients/{client_id}/approve", "gateway", admin),
        Route("GET", "/v1/events", "gateway", "dossier:read", concern="query"),
        Route("POST", "/v1/events", "gateway", "event:push", concern="events", body_bytes=EVENTS_BYTES),
        Route("GET", "/v1/exchanges", "gateway", "audit:read", concern="query"),
    ]


ROUTES: tuple[Route, ...] = (
    *_dossier(),
    *_payment(),
    *_citizen(),
    *_sync(),
    *_console(),
    *_gateway(),
)

LATER: tuple[tuple[str, str], ...] = (
    ("POST", "/v1/settlements"),
    ("GET", "/v1/settlements/{id}"),
    ("GET", "/v1/reports/indicators"),
    ("GET", "/v1/reports/form-ii06a"),
    ("POST", "/dvcqg/payments-due"),
)
"""Operations of the contract that are not built yet: 501 tells an integrator that the path is right."""


@dataclass(frozen=True, slots=True)
class Match:
    """A route and what its template's parameters are in this path (decoded)."""

    route: Route
    parameters: dict[str, str]


@dataclass(slots=True)
class _Node:
    """One segment of the tree; literal children go before the parameter, the parameter before the rest."""

    literals: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    routes: dict[str, Route] = field(default_factory=dict)
    rest: dict[str, Route] = field(default_factory=dict)


class Table:
    """Finds the route of a request. Two routes for one method and path shape are a mistake (ValueError)."""

    def __init__(self, routes: Sequence[Route] = ROUTES) -> None:
        self._root = _Node()
        self._fixed: dict[tuple[str, str], Match] = {}
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        if route.template.startswith("/internal"):
            raise ValueError(f"{route.template}: /internal is never routed")
        if (route.access == "token") != (route.scope is not None):
            raise ValueError(f"{route.method} {route.template}: a token route needs its scope")
        node = self._root
        *segments, last = route.template.split("/")[1:]
        for segment in segments if last == PREFIX else (*segments, last):
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        methods = node.rest if last == PREFIX else node.routes
        if route.method in methods:
            raise ValueError(f"{route.method} {route.template} is there twice")
        methods[route.method] = route
        if "{" not in route.template:
            self._fixed[route.method, route.template] = Match(route, {})

    def find(self, method: str, raw_path: str) -> Match:
        """The route of this request. Raises `NotFound`, `NotOfferedYet`, or `MethodNotAllowed` with `Allow`."""
        fixed = self._fixed.get((method, raw_path))
        if fixed is not None:
            return fixed
        segments = _segments(raw_path)
        offered: set[str] = set()
        for methods in _candidates(self._root, segments, 0):
            route = methods.get(method)
            if route is not None:
                names = [part[1:-1] if part.startswith("{") else "" for part in route.template.split("/")[1:]]
                return Match(
                    route,
                    {
                        name: segment
                        for name, segment in zip(names, segments, strict=False)
                        if name and name != PREFIX[1:-1]
                    },
                )
            offered |= methods.keys()
        if any(method == of and _fits(template, segments) for of, template in LATER):
            raise NotOfferedYet
        if offered:
            raise MethodNotAllowed(headers={"Allow": ", ".join(sorted(offered))})
        raise NotFound("There is no such path")


def _candidates(node: _Node, segments: list[str], index: int) -> list[dict[str, Route]]:
    """Every template that fits, the most literal first."""
    if index == len(segments):
        return [node.routes] if node.routes else []
    found: list[dict[str, Route]] = []
    literal = node.literals.get(segments[index])
    if literal is not None:
        found += _candidates(literal, segments, index + 1)
    if node.parameter is not None and segments[index]:
        found += _candidates(node.parameter, segments, index + 1)
    if node.rest:
        found.append(node.rest)
    return found


def _fits(template: str, segments: list[str]) -> bool:
    parts = template.split("/")[1:]
    return len(parts) == len(segments) and all(
        bool(segment) if part.startswith("{") else part == segment
        for part, segment in zip(parts, segments, strict=True)
    )


def _segments(raw_path: str) -> list[str]:
    """Decoded segments; what decodes to a slash, a dot segment or a control character is nobody's path."""
    if not raw_path.startswith("/"):
        raise NotFound("There is no such path")
    segments = raw_path[1:].split("/")
    if "%" in raw_path:
        try:
            segments = [unquote_to_bytes(segment).decode() for segment in segments]
        except UnicodeDecodeError:
            raise NotFound("There is no such path") from None
    for segment in segments:
        if segment in (".", "..") or "/" in segment or "\\" in segment or not segment.isprintable():
            raise NotFound("There is no such path")
    return segments
