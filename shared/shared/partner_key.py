"""The shared credential of a partner that is no OAuth client: HTTP Basic (RFC 7617), compared in constant time.

The gateway and the service behind it both look: whoever reaches the service otherwise needs the credential as well.
"""

import base64
import hmac

PORTAL = "dvcqg"
"""The national portal: its name here, and the client id of what it does."""


class PartnerKey:
    """One partner's name and its secrets: two may overlap while they are changed. Without a secret nobody comes in."""

    def __init__(self, name: str, secrets: str) -> None:
        """`secrets`: one or more of them, separated by blanks."""
        self.name = name
        self._expected = [base64.b64encode(f"{name}:{secret}".encode()) for secret in secrets.split()]

    def opens(self, authorization: bytes | str | None) -> bool:
        """Whether this Authorization header carries one of the secrets."""
        given = authorization.encode("latin-1", "replace") if isinstance(authorization, str) else authorization or b""
        scheme, _, credentials = given.partition(b" ")
        # All of them, so that the time taken does not tell which one was nearly right.
        matches = [hmac.compare_digest(credentials.strip(), expected) for expected in self._expected]
        return scheme.lower() == b"basic" and any(matches)
