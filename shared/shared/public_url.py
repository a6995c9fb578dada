"""Addresses of documents that others give us lead to public hosts only, however they are written (`faults.md` 27).

The hub keeps such addresses and never fetches them. But it hands them on, to the portal and to officers, and whatever
opens them there must not be led into somebody's inside. So what names a private place is refused when it comes in:
loopback, private, link-local and reserved networks, in every notation that a browser or a C library reads as a number
(`2130706433`, `0x7f.1`, `0177.0.0.1`, `127.1`, full-width digits), inside IPv6 (mapped, 6to4, NAT64), and names that
no public resolver has (`localhost`, `tep.internal`, single words). Where a public name points is known only to who
connects, at that moment: a name that leads inside cannot be told here.
"""

import re
import unicodedata
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import unquote, urlsplit

_INSIDE_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa")
_NAT64 = IPv6Network("64:ff9b::/96")
_ORIGIN = re.compile(r"[^/?#]*://[^/?#]*")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?")
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u1806\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's default-ignorable and format characters: IDNA drops them, so a host means another than it seems to."""
_MOST = 2**32


def is_public(url: str) -> bool:
    """Whether the URL is http(s) and its host is not inside somebody's network, as far as its text tells."""
    if "\\" in url:
        return False
    origin = _ORIGIN.match(url)
    return _is_public_origin(origin[0] if origin else url)


@lru_cache(maxsize=4096)
def _is_public_origin(origin: str) -> bool:
    """Of what stands before the path: a portal's documents lie at few hosts, and all of them are asked about."""
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc or port == 0:
        return False
    if "[" in parts.netloc:
        return _is_public_address(host)
    # As a browser reads it: percent-encoding undone, letters and digits of any shape made plain.
    spoken = unquote(host)
    if _UNSEEN.search(spoken):
        return False
    plain = unicodedata.normalize("NFKC", spoken).lower().removesuffix(".")
    labels = plain.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        number = _ipv4(labels)
        return number is not None and _is_public_address(str(IPv4Address(number)))
    return _is_public_name(labels)


def _is_public_name(labels: list[str]) -> bool:
    if len(labels) < 2 or any(".".join(labels[n:]) in _INSIDE_NAMES for n in range(len(labels))):
        return False
    try:
        spoken = [label.encode("idna").decode("ascii") for label in labels]
    except UnicodeError:
        return False
    return all(_LABEL.fullmatch(label) for label in spoken)


def _ipv4(labels: list[str]) -> int | None:
    """A number of one to four parts, each decimal, octal or hexadecimal, the last filling what is left (inet_aton)."""
    if len(labels) > 4 or not all(_NUMBER.fullmatch(label) for label in labels):
        return None
    try:
        *first, last = [_part(label) for label in labels]
    except ValueError:
        return None
    if any(part > 255 for part in first) or last >= 256 ** (4 - len(first)):
        return None
    value = last + sum(part << 8 * (3 - place) for place, part in enumerate(first))
    return value if value < _MOST else None


def _part(label: str) -> int:
    if label.startswith("0x"):
        return int(label[2:] or "0", 16)
    return int(label, 8) if len(label) > 1 and label.startswith("0") else int(label)


def _is_public_address(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    inside = _inside(address) if isinstance(address, IPv6Address) else None
    if inside is not None:
        return _is_public_address(str(inside))
    is_special = address.is_multicast or address.is_reserved or getattr(address, "is_site_local", False)
    return address.is_global and not is_special


def _inside(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one carries."""
    if address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1):
        return IPv4Address(int(address) % _MOST)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
