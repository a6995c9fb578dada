"""What a client may be registered for, and what a grant turns into."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import token
from gateway.token import Grant
from shared.errors import InvalidRequest

GOOD: dict[str, Any] = {
    "name": "Cổng dịch vụ công tỉnh",
    "role": "portal",
    "scopes": ["dossier:write"],
    "agencies": ["H08"],
    "jwks": None,
}
PUBLIC = {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}


@pytest.mark.parametrize("agencies", [["H08"], ["H08.15", "H08.16"], ["*"], ["000.00.14.H56"]])
def test_agencies_are_codes_or_all(agencies: list[str]) -> None:
    token.check_registration(**GOOD | {"agencies": agencies})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "  "),
        ("name", "a\nb"),
        ("name", "x" * 201),
        ("role", "admin"),
        ("role", "service"),
        ("scopes", []),
        ("scopes", ["dossier:write", "root"]),
        ("scopes", ["internal"]),
        ("agencies", []),
        ("agencies", ["H08.*"]),
        ("agencies", ["H08,H09"]),
        ("agencies", ["H08."]),
        ("agencies", [""]),
        ("jwks", {}),
        ("jwks", {"keys": []}),
        ("jwks", {"keys": [{**PUBLIC, "d": "AA"}]}),
        ("jwks", {"keys": [{"kty": "oct", "k": "AA"}]}),
        ("jwks", {"keys": "x"}),
    ],
)
def test_a_client_that_could_never_be_approved_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        token.check_registration(**GOOD | {field: value})
    pointer = {"scopes": "/scope"}.get(field, f"/{field}")
    assert pointer in [error.pointer for error in refused.value.errors]


def test_public_keys_are_accepted() -> None:
    token.check_registration(**GOOD | {"jwks": {"keys": [PUBLIC]}})


@given(st.frozensets(st.sampled_from(token.SCOPES)), st.frozensets(st.sampled_from(token.SCOPES), min_size=1))
def test_a_token_never_has_more_than_its_client(allowed: frozenset[str], asked: frozenset[str]) -> None:
    got = token.granted(" ".join(asked), allowed)
    assert got == (asked if asked <= allowed else None)
    assert token.granted(None, allowed) == allowed


def test_claims_say_what_was_granted() -> None:
    grant = Grant("desk", "desk", "desk", frozenset({"b:x", "a:x"}), ("H08",))
    claims = token.claims_of(grant, issuer="https://hub", issued_at=1000, jti="j")
    assert claims == {
        "iss": "https://hub",
        "aud": "lgsp-hub",
        "sub": "desk",
        "client_id": "desk",
        "scope": "a:x b:x",
        "role": "desk",
        "agencies": ["H08"],
        "iat": 1000,
        "exp": 4600,
        "jti": "j",
    }
