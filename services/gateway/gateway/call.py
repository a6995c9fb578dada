"""One exchange under way: who, what, which dossiers, and the record that comes of it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs

from gateway import header
from gateway.connection import Answer
from gateway.exchange import DOSSIER_CODE, Exchange, code_at_end, code_named, codes_in
from gateway.header import Incoming
from gateway.route import BODY_BYTES, Match
from shared import clock
from shared.agency_codes import canonical_dossier
from shared.auth import Caller

CALL = "hub_call"
"""Key of the `Call` in the ASGI scope of the gateway's own routes."""


@dataclass(slots=True)
class Call:
    """One exchange under way. The gateway's own routes fill in who it was, when they find it out themselves."""

    match: Match
    incoming: Incoming
    exchange_id: str
    received_at: datetime
    path: str
    query: bytes
    client_id: str | None = None
    subject: str | None = None
    role: str | None = None
    request_sha256: bytes | None = None
    dossier_codes: tuple[str, ...] = ()

    def made_by(self, caller: Caller) -> None:
        """Note who calls."""
        self.client_id, self.subject, self.role = caller.client_id, caller.subject, caller.role

    @property
    def who(self) -> str:
        """Whose share of the places it takes: its client's; what comes without a token shares its route's."""
        return self.client_id or self.match.route.template

    @property
    def is_streamed(self) -> bool:
        """A batch beyond the ordinary size passes without being held."""
        route, length = self.match.route, self.incoming.content_length
        is_large = route.body_bytes > BODY_BYTES and (length is None or length > BODY_BYTES)
        return is_large and route.service != "gateway"

    @property
    def held_bytes(self) -> int:
        """The most that the body of this request will take while it is held."""
        if self.is_streamed:
            return 0
        return self.match.route.body_bytes if self.incoming.is_chunked else self.incoming.content_length or 0


def evidence(call: Call, answer: Answer) -> Exchange:
    """The record of a call and its answer."""
    route = call.match.route
    return Exchange(
        id=call.exchange_id,
        kind="exchange",
        client_id=call.client_id,
        subject=call.subject,
        role=call.role,
        method=route.method,
        route=route.template,
        path=call.path,
        status=answer.status,
        upstream_status=None,
        purpose=call.incoming.purpose or header.purpose_text(_reason_told(answer)),
        received_at=call.received_at,
        answered_at=clock.now(),
        request_sha256=call.request_sha256,
        response_sha256=hashlib.sha256(answer.body).digest() if answer.body else None,
        dossier_codes=call.dossier_codes,
    )


def _reason_told(answer: Answer) -> str | None:
    """Why an operator did something, as the request's body said: the service repeats it in its answer's head."""
    return next((value.decode("latin-1") for name, value in answer.headers if name.lower() == b"hub-purpose"), None)


def concerned(call: Call, answer: Answer, request_body: bytes) -> tuple[str, ...]:
    """The dossiers an exchange was about, as its route's `concern` says."""
    found: tuple[str, ...] = ()
    match call.match.route.concern:
        case "path":
            found = (call.match.parameters["code"],)
        case "query":
            # Of several the service reads the last.
            asked = parse_qs(call.query.decode("ascii", "replace"), keep_blank_values=True)
            found = tuple(asked.get("dossier_code", [])[-1:])
        case "items":
            # Without a purpose no personal data leaves in a list.
            found = codes_in(answer.body) if call.incoming.purpose else ()
        case "answer":
            found = _named(answer) or (*code_named(request_body), *code_named(answer.body))
        case "lines":
            found = codes_in(answer.body)
    present = dict.fromkeys(map(canonical_dossier, found))  # services take a code in either form
    return tuple(code for code in present if DOSSIER_CODE.fullmatch(code))


def _named(answer: Answer) -> tuple[str, ...]:
    """A new dossier's `Location`; or the header of a service that answers in an outside system's own words."""
    for name, value in answer.headers:
        if name.lower() == b"location":
            return code_at_end(value.decode("latin-1"))
        if name.lower() == b"hub-dossier-code":
            return tuple(code for part in value.decode("latin-1").split(",") for code in code_at_end(part.strip()))
    return ()
