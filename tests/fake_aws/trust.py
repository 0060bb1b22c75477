"""Who may assume which role, and the sessions that were given out."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.fake_aws.refusals import RefusedError, denied

_ROLE_ARN = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):role/(?:.*/)?(?P<name>[\w+=,.@-]+)")
_LONGEST_CHAINED = 3600


@dataclass(frozen=True, slots=True)
class Role:
    """A role's trust policy.

    Attributes:
        trusts: the principal: `*`, an account id, the account's `:root`, or the ARN of one role or user.
        external_id: what a caller has to say; None asks for nothing.
    """

    trusts: str
    external_id: str | None = None


@dataclass(slots=True)
class Caller:
    """Who sends a request: the ambient identity, or a session of a role."""

    account_id: str
    principal: str
    arn: str
    user_id: str
    is_session: bool = False
    is_expired: bool = False


class Trust:
    """Roles and sessions."""

    def __init__(self, ambient_account: str) -> None:
        self.ambient_account = ambient_account
        self.roles: dict[str, Role] = {}
        self.open_trust = True
        self._sessions: dict[str, Caller] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def caller(self, access_key: str) -> Caller:
        """Whose access key it is; one that was not given out here is the ambient identity's."""
        session = self._sessions.get(access_key)
        if session is not None:
            return session
        root = f"arn:aws:iam::{self.ambient_account}:root"
        return Caller(self.ambient_account, root, root, self.ambient_account)

    def expire_sessions(self) -> None:
        """Ends every session that was given out so far."""
        with self._lock:
            for session in self._sessions.values():
                session.is_expired = True

    def identity(self, caller: Caller) -> dict[str, Any]:
        """The answer of GetCallerIdentity."""
        return {"Account": caller.account_id, "Arn": caller.arn, "UserId": caller.user_id}

    def assume(self, caller: Caller, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of AssumeRole.

        Raises:
            RefusedError: the role is unknown or does not trust the caller, or the session may not be as long.
        """
        arn, session_name = parameters["RoleArn"], parameters["RoleSessionName"]
        seconds = parameters.get("DurationSeconds", _LONGEST_CHAINED)
        match = _ROLE_ARN.fullmatch(arn)
        if match is None:
            raise RefusedError("ValidationError", f"{arn} is invalid")
        if caller.is_session and seconds > _LONGEST_CHAINED:
            raise RefusedError(
                "ValidationError",
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
            )
        if not self._is_trusted(arn, caller, parameters.get("ExternalId")):
            message = f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            raise denied("sts", "AssumeRole", caller.arn, message=message)
        with self._lock:
            number = next(self._numbers)
            access_key, role_id = f"ASIA{number:016d}", f"AROA{number:016d}"
            account_id, name = match["account"], match["name"]
            session = Caller(
                account_id,
                principal=arn,
                arn=f"arn:{match['partition']}:sts::{account_id}:assumed-role/{name}/{session_name}",
                user_id=f"{role_id}:{session_name}",
                is_session=True,
            )
            self._sessions[access_key] = session
        return {
            "Credentials": {
                "AccessKeyId": access_key,
                "SecretAccessKey": "secret-of-the-fake",
                "SessionToken": f"token-{number}",
                "Expiration": datetime.now(UTC) + timedelta(seconds=seconds),
            },
            "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
        }

    def _is_trusted(self, arn: str, caller: Caller, external_id: str | None) -> bool:
        role = self.roles.get(arn)
        if role is None:
            return self.open_trust
        if role.external_id is not None and role.external_id != external_id:
            return False
        whole_account = (caller.account_id, f"{caller.principal.partition('::')[0]}::{caller.account_id}:root")
        return role.trusts in ("*", caller.principal, *whole_account)
