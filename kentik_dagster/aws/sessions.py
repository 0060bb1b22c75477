"""The role chain: ambient credentials, the export's primary role, a secondary role in each other account.

Chained sessions last one hour at most whatever the role allows, so every session refreshes itself, from a
parent that does the same (metadata.md §1).
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.utils import parse_timestamp

from kentik_dagster.aws.pace import Pace
from kentik_dagster.aws.whole_answers import expect_whole_answers
from kentik_dagster.catalog.network import PACE
from kentik_dagster.catalog.outcomes import EXPIRED_CODES
from kentik_dagster.configuration import Export
from kentik_dagster.configuration.values import ROLE_ARN
from kentik_dagster.errors import AwsError, RoleRefusedError

_SESSION_SECONDS = 3600
_SESSION_NAME = "kentik-dagster"


def client_config(*, custom_endpoint: bool) -> Config:
    """Retries and time-outs, said explicitly: the environment's AWS_RETRY_MODE must not change what we do.

    A new one for every client: botocore writes into the retries of a Config that it is given.
    """
    return Config(
        retries={"total_max_attempts": 8, "mode": "standard"},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=32,
        user_agent_extra="kentik-dagster",
        # AWS's own endpoints take the bucket in the host name; others may have no name for it.
        s3={"addressing_style": "path" if custom_endpoint else "auto"},
    )


# botocore's loader and sessions are not made for threads: without a lock, each would parse the same model again.
_making_clients = threading.Lock()


class AccountAccess:
    """Clients of one account, one for each service and region; safe to use from several threads."""

    def __init__(
        self, account_id: str, new_session: Callable[[], boto3.Session], *, role_arn: str | None, custom_endpoint: bool
    ) -> None:
        """`new_session` gives a session of the account, at once and again whenever AWS takes one for expired."""
        self.account_id, self.role_arn = account_id, role_arn
        self._new_session = new_session
        self._session = new_session()
        self._custom_endpoint = custom_endpoint
        self._clients: dict[tuple[str, str], Any] = {}
        self._paces: dict[tuple[str, str], Pace] = {}
        self._renewing = threading.Lock()

    @property
    def partition(self) -> str:
        """The AWS partition: that of its role, else that of the ambient credentials' region."""
        if self.role_arn is not None:
            return self.role_arn.split(":")[1]
        return str(self._session.get_partition_for_region(self._session.region_name))

    @property
    def session(self) -> boto3.Session:
        """The session of now."""
        return self._session

    def client(self, service: str, region: str) -> Any:
        """The boto3 client of a service in a region."""
        with _making_clients:
            key = (service, region)
            if key not in self._clients:
                client = self._session.client(
                    service, region_name=region, config=client_config(custom_endpoint=self._custom_endpoint)
                )
                expect_whole_answers(client)
                if service in PACE:
                    self._paces.setdefault(key, Pace(*PACE[service])).keep(client)
                self._clients[key] = client
            return self._clients[key]

    def throttled(self, service: str, region: str, api_name: str) -> int:
        """How often AWS has throttled an operation so far."""
        pace = self._paces.get((service, region))
        return pace.throttled[api_name] if pace is not None else 0

    def renew(self, expired: Any) -> None:
        """Assume the role anew, after AWS answered that the session of a client has expired.

        Raises:
            AwsError: the role cannot be assumed any more.
        """
        with self._renewing:
            if expired not in self._clients.values():
                return  # another thread was faster
            session = self._new_session()
            with _making_clients:
                self._session, self._clients = session, {}


class ExportAccess:
    """All accounts of one export, reached through its role chain; sessions are made when first asked for."""

    def __init__(self, export: Export, *, custom_endpoint: bool = False) -> None:
        self.export = export
        self._custom_endpoint = custom_endpoint
        self._the_primary: AccountAccess | None = None
        self._others: dict[str, AccountAccess] = {}
        self._lock = threading.Lock()

    @property
    def primary(self) -> AccountAccess:
        """The export's own account: the one of its role, or the ambient one.

        Raises:
            RoleRefusedError: the primary role cannot be assumed.
            AwsError: there are no ambient credentials.
        """
        with self._lock:
            if self._the_primary is None:
                self._the_primary = self._primary()
            return self._the_primary

    def account(self, account_id: str) -> AccountAccess:
        """An account of the export: its own, or another one through the secondary role.

        Raises:
            RoleRefusedError: a role of the chain cannot be assumed.
        """
        primary = self.primary
        if account_id == primary.account_id:
            return primary
        with self._lock:
            known = self._others.get(account_id)
        if known is not None:
            return known
        # Not under the lock: hundreds of accounts would wait for each other's role.
        role_arn = secondary_role_arn(self.export, account_id)
        made = AccountAccess(
            account_id,
            lambda: self._secondary(primary, role_arn),
            role_arn=role_arn,
            custom_endpoint=self._custom_endpoint,
        )
        with self._lock:
            return self._others.setdefault(account_id, made)

    def forget(self, account_id: str) -> None:
        """Let go of an account's clients, which are megabytes; it is reached anew when it is asked for again."""
        with self._lock:
            self._others.pop(account_id, None)

    def _primary(self) -> AccountAccess:
        region = self.export.region
        ambient = _session(region)
        sts = _client_of(ambient, "sts", region)
        role = self.export.iam_role_arn
        if role is None:
            account_id = caller_identity(sts)["Account"]
            return AccountAccess(account_id, lambda: ambient, role_arn=None, custom_endpoint=self._custom_endpoint)
        match = ROLE_ARN.fullmatch(role)
        assert match is not None
        return AccountAccess(
            match["account"],
            lambda: self._assumed(lambda: sts, role, self.export.external_id),
            role_arn=role,
            custom_endpoint=self._custom_endpoint,
        )

    def _secondary(self, primary: AccountAccess, role_arn: str) -> boto3.Session:
        def sts() -> Any:
            return primary.client("sts", self.export.region)

        asked = sts()
        try:
            return self._assumed(sts, role_arn, None)
        except AwsError as error:
            if error.code not in EXPIRED_CODES:
                raise
            primary.renew(asked)
            return self._assumed(sts, role_arn, None)

    def _assumed(self, sts: Callable[[], Any], role_arn: str, external_id: str | None) -> boto3.Session:
        refresh = _assume_role(sts, role_arn, external_id, self.export)
        session = _session(self.export.region)
        session._session._credentials = RefreshableCredentials.create_from_metadata(
            metadata=refresh(), refresh_using=refresh, method="sts-assume-role"
        )
        return session


def ambient_client(service: str, region: str) -> Any:
    """A client with the ambient credentials."""
    return _client_of(_session(region), service, region)


def _client_of(session: boto3.Session, service: str, region: str) -> Any:
    with _making_clients:
        client = session.client(service, region_name=region, config=client_config(custom_endpoint=False))
        expect_whole_answers(client)
        return client


def _session(region: str) -> boto3.Session:
    """A session with the ambient credentials."""
    core = botocore.session.get_session()
    core.register_component("data_loader", _service_models())
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_instant)
    return boto3.Session(botocore_session=core, region_name=region)


def _instant(value: Any) -> Any:
    """A time of an answer; four fifths of what it costs to read a listing went into botocore's guessing of formats."""
    if isinstance(value, str) and value[10:11] == "T":
        with contextlib.suppress(ValueError):
            instant = datetime.fromisoformat(value)
            if instant.tzinfo is not None:
                return instant
    return parse_timestamp(value)


@functools.cache
def _service_models() -> Any:
    """botocore's descriptions of services: megabytes of JSON, parsed once in a process, for all accounts and runs."""
    return botocore.session.get_session().get_component("data_loader")


def secondary_role_arn(export: Export, account_id: str) -> str:
    """The role that collects another account of the export, in the partition of the export's own role."""
    match = ROLE_ARN.fullmatch(export.iam_role_arn or "")
    partition = match["partition"] if match else "aws"
    return f"arn:{partition}:iam::{account_id}:role/{export.role_suffix}"


def caller_identity(sts: Any) -> dict[str, str]:
    """Who an STS client is: `Account`, `Arn`. Needs no permission."""
    try:
        answer = sts.get_caller_identity()
    except NoCredentialsError as error:
        raise AwsError(
            "no AWS credentials were found. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run "
            "where a role is attached.",
            "NoCredentials",
        ) from error
    except (ClientError, BotoCoreError) as error:
        raise AwsError(
            f"AWS does not say who we are: {error}. Check the ambient credentials.", error_code(error)
        ) from error
    return {"Account": str(answer["Account"]), "Arn": str(answer["Arn"])}


def error_code(error: Exception) -> str:
    """AWS's code of an error; the exception's name where AWS said nothing."""
    if isinstance(error, AwsError):
        return error.code
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "Unknown"))
    return type(error).__name__


def _assume_role(
    sts: Callable[[], Any], role_arn: str, external_id: str | None, export: Export
) -> Callable[[], dict[str, str]]:
    def refresh() -> dict[str, str]:
        condition = {"ExternalId": external_id} if external_id is not None else {}
        try:
            answer = sts().assume_role(
                RoleArn=role_arn, RoleSessionName=_SESSION_NAME, DurationSeconds=_SESSION_SECONDS, **condition
            )
        except ClientError as error:
            caller = caller_identity(sts())["Arn"]
            raise RoleRefusedError(
                role_arn, caller, export.name, error_code(error), with_external_id=external_id is not None
            ) from error
        except NoCredentialsError as error:
            raise AwsError(
                f"cannot assume {role_arn}: no AWS credentials were found. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or run where a role is attached.",
                "NoCredentials",
            ) from error
        except BotoCoreError as error:
            raise AwsError(
                f"cannot assume {role_arn}: {error}. Check the network and AWS_ENDPOINT_URL.", error_code(error)
            ) from error
        assumed = str(answer["AssumedRoleUser"]["Arn"])
        if assumed.split(":")[4] != role_arn.split(":")[4]:
            raise AwsError(
                f"asked for {role_arn}, and AWS gave {assumed}: nothing is collected with it", "WrongAccount"
            )
        credentials = answer["Credentials"]
        return {
            "access_key": credentials["AccessKeyId"],
            "secret_key": credentials["SecretAccessKey"],
            "token": credentials["SessionToken"],
            "expiry_time": credentials["Expiration"].isoformat(),
        }

    return refresh
