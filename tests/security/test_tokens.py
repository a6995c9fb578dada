"""Row 29 against every verifier there is: the gateway's, each service's, and each service's for its neighbours."""

import pytest

from tests.security.forgeries import Smith
from tests.security.hub import Hub

pytestmark = pytest.mark.timeout(300)
PARTNERS = {
    "gateway": "/v1/dossiers",
    "dossier": "/v1/dossiers",
    "payment": "/v1/payments",
    "citizen-db-adapter": "/v1/citizens/verifications/x",
    "sync-national": "/v1/sync/status",
    "console": "/v1/reports/agencies?from=2026-01-01&to=2026-01-31",
}
"""Where a token of a partner is checked: the service, and a route of its own."""
NEIGHBOURS = ("dossier", "payment", "citizen-db-adapter", "sync-national", "console")


def a_smith(hub: Hub, audience: str = "lgsp-hub") -> Smith:
    return Smith(hub.stack.folder / "secrets" / "signing-keys.json", hub.stack.gateway, audience)


@pytest.mark.parametrize("at", PARTNERS)
def test_no_forgery_opens_what_partners_use(hub: Hub, at: str) -> None:
    smith = a_smith(hub)
    assert hub.call("GET", PARTNERS[at], smith.signed(), at=at).status_code in (200, 404), "the smith's own work opens"
    shapes = set()
    for name, token in smith.forgeries().items():
        answer = hub.call("GET", PARTNERS[at], token, at=at)
        assert answer.status_code == 401, f"{name}: {answer.status_code} {answer.text}"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        shapes.add(answer.text)
    assert len(shapes) == 1, "nobody learns what was wrong"


@pytest.mark.parametrize("at", NEIGHBOURS)
def test_no_forgery_opens_what_neighbours_use(hub: Hub, at: str) -> None:
    smith = a_smith(hub, "lgsp-internal")
    question = {"source": "/x", "ids": []}
    assert hub.call("POST", "/internal/inbox/missing", smith.signed(), question, at=at).status_code == 200
    forgeries = smith.forgeries() | {"a partner's token": a_smith(hub).signed()}
    for name, token in forgeries.items():
        answer = hub.call("POST", "/internal/inbox/missing", token, question, at=at)
        assert answer.status_code == 401, f"{name}: {answer.status_code} {answer.text}"


@pytest.mark.parametrize("at", PARTNERS)
def test_a_neighbours_token_opens_nothing_that_partners_use(hub: Hub, at: str) -> None:
    assert hub.call("GET", PARTNERS[at], a_smith(hub, "lgsp-internal").signed(), at=at).status_code == 401


@pytest.mark.parametrize("at", PARTNERS)
def test_the_header_is_read_as_the_standard_says(hub: Hub, at: str) -> None:
    good = a_smith(hub).signed()
    opens = {"lower case": f"bearer {good}", "upper case": f"BEARER {good}"}
    for name, value in opens.items():
        answer = hub.call("GET", PARTNERS[at], headers={"authorization": value}, at=at)
        assert answer.status_code in (200, 404), f"{name}: {answer.text}"
    refused = {
        "no scheme": good,
        "no token": "Bearer",
        "another scheme": f"Basic {good}",
        "DPoP": f"DPoP {good}",
        "two tokens": f"Bearer {good} {good}",
        "two tokens with a comma": f"Bearer {good}, Bearer {good}",
        "quoted": f'Bearer "{good}"',
    }
    for name, value in refused.items():
        answer = hub.call("GET", PARTNERS[at], headers={"authorization": value}, at=at)
        assert answer.status_code == 401, f"{name}: {answer.status_code} {answer.text}"


@pytest.mark.parametrize("at", PARTNERS)
def test_a_token_that_is_no_text_is_refused(hub: Hub, at: str) -> None:
    for raw in (b"Bearer \xff\xfe", b"Bearer \xc3\xa9.\xc3\xa9.\xc3\xa9", b"\xff", b"Bearer a\tb"):
        answer = hub.http.get(hub.urls[at] + PARTNERS[at], headers=[(b"authorization", raw)])
        assert answer.status_code in (400, 401), f"{raw!r}: {answer.status_code} {answer.text}"
        assert answer.headers["content-type"] == "application/problem+json"


def test_two_tokens_in_two_headers_are_400_at_the_gateway(hub: Hub) -> None:
    good = f"Bearer {a_smith(hub).signed()}"
    for pair in ((good, good), (good, "Bearer x"), ("Basic x", good)):
        headers = [("authorization", value) for value in pair]
        answer = hub.http.get(hub.stack.gateway + "/v1/dossiers", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_a_token_opens_nothing_from_a_query_a_form_or_a_cookie(hub: Hub) -> None:
    good = a_smith(hub).signed()
    attempts = [
        hub.http.get(f"{hub.stack.gateway}/v1/dossiers?access_token={good}"),
        hub.http.get(f"{hub.stack.gateway}/v1/dossiers", headers={"cookie": f"access_token={good}"}),
        hub.http.post(f"{hub.stack.gateway}/v1/dossiers/search", data={"access_token": good}),
    ]
    assert [answer.status_code for answer in attempts] == [401] * len(attempts)
