"""The role chain: ambient credentials, the export's primary role, a secondary role in each other account.

Chained sessions last one hour at most whatever the role allows, so every session refreshes itself, from a
parent that does the same (metadata.md §1).
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from kentik_dagster.configuration import ROLE_ARN, Export
from kentik_dagster.errors import AwsError, RoleRefusedError

_SESSION_SECONDS = 3600
_SESSION_NAME = "kentik-dagster"


def client_config(*, custom_endpoint: bool) -> Config:
    """Retries and time-outs, said explicitly: the environment's AWS_RETRY_MODE must not change what we do.

    A new one for every client: botocore writes into the retries of a Config that it is given.
    """
    return Config(
        retries={"total_max_attempts": 6, "mode": "standard"},
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

    def __init__(self, account_id: str, session: boto3.Session, *, custom_endpoint: bool) -> None:
        self.account_id = account_id
        self._session = session
        self._custom_endpoint = custom_endpoint
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str) -> Any:
        """The boto3 client of a service in a region."""
        with _making_clients:
            key = (service, region)
            if key not in self._clients:
                self._clients[key] = self._session.client(
                    service, region_name=region, config=client_config(custom_endpoint=self._custom_endpoint)
                )
            return self._clients[key]


class ExportAccess:
    """All accounts of one export, reached through its role chain; sessions are made when first asked for."""

    def __init__(self, export: Export, *, custom_endpoint: bool = False) -> None:
        self.export = export
        self._custom_endpoint = custom_endpoint
        self._accounts: dict[str, AccountAccess] = {}
        self._lock = threading.Lock()

    @property
    def primary(self) -> AccountAccess:
        """The export's own account: the one of its role, or the ambient one.

        Raises:
            RoleRefusedError: the primary role cannot be assumed.
            AwsError: there are no ambient credentials.
        """
        with self._lock:
            return self._primary()

    def account(self, account_id: str) -> AccountAccess:
        """An account of the export: its own, or another one through the secondary role.

        Raises:
            RoleRefusedError: a role of the chain cannot be assumed.
        """
        with self._lock:
            primary = self._primary()
            if account_id == primary.account_id:
                return primary
            if account_id not in self._accounts:
                role_arn = secondary_role_arn(self.export, account_id)
                session = self._assumed(primary._session, role_arn, None)
                self._accounts[account_id] = AccountAccess(account_id, session, custom_endpoint=self._custom_endpoint)
            return self._accounts[account_id]

    def _primary(self) -> AccountAccess:
        if "" not in self._accounts:
            ambient = _session(self.export.region)
            role = self.export.iam_role_arn
            if role is None:
                account_id = caller_identity(ambient, self.export.region)["Account"]
                session = ambient
            else:
                match = ROLE_ARN.fullmatch(role)
                assert match is not None
                account_id = match["account"]
                session = self._assumed(ambient, role, self.export.external_id)
            self._accounts[""] = AccountAccess(account_id, session, custom_endpoint=self._custom_endpoint)
        return self._accounts[""]

    def _assumed(self, parent: boto3.Session, role_arn: str, external_id: str | None) -> boto3.Session:
        refresh = _assume_role(parent, role_arn, external_id, self.export)
        session = _session(self.export.region)
        session._session._credentials = RefreshableCredentials.create_from_metadata(
            metadata=refresh(), refresh_using=refresh, method="sts-assume-role"
        )
        return session


def _session(region: str) -> boto3.Session:
    """A session with the ambient credentials."""
    core = botocore.session.get_session()
    core.register_component("data_loader", _service_models())
    return boto3.Session(botocore_session=core, region_name=region)


@functools.cache
def _service_models() -> Any:
    """botocore's descriptions of services: megabytes of JSON, parsed once in a process, for all accounts and runs."""
    return botocore.session.get_session().get_component("data_loader")


def secondary_role_arn(export: Export, account_id: str) -> str:
    """The role that collects another account of the export, in the partition of the export's own role."""
    match = ROLE_ARN.fullmatch(export.iam_role_arn or "")
    partition = match["partition"] if match else "aws"
    return f"arn:{partition}:iam::{account_id}:role/{export.role_suffix}"


def caller_identity(session: boto3.Session, region: str) -> dict[str, str]:
    """Who the session is: `Account`, `Arn`. Needs no permission."""
    try:
        answer = session.client("sts", region_name=region).get_caller_identity()
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
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "Unknown"))
    return type(error).__name__


def _assume_role(
    parent: boto3.Session, role_arn: str, external_id: str | None, export: Export
) -> Callable[[], dict[str, str]]:
    def refresh() -> dict[str, str]:
        condition = {"ExternalId": external_id} if external_id is not None else {}
        try:
            sts = parent.client("sts", region_name=export.region, config=client_config(custom_endpoint=False))
            answer = sts.assume_role(
                RoleArn=role_arn, RoleSessionName=_SESSION_NAME, DurationSeconds=_SESSION_SECONDS, **condition
            )
        except ClientError as error:
            caller = caller_identity(parent, export.region)["Arn"]
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
        credentials = answer["Credentials"]
        return {
            "access_key": credentials["AccessKeyId"],
            "secret_key": credentials["SecretAccessKey"],
            "token": credentials["SessionToken"],
            "expiry_time": credentials["Expiration"].isoformat(),
        }

    return refresh
