"""Who may do what, operation by operation, written from the contract (api.md) and not from the route table.

A public operation that is missing here fails the build: whoever adds one says here what opens it, and whose
the object in its path is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.e2e.journey import ACTOR

Object = Literal["none", "dossier", "payment", "verification", "petition", "work", "shared", "client"]
"""Whose the object in the path is: an agency's (`dossier`, `payment`, `verification`, `petition`); `work`: what
operators do to the dossiers of several agencies (its own tests see to it: `service/sync_national`); `shared`: reference
data or the tracking page, which the contract opens to all agencies; `client`: administered, belongs to no agency."""

_NO_BODY: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Rule:
    """What opens an operation. `body` is right in form: what is refused is then the object, not the body."""

    scope: str | None
    object: Object = "none"
    body: Mapping[str, Any] | None = None
    probe: Mapping[str, Any] | None = None
    """A body that the scope's holder may send without an effect; `{}` when not given."""


OPEN = Rule(None)
"""Public, or authenticated in a way of its own (client authentication, the platform's checksum, the portal's address
and credential, a service's token)."""

_ACTION = {"action": "receive", "actor": ACTOR}
# Right in form: where the dossier is seen, the first is refused for its version, the second for its correction.
_CORRECTION = {"reason": "Ghi nhầm", "actor": ACTOR, "times": [{"version": 99, "at": "2023-03-01T08:00:00+07:00"}]}
_DECISION = {"correction_id": "none", "decision": "reject", "actor": ACTOR}

RULES: Mapping[str, Rule] = {
    "GET /.well-known/jwks.json": OPEN,
    "GET /.well-known/oauth-authorization-server": OPEN,
    "GET /.well-known/openid-configuration": OPEN,
    "POST /callbacks/payment-platform": OPEN,
    "POST /dvcqg/dossiers": OPEN,
    "POST /oauth/introspect": OPEN,
    "GET /oauth/revocations": OPEN,
    "POST /oauth/revoke": OPEN,
    "POST /oauth/token": OPEN,
    "GET /v1/agencies": Rule("catalogue:read"),
    "GET /v1/agencies/{code}": Rule("catalogue:read", "shared"),
    "PUT /v1/agencies/{code}": Rule("catalogue:write", "shared"),
    "GET /v1/procedures": Rule("catalogue:read"),
    "GET /v1/procedures/{code}": Rule("catalogue:read", "shared"),
    "GET /v1/procedures/{code}/versions": Rule("catalogue:read", "shared"),
    "PUT /v1/procedures/{code}": Rule("catalogue:write", "shared"),
    "POST /v1/dossiers": Rule("dossier:write"),
    "POST /v1/dossiers/batch": Rule("dossier:write"),
    "POST /v1/dossiers/combined": Rule("dossier:write"),
    "GET /v1/dossiers": Rule("dossier:read"),
    "POST /v1/dossiers/search": Rule("dossier:read"),
    "POST /v1/persons/documents": Rule("dossier:read"),
    "GET /v1/dossiers/stuck": Rule("dossier:read"),
    "GET /v1/dossiers/receptions": Rule("dossier:read"),
    "GET /v1/dossiers/counts": Rule("dossier:read"),
    "GET /v1/dossiers/{code}": Rule("dossier:read", "dossier"),
    "GET /v1/dossiers/{code}/history": Rule("dossier:read", "dossier"),
    "POST /v1/dossiers/{code}/transitions": Rule("dossier:transition", "dossier", body=_ACTION),
    "POST /v1/dossiers/transitions/batch": Rule("dossier:transition"),
    "GET /v1/dossiers/{code}/corrections": Rule("dossier:read", "dossier"),
    "POST /v1/dossiers/{code}/corrections": Rule("dossier:transition", "dossier", body=_CORRECTION),
    "POST /v1/dossiers/{code}/corrections/decision": Rule("dossier:transition", "dossier", body=_DECISION),
    "GET /v1/tracking/{code}": Rule("dossier:read", "shared"),
    "POST /v1/ratings": Rule("dossier:write"),
    "GET /v1/ratings": Rule("dossier:read"),
    "GET /v1/ratings/counts": Rule("dossier:read"),
    "POST /v1/petitions": Rule("dossier:write"),
    "GET /v1/petitions": Rule("dossier:read"),
    "GET /v1/petitions/counts": Rule("dossier:read"),
    "GET /v1/petitions/{petition_id}": Rule("dossier:read", "petition"),
    "POST /v1/petitions/{petition_id}/steps": Rule("dossier:transition", "petition", body={"action": "publish"}),
    "GET /v1/payments": Rule("payment:read"),
    "GET /v1/payments/{payment_id}": Rule("payment:read", "payment"),
    "POST /v1/payments/counter": Rule("payment:write"),
    "POST /v1/payments/{payment_id}/refunds": Rule(
        "payment:write", "payment", body={"amount_vnd": 1000, "reason": "Nộp thừa"}
    ),
    "POST /v1/citizens/verify": Rule("citizen:verify"),
    "POST /v1/citizens/lookup": Rule("citizen:lookup"),
    "GET /v1/citizens/verifications/{verification_id}": Rule("citizen:verify", "verification"),
    "GET /v1/sync/status": Rule("sync:read"),
    "GET /v1/sync/dossiers": Rule("sync:read"),
    "GET /v1/sync/stream": Rule("sync:read"),
    "GET /v1/feed": Rule("dossier:read"),
    "GET /v1/sync/dossiers/{code}": Rule("sync:read", "dossier"),
    "POST /v1/sync/dossiers/{code}/retry": Rule("sync:operate", "dossier"),
    "POST /v1/sync/retries": Rule("sync:operate", probe={"filter": {"codes": ["H08.15-230301-999999"]}}),
    "GET /v1/sync/retries": Rule("sync:read"),
    "GET /v1/sync/retries/{replay_id}": Rule("sync:read", "work"),
    "POST /v1/sync/retries/{replay_id}/confirm": Rule("sync:operate", "work"),
    "POST /v1/sync/retries/{replay_id}/cancel": Rule("sync:operate", "work"),
    "POST /v1/sync/reconciliations": Rule("sync:operate", probe={"from": "2020-01-01", "to": "2020-01-01"}),
    "GET /v1/sync/reconciliations": Rule("sync:read"),
    "GET /v1/sync/reconciliations/{reconciliation_id}": Rule("sync:read", "work"),
    "POST /v1/sync/reconciliations/{reconciliation_id}/repair": Rule("sync:operate", "work"),
    "GET /v1/sync/incidents": Rule("sync:read"),
    "GET /v1/sync/incidents/{incident_id}": Rule("sync:read", "work"),
    "POST /v1/sync/incidents/{incident_id}/resolve": Rule("sync:operate", "work"),
    "GET /v1/sync/layouts": Rule("sync:read"),
    "GET /v1/sync/layouts/{name}": Rule("sync:read", "shared"),
    "PUT /v1/sync/layouts/{name}": Rule("sync:operate", "shared", probe={"headings": {}}),
    "POST /v1/sync/hold": Rule("sync:operate", probe={"destination": "nowhere"}),
    "POST /v1/sync/release": Rule("sync:operate", probe={"destination": "nowhere"}),
    "POST /v1/sync/maintenance": Rule("sync:operate", probe={"destination": "nowhere"}),
    "GET /v1/sync/maintenance": Rule("sync:read"),
    "GET /v1/sync/maintenance/{maintenance_id}": Rule("sync:read", "work"),
    "POST /v1/sync/maintenance/{maintenance_id}/cancel": Rule("sync:operate", "work"),
    "GET /v1/reports/agencies": Rule("report:read"),
    "GET /v1/reports/fees": Rule("report:read"),
    "POST /v1/clients": Rule("client:admin"),
    "GET /v1/clients": Rule("client:admin"),
    "GET /v1/clients/{client_id}": Rule("client:admin", "client"),
    "PATCH /v1/clients/{client_id}": Rule("client:admin", "client"),
    "POST /v1/clients/{client_id}/secrets": Rule("client:admin", "client"),
    "POST /v1/clients/{client_id}/approve": Rule("client:admin", "client"),
    "POST /v1/events": Rule("event:push"),
    "GET /v1/events": Rule("dossier:read"),
    "GET /v1/events/unsettled": Rule("dossier:read"),
    "GET /v1/events/vocabularies": Rule("sync:read"),
    "PUT /v1/events/vocabularies": Rule("sync:operate", probe={}),
    "POST /v1/events/replays": Rule("sync:operate", probe={}),
    "GET /v1/events/replays/{replay_id}": Rule("sync:read", "work"),
    "POST /v1/events/replays/{replay_id}/confirm": Rule("sync:operate", "work"),
    "POST /v1/events/replays/{replay_id}/cancel": Rule("sync:operate", "work"),
    "GET /v1/exchanges": Rule("audit:read"),
}

WITH_SCOPE = {name: rule for name, rule in RULES.items() if rule.scope is not None}
OF_AN_AGENCY = {
    name: rule for name, rule in RULES.items() if rule.object in ("dossier", "payment", "verification", "petition")
}
