"""Network metadata: what the catalog says of an AWS operation, and the operations (`metadata_endpoints.csv` of AWS's lists)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

# IAM knows a service by another name than boto3.
_IAM_PREFIX = {"elb": "elasticloadbalancing", "elbv2": "elasticloadbalancing"}


class Reach(StrEnum):
    """Where an operation is asked."""

    REGION = "region"  # in every region that is used and enabled
    SERVICE_HOME = "service_home"  # once per account, where the global service lives
    EXPORT_REGION = "export_region"  # once per account: every region answers the same global objects


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForEach:
    """An operation that is asked once for each resource of another one, of the same service.

    Attributes:
        operation: boto3 method that lists the parents.
        parameters: JMESPath of each request parameter; `parent` is one row of the parents' operation, `account`
            the id of the account that is asked.
        key: JMESPath of what identifies the parent, under the names that its children's attributes carry.
        within: names and JMESPaths that multiply a parent, each seeing the names before it.
        where: JMESPath that a parent must fulfil.
    """

    operation: str
    parameters: Mapping[str, str]
    key: Mapping[str, str]
    within: tuple[tuple[str, str], ...] = ()
    where: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """One AWS read operation and the kind of resource that it lists.

    Attributes:
        service: boto3 client.
        name: boto3 method.
        resource_type: AWS's singular in snake case, as `metadata_changes` says it.
        rows: JMESPath of the resources in one answer.
        key: JMESPaths that identify a resource, the first always there; with `for_each` they follow the
            parent's key, and none are needed where a parent has one row.
        tags: JMESPath of the tags, where the resource has any.
        owner: JMESPath of the owning account, where the answer names one.
        name_field: JMESPath of the name where there is no Name tag.
        parameters: sent with every request.
        page_size: asked for explicitly: without it boto3 sends no MaxResults and AWS treats the call as
            unpaginated (metadata.md §5). None: the operation has no paging.
        withheld: JMESPath that is true where AWS kept rows back.
        volatile: members that change without anybody changing the resource; not stored. `A.B`: B within A.
        digested: members that are too large to keep; their digest and length are stored.
        in_order: lists mean something by their order; elsewhere AWS's order is chance.
    """

    service: str
    name: str
    resource_type: str
    rows: str
    key: tuple[str, ...]
    tags: str | None = "Tags"
    owner: str | None = None
    name_field: str | None = None
    reach: Reach = Reach.REGION
    for_each: ForEach | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    page_size: int | None = 1000
    withheld: str | None = None
    volatile: tuple[str, ...] = ()
    digested: tuple[str, ...] = ()
    in_order: bool = False

    @property
    def api_name(self) -> str:
        """AWS's name of the operation: DescribeVpcs."""
        return "".join(word.capitalize() for word in self.name.split("_"))

    @property
    def parent(self) -> str:
        """boto3 method for each of whose resources it is asked; empty: it is asked once."""
        return self.for_each.operation if self.for_each is not None else ""

    @property
    def action(self) -> str:
        """The IAM action that permits it."""
        return f"{_IAM_PREFIX.get(self.service, self.service)}:{self.api_name}"


# Never on disk, in a log or in a message (metadata.md §6): removed from every answer, wherever they stand in it.
SECRETS = frozenset({
    "CustomerGatewayConfiguration", "PreSharedKey",  # DescribeVpnConnections
    "authKey", "customerRouterConfig",  # Direct Connect's virtual interfaces and their BGP peers
})  # fmt: skip

# Requests a second and how many at once, of one operation in one account and region. EC2's typical describe bucket
# holds 100 and refills with 20 a second (metadata.md §5): a little less. AWS does not document the others: these are
# ours, and whatever AWS throttles slows down for a while (aws/pace.py).
PACE: Mapping[str, tuple[float, int]] = MappingProxyType({
    "ec2": (19.5, 97), "elb": (9.7, 19), "elbv2": (9.7, 19), "directconnect": (4.8, 9),
    "network-firewall": (4.8, 9), "networkmanager": (4.8, 9), "iam": (9.7, 19), "organizations": (4.8, 9),
    # ListMetrics allows 25. Of 180,000 datapoints a second, requests of one account after the other get 30,000 each.
    "cloudwatch": (20, 20),
})  # fmt: skip

# Where a global service answers, by partition. Absent: the partition does not have it.
SERVICE_HOMES: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "networkmanager": {"aws": "us-west-2", "aws-us-gov": "us-gov-west-1"},
    "iam": {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"},
})  # fmt: skip
