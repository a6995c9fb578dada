"""One base for every error the hub speaks of, mapped to HTTP once, at the edge (`shared.problems`).

```
HubError                          status  code                     whose fault
├── InvalidRequest                422     invalid_request          the caller's (fields named, values never)
├── BadRequest                    400     bad_request
├── Unauthenticated               401     unauthenticated
├── Forbidden                     403     forbidden
│   ├── InsufficientScope         403     insufficient_scope
│   └── AgencyNotPermitted        403     agency_not_permitted
├── NotFound                      404     not_found
├── Conflict                      409     conflict
├── PreconditionFailed            412     precondition_failed
├── PayloadTooLarge               413     payload_too_large
├── TooManyRequests               429     too_many_requests
├── Upstream                              a remote system's
│   ├── UpstreamInvalid           502     upstream_invalid
│   ├── UpstreamUnavailable       503     upstream_unavailable
│   └── UpstreamTimeout           504     upstream_timeout
└── Overloaded                    503     overloaded               ours, for the moment
```
Services subclass these with a code of their own; a code never changes.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple

Owner = Literal["partner", "hub", "poison"]
"""Whose fault a failure is: the partner's (refused), ours (a bug), or nobody can ever pass it (poison)."""


class FieldError(NamedTuple):
    """One refused field: where (RFC 6901 pointer) and why; never the value."""

    pointer: str
    message: str


class HubError(Exception):
    """Base of all. `message` is public, `internal` goes to the log only, `members` join the problem document."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str | None = None,
        *,
        internal: str | None = None,
        errors: Sequence[FieldError] = (),
        retry_after_seconds: int | None = None,
        headers: Mapping[str, str] | None = None,
        **members: object,
    ) -> None:
        super().__init__(message or self.title)
        self.message = message or self.title
        self.internal = internal
        self.errors = tuple(errors)
        self.retry_after_seconds = retry_after_seconds
        self.headers = dict(headers or {})
        self.members = members


class InvalidRequest(HubError):
    """The request is malformed."""

    status, code, title = 422, "invalid_request", "The request is not valid"


class BadRequest(HubError):
    """The request cannot be understood."""

    status, code, title = 400, "bad_request", "The request cannot be understood"


class Unauthenticated(HubError):
    """No token, or one that does not hold."""

    status, code, title = 401, "unauthenticated", "A valid access token is required"


class Forbidden(HubError):
    """The caller may not do this."""

    status, code, title = 403, "forbidden", "Not permitted"


class InsufficientScope(Forbidden):
    """The token lacks the route's scope (RFC 6750 §3.1)."""

    code, title = "insufficient_scope", "The token does not carry the needed scope"


class AgencyNotPermitted(Forbidden):
    """The token does not cover the agency that is written for."""

    code, title = "agency_not_permitted", "The token does not cover this agency"


class NotFound(HubError):
    """There is no such object, or it is another agency's."""

    status, code, title = 404, "not_found", "There is no such object"


class Conflict(HubError):
    """The object's state does not allow it."""

    status, code, title = 409, "conflict", "The present state does not allow this"


class PreconditionFailed(HubError):
    """Someone else was faster."""

    status, code, title = 412, "precondition_failed", "The object has changed since"


class PayloadTooLarge(HubError):
    """The body is larger than the route takes."""

    status, code, title = 413, "payload_too_large", "The body is too large"


class TooManyRequests(HubError):
    """The caller's quota is used up for the moment."""

    status, code, title, retryable = 429, "too_many_requests", "Too many requests", True


class Overloaded(HubError):
    """We cannot take more for the moment."""

    status, code, title, retryable = 503, "overloaded", "The hub cannot take more at the moment", True


class Upstream(HubError):
    """A remote system failed us. `outcome_unknown`: the request may have been executed there."""

    status, code, title, retryable = 502, "upstream_invalid", "A remote system failed", True

    def __init__(
        self,
        message: str | None = None,
        *,
        outcome_unknown: bool = False,
        internal: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message, internal=internal, retry_after_seconds=retry_after_seconds)
        self.outcome_unknown = outcome_unknown


class UpstreamInvalid(Upstream):
    """The remote system answered something that cannot be an answer."""

    title = "A remote system answered nonsense"


class UpstreamUnavailable(Upstream):
    """The remote system is down, or its breaker is open."""

    status, code, title = 503, "upstream_unavailable", "A remote system is not available"


class UpstreamTimeout(Upstream):
    """The remote system did not answer within the deadline."""

    status, code, title = 504, "upstream_timeout", "A remote system did not answer in time"
