"""What is behind a network interface, told by the interface's type, who asked for it, and its description.

Only AWS writes some interface types, and only AWS services appear as a requester `amazon-...` or as an account number of
AWS; a description alone can be typed by anybody. So no rule believes a description without a requester, and all rules
that believe a role of the account stand after the one for instances: what is attached to an instance is that instance,
whatever its description says. IAM users, and people whose role session is named by their e-mail address, are not
believed at all.

FSx, MemoryDB, DataSync, AppStream and Cloud WAN attachments have no rule: no description of theirs was found whole.
Transfer Family servers, Redshift Serverless and ElastiCache Serverless show as the VPC endpoints that they are made of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

# What anybody may ask for with CreateNetworkInterface; every other type says by itself which service made it.
TYPES_OF_USERS = ("interface", "branch", "trunk", "efa", "efa-only")

_AWS = r"^(?:amazon-[a-z-]+|[0-9]{12})$"
_AWS_OR_ROLE = r"^(?:amazon-[a-z-]+|[0-9]{12}|AROA[A-Z0-9]+:[^@]+)$"
_BY_AWS, _BY_AWS_OR_ROLE = "AWS", "AWS or a role of the account"
_NOBODY_ASKED = ""


@dataclass(frozen=True)
class EntityRule:
    """How an interface of one kind of entity looks; of all rules, the first that fits counts.

    Attributes:
        entity_type: the kind, AWS's singular in snake case.
        interface_types: that it may have; empty: any.
        requester: regular expression (of Rust's kind) that RequesterId must match; None: anybody may have asked.
        description: regular expression that the description must match. The groups `id` and `name` are the
            entity's; without `id`, the name is its identifier too.
        is_attached: whether the interface must be attached to an instance, which is then the entity.
        resource_type: of the metadata that gives its name; None: only the description may.
        example: a description that it fits.
        example_requester: who asked for the example.
        seen_in: where such an interface was seen.
    """

    entity_type: str
    seen_in: str
    example: str = ""
    description: str = ""
    interface_types: tuple[str, ...] = ("interface",)
    requester: str | None = None
    is_attached: bool = False
    resource_type: str | None = None
    example_requester: str = _NOBODY_ASKED

    @cached_property
    def type_suffices(self) -> bool:
        """Whether the type alone tells the kind, so that the description need not fit, and only gives the id."""
        return bool(self.interface_types) and not set(self.interface_types) & set(TYPES_OF_USERS)

    @cached_property
    def groups(self) -> frozenset[str]:
        """Which of `id` and `name` the description gives."""
        return frozenset(re.compile(self.description).groupindex)

    @property
    def believed(self) -> str:
        """In words, whose saying it is."""
        if self.is_attached:
            return "attached to an instance"
        if self.type_suffices:
            return "interface type"
        return {_AWS: _BY_AWS, _AWS_OR_ROLE: _BY_AWS_OR_ROLE}.get(self.requester or "", "the service's role session")


def _by_type(
    entity_type: str,
    interface_types: str,
    seen_in: str,
    example: str = "",
    description: str = "",
    names: str | None = None,
) -> EntityRule:
    return EntityRule(
        entity_type, seen_in, example, description, tuple(interface_types.split()), resource_type=names,
    )  # fmt: skip


def _by_text(
    entity_type: str,
    example: str,
    description: str,
    seen_in: str,
    asked_by: str = "111122223333",
    requester: str = _AWS,
    types: tuple[str, ...] = ("interface",),
    names: str | None = None,
) -> EntityRule:
    """A description that is believed of AWS."""
    return EntityRule(
        entity_type, seen_in, example, description, types, requester, resource_type=names, example_requester=asked_by
    )


def _by_role(entity_type: str, example: str, description: str, seen_in: str) -> EntityRule:
    """A description that a service writes with a role of the account, or might."""
    return _by_text(entity_type, example, description, seen_in, "AROAEXAMPLE:session", _AWS_OR_ROLE)


_SAMPLES = "samples of cloud-custodian and Batfish"
_CUSTODIAN = "cloud-custodian, get_eni_resource_type"
_API = "EC2 API, interface types"
_GUIDE = "EC2 User Guide, requester-managed network interfaces"
_IMPORTED = "interfaces imported to Terraform"
_INVENTORY = "public inventory of interfaces"

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_VPC_ENDPOINT = r"^VPC Endpoint Interface:? (?P<id>vpce-[0-9a-f]+)$"
_LOAD_BALANCER = r"^ELB (?P<id>(?:app|net|gwy)/(?P<name>[A-Za-z0-9-]+)/[0-9a-f]+)$"
_MOUNT_TARGET = r"^EFS mount target for (?P<name>fs-[0-9a-f]+) \((?P<id>fsmt-[0-9a-f]+)\)$"
_MSK_CLUSTER = r"arn:aws[a-z-]*:kafka:[a-z0-9-]+:[0-9]{12}:cluster/(?P<name>[^/]+)/[0-9a-f-]+"
_NOTEBOOK = r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:[0-9]{12}:notebook-instance/(?P<name>[A-Za-z0-9-]+)"

# fmt: off
RULES = (
    # The type is AWS's word.
    _by_type("nat_gateway",                    "nat_gateway natGateway", _SAMPLES, "Interface for NAT Gateway nat-001ede673d090598b", r"^Interface for NAT Gateway (?P<id>nat-[0-9a-f]+)$", "nat_gateway"),
    _by_type("load_balancer",                  "network_load_balancer gateway_load_balancer load_balancer", _SAMPLES, "ELB net/test-lb/725b996cb6be8fba", _LOAD_BALANCER, "load_balancer"),
    _by_type("gateway_load_balancer_endpoint", "gateway_load_balancer_endpoint", _API, "VPC Endpoint Interface vpce-019b90d6f16d4f958", _VPC_ENDPOINT, "vpc_endpoint"),
    _by_type("vpc_endpoint",                   "vpc_endpoint", _SAMPLES, "VPC Endpoint Interface vpce-083c683a6be29b889", _VPC_ENDPOINT, "vpc_endpoint"),
    _by_type("transit_gateway_attachment",     "transit_gateway", _SAMPLES, "Network Interface for Transit Gateway Attachment tgw-attach-07f5ec59e9f540021", r"^Network Interface for Transit Gateway Attachment (?P<id>tgw-attach-[0-9a-f]+)$", "transit_gateway_attachment"),
    _by_type("lambda_function",                "lambda", _SAMPLES, "AWS Lambda VPC ENI-test-python-8c7ac78b-e11d-4dea-8a47-ab2bdeba9bf5", rf"^AWS Lambda VPC ENI-(?P<name>[A-Za-z0-9_-]+)-{_UUID}$"),
    _by_type("efs_mount_target",               "efs", _SAMPLES, "EFS mount target for fs-017557a9f00b1bec9 (fsmt-0fca46e06dcfff8e2)", _MOUNT_TARGET),
    _by_type("api_gateway_vpc_link",           "api_gateway_managed", _CUSTODIAN, "ENI managed by APIGateway"),
    _by_type("global_accelerator",             "global_accelerator_managed", _API),
    _by_type("instance_connect_endpoint",      "ec2_instance_connect_endpoint", _API),
    _by_type("quicksight_vpc_connection",      "quicksight", _API),
    _by_type("iot_rule_destination",           "iot_rules_managed", _API),
    _by_type("codestar_connections_host",      "aws_codestar_connections_managed", _API),
    _by_type("cloudfront_vpc_origin",          "cloudfront_managed", "report of a VPC that could not be deleted"),
    _by_type("evs_environment",                "evs", _API),

    # A task on an instance has an interface of its own, which is attached to that instance: so it stands before it.
    _by_text("ecs_task", "arn:aws:ecs:us-east-1:111122223333:attachment/c8773f8d-1317-457a-ba3c-b57775ac6a04", r"^arn:aws[a-z-]*:ecs:[a-z0-9-]+:[0-9]{12}:attachment/(?P<id>[0-9a-f-]+)$", _SAMPLES, types=("interface", "branch")),

    # Also secondary and trunk interfaces of Kubernetes nodes (aws-K8S-i-..., aws-k8s-trunk-eni): a pod on a node is there.
    EntityRule("instance", _SAMPLES, "aws-K8S-i-0ad23684d897727a0", interface_types=(), is_attached=True, resource_type="instance"),

    # The description is believed, for AWS asked for the interface.
    _by_text("load_balancer",         "ELB app/billing-api/50dc6c495c0c9188", _LOAD_BALANCER, _CUSTODIAN, "amazon-elb", names="load_balancer"),
    _by_text("classic_load_balancer", "ELB new-life-001", r"^ELB (?P<name>[A-Za-z0-9-]+)$", _SAMPLES, "amazon-elb"),
    _by_text("vpc_endpoint",          "VPC Endpoint Interface: vpce-0f00567fa8477a1e6", _VPC_ENDPOINT, _GUIDE, names="vpc_endpoint"),
    _by_text("nat_gateway",           "Interface for NAT Gateway nat-0a8b0e0d28266841f", r"^Interface for NAT Gateway (?P<id>nat-[0-9a-f]+)$", _CUSTODIAN, names="nat_gateway"),
    _by_text("resource_gateway",      "Resource Gateway Interface rgw-0bba03f3d56060135", r"^Resource Gateway Interface (?P<id>rgw-[0-9a-f]+)$", _GUIDE),
    _by_text("resolver_endpoint",     "Route 53 Resolver: rslvr-in-55829d25693e4b729:rni-9494385465134fa5a", r"^Route 53 Resolver: (?P<id>rslvr-(?:in|out)-[0-9a-f]+):rni-[0-9a-f]+$", _INVENTORY),
    _by_text("client_vpn_endpoint",   "ClientVPN Endpoint resource", r"^ClientVPN Endpoint resource\b(?:.*(?P<id>cvpn-endpoint-[0-9a-f]+))?", "walk-through of Client VPN"),
    _by_text("efs_mount_target",      "EFS mount target for fs-028d2a86fa813320a (fsmt-07e238762319765b9)", _MOUNT_TARGET, _CUSTODIAN),
    _by_text("db_instance",           "RDSNetworkInterface", r"^RDSNetworkInterface$", _SAMPLES, "amazon-rds"),  # Aurora, DocumentDB and Neptune too
    _by_text("db_proxy",              "Network interface for DBProxy proxy-1734138353499-db-1", r"^Network interface for DBProxy (?P<name>[A-Za-z0-9-]+)$", _CUSTODIAN),
    _by_text("elasticache_cluster",   "ElastiCache gateway-redis-001", r"^ElastiCache[ +](?P<name>[A-Za-z0-9-]+)$", "xneyder/finisterra-1, " + _IMPORTED, "amazon-elasticache"),
    _by_text("redshift_cluster",      "RedshiftNetworkInterface", r"^RedshiftNetworkInterface$", _CUSTODIAN, "amazon-redshift"),
    _by_text("opensearch_domain",     "ES shared-01", r"^ES (?P<name>[a-z][a-z0-9-]+)$", "xneyder/finisterra-1, " + _IMPORTED, "amazon-elasticsearch"),
    _by_text("dax_cluster",           "DAX sessions", r"^DAX (?P<name>[A-Za-z0-9-]+)$", _CUSTODIAN),
    _by_text("dms_replication_instance", "DMSNetworkInterface", r"^DMSNetworkInterface$", _CUSTODIAN),
    _by_text("directory",             "AWS created network interface for directory d-90677cc91c", r"^AWS created network interface for directory (?P<id>d-[0-9a-f]+)\.?$", _SAMPLES),
    _by_text("sagemaker_notebook_instance", "[Do not delete] Network Interface created to access resources in your VPC for SageMaker Notebook Instance [arn:aws:sagemaker:us-east-1:111122223333:notebook-instance/research]", rf"^\[Do not delete\] Network Interface created .* SageMaker Notebook Instance \[?(?P<id>{_NOTEBOOK})\]?$", _INVENTORY),
    _by_text("sagemaker_domain",      "[DO NOT DELETE] ENI managed by SageMaker for Studio Domain(d-g7djlrunxivy) - a09d795df1d5926f328cb6564db19ab2", r"^\[DO NOT DELETE\] ENI managed by SageMaker for Studio Domain ?\((?P<id>d-[a-z0-9]+)\)", _IMPORTED),
    # The controller of EKS asks, not the node.
    _by_text("eks_pod",               "aws-k8s-branch-eni", r"^aws-k8s-branch-eni$", "EKS best practices, security groups for pods", types=("branch",)),

    # A service that uses a role of the account, told by the name of its session.
    _by_text("eks_cluster",           "Amazon EKS networkshop-eksctl", r"^Amazon EKS (?P<name>[A-Za-z0-9][A-Za-z0-9_-]*)$", "workshops of AWS on EKS", "AROAXHTQMN2OZD76U7M4M:AmazonEKS", r"^(?:[0-9]{12}|AROA[A-Z0-9]+:AmazonEKS)$"),
    _by_text("codebuild_build",       "", "", _INVENTORY, "AROA4RA5RHSMQJB6G3QWR:AWSCodeBuild-9e279ffd-06a0-4770-b168-57925eef7970", rf"^AROA[A-Z0-9]+:AWSCodeBuild-{_UUID}$"),

    # A service that uses, or might use, a role of the account: the description is all there is.
    _by_role("msk_cluster",           "DO NOT DELETE - Amazon MSK network interface for cluster arn:aws:kafka:eu-west-2:111122223333:cluster/kafka-cluster/6411a16c-75d7-48b0-afdb-8ed466fe2072-2.", rf"^DO NOT DELETE - Amazon MSK network interface for cluster (?P<id>{_MSK_CLUSTER})\.?$", _IMPORTED),
    _by_role("mq_broker",             "Amazon MQ network interface for broker b-03a68f4f-b3f4-43d9-8b61-bcfde3d37c3c", rf"^Amazon MQ network interface for broker (?P<id>b-{_UUID})$", _INVENTORY),
    _by_role("firehose_delivery_stream", "Amazon Kinesis Firehose - 111122223333:payments:1641374697543.", r"^Amazon Kinesis Firehose - [0-9]{12}:(?P<name>[A-Za-z0-9_.-]+):[0-9]+\.?$", _INVENTORY),
    _by_role("glue_connection",       "Attached to Glue using role: arn:aws:iam::111122223333:role/glue", r"^Attached to Glue using role: arn:aws[a-z-]*:iam::[0-9]{12}:role/", _INVENTORY),
    _by_role("emr_cluster",           "AWS ElasticMapReduce j-2AXXXXXXGAPLF", r"^AWS ElasticMapReduce\b(?:.*\b(?P<id>j-[A-Z0-9]+)$)?", _CUSTODIAN),
    _by_role("cloudhsm",              "CloudHsm ENI hsm-aaaabbbbccc", r"^CloudHsm ENI (?P<id>\S+)$", _CUSTODIAN),
    _by_role("workspace",             "Created By Amazon Workspaces for AWS Account ID 111122223333", r"^Created By Amazon Work[Ss]paces for AWS Account ID [0-9]{12}$", _INVENTORY),
)
# fmt: on

# The metadata that names an entity; of a kind that is not here, only the description gives a name.
NAMED_BY = {rule.entity_type: rule.resource_type for rule in RULES if rule.resource_type is not None}
