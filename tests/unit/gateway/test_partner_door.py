"""A partner comes in from its own addresses with the shared credential, and in no other way."""

import base64
from ipaddress import ip_network

import pytest

from gateway.partner_door import PartnerDoor
from shared.errors import Unauthenticated
from shared.partner_key import PartnerKey

OURS = [ip_network("103.1.2.0/24"), ip_network("2001:db8:7::/48")]
PROXY = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
GOOD = b"Basic " + base64.b64encode(b"dvcqg:bi-mat")


def door(secrets: str = "bi-mat", proxies: bool = False, shut: bool = False) -> PartnerDoor:
    return PartnerDoor(PartnerKey("dvcqg", secrets), [] if shut else OURS, PROXY if proxies else [])


def told(*values: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-forwarded-for", value.encode()) for value in values]


@pytest.mark.parametrize("peer", ["103.1.2.9", "::ffff:103.1.2.9", "2001:db8:7::1"])
def test_the_partner_comes_in(peer: str) -> None:
    assert door().enter(peer, [], GOOD) == "dvcqg"


@pytest.mark.parametrize("peer", ["103.1.3.9", "::ffff:103.1.3.9", "2001:db8:8::1", "127.0.0.1", "", None, "nobody"])
def test_another_address_does_not_whatever_it_says(peer: str | None) -> None:
    for headers in ([], told("103.1.2.9"), told("103.1.2.9", "103.1.2.9")):
        with pytest.raises(Unauthenticated):
            door().enter(peer, headers, GOOD)


@pytest.mark.parametrize(
    ("values", "comes_in"),
    [
        (["103.1.2.9"], True),
        (["1.2.3.4, 103.1.2.9"], True),  # what the partner itself was told of does not matter
        (["103.1.2.9, 1.2.3.4"], False),  # the caller before our proxy was another
        (["103.1.2.9", "1.2.3.4"], False),
        (["103.1.2.9, 10.0.0.7, fd00::1"], True),  # a chain of our own proxies
        (["10.0.0.7"], False),  # nobody but ourselves
        (["103.1.2.9, rubbish"], False),
        ([""], False),
        ([], False),
    ],
)
def test_a_trusted_proxy_tells_who_it_was(values: list[str], comes_in: bool) -> None:
    if comes_in:
        assert door(proxies=True).enter("10.9.9.9", told(*values), GOOD) == "dvcqg"
    else:
        with pytest.raises(Unauthenticated):
            door(proxies=True).enter("10.9.9.9", told(*values), GOOD)


@pytest.mark.parametrize(
    "authorization",
    [
        None, b"", b"Basic", b"Basic ", b"Bearer " + base64.b64encode(b"dvcqg:bi-mat"), b"Basic dvcqg:bi-mat",
        b"Basic " + base64.b64encode(b"dvcqg:"), b"Basic " + base64.b64encode(b"dvcqg:bi-mat "),
        b"Basic " + base64.b64encode(b"other:bi-mat"), b"Basic " + base64.b64encode(b"dvcqg:bi-mat") + b"x",
        b"Basic \xff\xfe",
    ],
)  # fmt: skip
def test_only_the_credential_opens(authorization: bytes | None) -> None:
    with pytest.raises(Unauthenticated):
        door().enter("103.1.2.9", [], authorization)


def test_two_secrets_overlap_while_one_is_changed() -> None:
    both = door("moi bi-mat")
    assert both.enter("103.1.2.9", [], GOOD) == "dvcqg"
    assert both.enter("103.1.2.9", [], b"basic " + base64.b64encode(b"dvcqg:moi")) == "dvcqg"


def test_what_is_not_configured_is_shut() -> None:
    empty = b"Basic " + base64.b64encode(b"dvcqg:")
    for authorization in (GOOD, empty):
        with pytest.raises(Unauthenticated):
            door(shut=True).enter("103.1.2.9", [], authorization)
        with pytest.raises(Unauthenticated):
            door("").enter("103.1.2.9", [], authorization)
