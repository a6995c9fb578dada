"""Who may come in without OAuth: a partner's system, from its own addresses only and with the shared credential.

The address is the connection's. What `X-Forwarded-For` says counts only where the connection is a trusted proxy's: then
it is the last address in it that is not one of those proxies, and one that cannot be read is nobody's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from shared.errors import Unauthenticated
from shared.partner_key import PartnerKey

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
Headers = Iterable[tuple[bytes, bytes]]
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="lgsp"'}


@dataclass(frozen=True, slots=True)
class PartnerDoor:
    """One partner's door; without networks or without a secret it is shut."""

    key: PartnerKey
    networks: Sequence[Network]
    trusted_proxies: Sequence[Network] = ()

    def enter(self, peer: str | None, headers: Headers, authorization: bytes | None) -> str:
        """The partner's name. Raises `Unauthenticated`, the same for a strange address and a wrong credential."""
        address = self._address(peer, headers)
        is_known = address is not None and _within(address, self.networks)
        if not self.key.opens(authorization) or not is_known:
            raise Unauthenticated("This address and credential do not open this path", headers=_CHALLENGE)
        return self.key.name

    def _address(self, peer: str | None, headers: Headers) -> Address | None:
        """Whose connection it is, behind the proxies that are trusted."""
        address = _read(peer)
        if address is None or not _within(address, self.trusted_proxies):
            return address
        told = b",".join(value for name, value in headers if name == b"x-forwarded-for").decode("latin-1")
        for text in reversed(told.split(",")):
            address = _read(text)
            if address is None or not _within(address, self.trusted_proxies):
                return address
        return None  # nothing but our own proxies: it says nothing of the partner


def _read(text: str | None) -> Address | None:
    """An address as it is compared: IPv4 inside IPv6 (`::ffff:10.0.0.1`, a dual-stack socket's) is IPv4."""
    try:
        address = ip_address((text or "").strip())
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
