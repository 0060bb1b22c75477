"""What became of a call to AWS, and which of AWS's error codes mean what.

Sources: "Common errors" of the EC2, STS and Organizations API references; metadata.md §3 and §4.
"""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """Only `observed` says what there is; every other outcome leaves what was known as it is."""

    OBSERVED = "observed"  # AWS gave its whole answer, possibly no rows
    DENIED = "denied"  # we may not look
    UNAVAILABLE = "unavailable"  # AWS did not answer, even after retries
    UNSUPPORTED = "unsupported"  # the region does not have the service or the operation
    SKIPPED = "skipped"  # not asked: the region is not enabled, or what it asks for each of was not observed


DENIED_CODES = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "AuthorizationError",
        "AWSOrganizationsNotInUseException",
        "Forbidden",
        "InvalidClientTokenId",
        "NotAuthorized",
        "OptInRequired",
        "RegionDisabledException",
        "SubscriptionRequiredException",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
        "403",
    }
)
UNSUPPORTED_CODES = frozenset({"InvalidAction", "UnsupportedOperation", "UnknownOperationException", "404"})
EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
THROTTLING_CODES = frozenset(
    {
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)


def is_vanished(code: str) -> bool:
    """Whether an error says that the thing that was asked for is not there (any more)."""
    return code.endswith(("NotFound", "NotFoundException"))
