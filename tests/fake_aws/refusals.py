"""The words with which each service refuses: AWS has no common ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


class RefusedError(Exception):
    """An error that AWS answers; a callable answer may raise it, too."""

    def __init__(self, code: str, message: str = "refused by the fake", status: int = 400) -> None:
        self.code, self.message, self.status = code, message, status
        super().__init__(f"{code}: {message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """An error code and the HTTP status that comes with it."""

    code: str
    status: int = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What one service says."""

    denied: Word
    throttled: Word
    expired: Word
    disabled_region: Word
    wrong_limit: Word
    wrong_token: Word


_EC2 = Words(
    denied=Word(code="UnauthorizedOperation", status=403),
    throttled=Word(code="RequestLimitExceeded", status=503),
    expired=Word(code="RequestExpired"),
    disabled_region=Word(code="AuthFailure", status=401),
    wrong_limit=Word(code="InvalidParameterValue"),
    wrong_token=Word(code="InvalidNextToken"),
)
_QUERY = Words(
    denied=Word(code="AccessDenied", status=403),
    throttled=Word(code="Throttling"),
    expired=Word(code="ExpiredToken", status=403),
    disabled_region=Word(code="InvalidClientTokenId", status=403),
    wrong_limit=Word(code="ValidationError"),
    wrong_token=Word(code="ValidationError"),
)
_JSON = Words(
    denied=Word(code="AccessDeniedException"),
    throttled=Word(code="ThrottlingException"),
    expired=Word(code="ExpiredTokenException"),
    disabled_region=Word(code="UnrecognizedClientException"),
    wrong_limit=Word(code="InvalidRequestException"),
    wrong_token=Word(code="InvalidRequestException"),
)

_OF_SERVICE: Mapping[str, Words] = {
    "ec2": _EC2,
    "sts": _QUERY,
    "iam": _QUERY,
    "elb": _QUERY,
    "elbv2": _QUERY,
    "directconnect": replace(
        _JSON,
        wrong_limit=Word(code="DirectConnectClientException"),
        wrong_token=Word(code="DirectConnectClientException"),
    ),
    "network-firewall": _JSON,
    "organizations": replace(
        _JSON,
        throttled=Word(code="TooManyRequestsException"),
        wrong_limit=Word(code="InvalidInputException"),
        wrong_token=Word(code="InvalidInputException"),
    ),
    "cloudwatch": replace(
        _JSON, wrong_limit=Word(code="InvalidParameterValue"), wrong_token=Word(code="InvalidNextToken")
    ),
    "networkmanager": replace(
        _JSON,
        denied=Word(code="AccessDeniedException", status=403),
        throttled=Word(code="ThrottlingException", status=429),
        wrong_limit=Word(code="ValidationException"),
        wrong_token=Word(code="ValidationException"),
    ),
}


def words_of(service: str) -> Words:
    """What a service says when it refuses."""
    return _OF_SERVICE[service]


def denied(
    service: str, operation: str, caller: str, code: str | None = None, message: str | None = None
) -> RefusedError:
    """The caller may not call this operation."""
    word = words_of(service).denied
    action = f"{'elasticloadbalancing' if service in ('elb', 'elbv2') else service}:{operation}"
    says = f"User: {caller} is not authorized to perform: {action}"
    if service == "ec2":
        says = f"You are not authorized to perform this operation. {says}"
    return RefusedError(code or word.code, message or says, word.status)


def throttled(service: str) -> RefusedError:
    """The caller asks too often."""
    word = words_of(service).throttled
    return RefusedError(word.code, "Request limit exceeded." if service == "ec2" else "Rate exceeded", word.status)


def expired(service: str) -> RefusedError:
    """The session of the caller has ended."""
    word = words_of(service).expired
    return RefusedError(word.code, "The security token included in the request is expired", word.status)


def disabled_region(service: str, operation: str) -> RefusedError:
    """The account has not enabled the region."""
    if operation == "AssumeRole":
        return RefusedError("RegionDisabledException", "STS is not activated in this region for this account", 403)
    word = words_of(service).disabled_region
    return RefusedError(word.code, "The security token included in the request is invalid", word.status)


def not_found(service: str, when: Mapping[str, Any]) -> RefusedError:
    """What the parameters name is gone."""
    name, value = next(iter(when.items()))
    message = f"{name} {value} does not exist"
    if service == "ec2":
        return RefusedError(f"Invalid{name}.NotFound", message)
    if service in ("elb", "elbv2"):
        return RefusedError(f"{name.removesuffix('s').removesuffix('Arn').removesuffix('Name')}NotFound", message)
    if service == "directconnect":
        return RefusedError("DirectConnectClientException", message)
    return RefusedError("ResourceNotFoundException", message, 404 if service == "networkmanager" else 400)
