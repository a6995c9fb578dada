"""Through the whole dance of a sign-in, the gateway's part played here."""

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.support.tokens import TokenIssuer

from .conftest import Console

OPERATOR = "sync:read sync:operate report:read audit:read dossier:read payment:read"


def an_id_token(name: str) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"name": name}).encode()).rstrip(b"=").decode()
    return f"e30.{claims}.sig"


async def signed_in(console: Console, issuer: TokenIssuer, **claims: Any) -> httpx2.AsyncClient:
    """Through the whole dance, the gateway's part played here."""
    client = console.client
    del client.headers["authorization"]
    begun = await client.get("/console/sign-in", params={"to": "/console/sync"})
    question = parse_qs(urlsplit(begun.headers["location"]).query)
    console.neighbours.challenge = question["code_challenge"][0]
    given = {"scopes": OPERATOR, "agencies": ["*"], **claims}
    token = console.issue(issuer, role="operator", **given)
    console.neighbours.grant = {"access_token": token, "expires_in": 600, "id_token": an_id_token("Lê Thị Vận Hành")}
    back = await client.get("/console/callback", params={"state": question["state"][0], "code": "good", "iss": "x"})
    assert (back.status_code, back.headers["location"]) == (303, "/console/sync"), back.text
    return client
