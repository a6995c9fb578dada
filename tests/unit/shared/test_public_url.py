"""Row 27: an address of a document never leads inside, however it is written."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.public_url import is_public

INSIDE = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0x7F.1", "0177.0.0.1", "017700000001",
    "127.0.0.1.", "%31%32%37.0.0.1", "１２７.0.0.1", "①②⑦.0.0.1", "127。0。0。1", "0", "0.0.0.0", "0x0", "10.1.2.3",
    "10.66051", "0xa.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "3232235777", "169.254.169.254",
    "0xa9fea9fe", "2852039166", "100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:10.0.0.1]", "[::127.0.0.1]",
    "[64:ff9b::7f00:1]", "[64:ff9b::10.0.0.1]", "[2002:7f00:1::]", "[2002:a00:1::1]", "[fc00::1]", "[fd12::1]",
    "[fe80::1]", "[fe80::1%25eth0]", "[ff02::1]", "[fec0::1]",
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "kho.internal", "may.local", "may.lan", "db", "kho", "kho.",
    "127.0.0.1\u00ad", "127.0.0.1\u200b", "10.0.0.5\u2060", "169.254.169.254\ufeff", "foo.inter\u00adnal",
    "127.0.0.1\u180b", "127.0.0.1\ufe0f", "127.0.0.1\U000e0100", "foo.inter\u034fnal", "127.0.0.1%C2%AD",
    "foo.inter\u1806nal", "foo.inter\u3164nal",
    "127.0.0.1.256", "1.2.3.4.5", "256.1.1.1", "0x100000000", "4294967296", "09.1.1.1", "",
]  # fmt: skip
"""Private places; and what ends like a number but is none, which every reader takes for something else."""


@pytest.mark.parametrize("host", INSIDE)
@pytest.mark.parametrize("template", ["http://{}/a", "https://{}:8443/a?b#c", "HTTP://{}"])
def test_the_inside_is_refused(host: str, template: str) -> None:
    assert not is_public(template.format(host))


@pytest.mark.parametrize(
    "url",
    [
        "https://kq.example/12.pdf", "http://tep.dichvucong.gov.vn:8080/x?y=1", "https://1.1.1.1/x", "https://0x1.0x1.1.1/",
        "https://[2606:4700::1111]/", "https://[::ffff:1.1.1.1]/", "https://tệp.vn/a b", "https://a_b.example/",
        "https://127.0.0.1.kho.example/", "https://10.example/", "https://kho.example./", "https://localhost.example/",
    ],
)  # fmt: skip
def test_what_is_public_passes(url: str) -> None:
    assert is_public(url)


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "/a", "//kq.example/a", "ftp://kq.example/a", "file:///etc/passwd", "gopher://kq.example",
        "javascript:1", "http:kq.example", "http:/kq.example", "http://", "http:///a", "http://a@127.0.0.1/", "http://kq.example@10.0.0.1/",
        "http://an:mk@kq.example/", "http://kq.example\\@127.0.0.1/", "http://127.0.0.1\\.kq.example/", "http://[::1/",
        "http://kq.example:0/", "http://kq.example:99999/", "http://kq..example/", "http://-kq.example/",
        "http://kq.example%00/", "http://kq.example%2f@10.0.0.1/", "http://kq.exa mple/",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused(url: str) -> None:
    assert not is_public(url)


def spellings(number: int) -> list[str]:
    parts = [number >> 24, number >> 16 & 255, number >> 8 & 255, number & 255]
    return [
        ".".join(map(str, parts)), str(number), hex(number), f"0{number:o}", ".".join(map(hex, parts)),
        ".".join(f"0{part:o}" for part in parts), f"{parts[0]}.{number & 0xFFFFFF}",
        f"{parts[0]}.{parts[1]}.{number & 0xFFFF}", f"[::ffff:{number >> 16:x}:{number & 0xFFFF:x}]",
        f"[64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}]",
        f"[2002:{number >> 16:x}:{number & 0xFFFF:x}::1]",
    ]  # fmt: skip


@given(st.integers(0, 2**32 - 1) | st.sampled_from([0x7F000001, 0x0A000001, 0xA9FEA9FE, 0xC0A80101, 0xAC100001]))
def test_every_spelling_of_an_address_is_judged_like_the_address(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    expected = address.is_global and not address.is_multicast and not address.is_reserved
    assert {is_public(f"http://{host}/") for host in spellings(number)} == {expected}


_UNSEEN = [chr(point) for point in (0xAD, 0x34F, 0x180B, 0x200B, 0x200D, 0x2060, 0xFE00, 0xFE0F, 0xFEFF, 0xE0101)]


@given(
    st.sampled_from(["127.0.0.1", "10.0.0.5", "kho.internal", "kq.example"]),
    st.integers(0, 12),
    st.sampled_from(_UNSEEN),
)
def test_what_is_not_seen_is_in_no_public_host(host: str, place: int, unseen: str) -> None:
    assert not is_public(f"http://{host[:place]}{unseen}{host[place:]}/")
