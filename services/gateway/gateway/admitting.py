"""Who may come in: the token holds and was not revoked (the verifier), its client's quota is not used up."""

import time

from gateway.quota import Quota
from shared.auth import Caller, TokenVerifier
from shared.errors import BadRequest, TooManyRequests, Unauthenticated
from shared.revocations import Revocations

_INVALID = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class Admission:
    """Checks bearer tokens (verified ones are remembered) and counts calls."""

    def __init__(
        self, verifier: TokenVerifier, revocations: Revocations, quota: Quota, *, stale_after_seconds: float
    ) -> None:
        self._verifier = verifier
        self._revocations = revocations
        self._quota = quota
        self._stale_after_seconds = stale_after_seconds

    async def caller(self, authorization: bytes | None) -> Caller:
        """Who calls. Raises `Unauthenticated`, or `BadRequest` for a malformed header (RFC 6750 §3.1)."""
        if authorization is None:
            raise Unauthenticated
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() != b"bearer" or not token:
            raise Unauthenticated
        try:
            caller = await self._verifier.verify(token.decode("ascii"))
        except UnicodeDecodeError:
            raise BadRequest("The token is malformed") from None
        if time.monotonic() - self._revocations.refreshed_at > self._stale_after_seconds:
            # faults.md row 18: a list of revocations that is too old is no list.
            raise Unauthenticated("Revocations cannot be checked at the moment", headers=_INVALID)
        return caller

    def take(self, client_id: str, now: float) -> None:
        """Count one call of a client. Raises `TooManyRequests`."""
        wait_seconds = self._quota.take(client_id, now)
        if wait_seconds:
            raise TooManyRequests(retry_after_seconds=wait_seconds)
