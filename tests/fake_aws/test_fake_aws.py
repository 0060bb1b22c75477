"""Plain boto3 clients, without retries, see what the fake's switches promise."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from tests.fake_aws import FakeAws, RefusedError

_ACCOUNT = "111122223333"
_ROLE = f"arn:aws:iam::{_ACCOUNT}:role/team/reader"
_MODELS = botocore.session.get_session().get_component("data_loader")


@pytest.fixture
def fake() -> Iterator[FakeAws]:
    with FakeAws() as running:
        yield running


def client(
    fake: FakeAws,
    service: str,
    region: str = "us-east-1",
    *,
    account_id: str | None = None,
    credentials: dict[str, str] | None = None,
) -> Any:
    """A boto3 client that does not retry: of the ambient identity, of an account, or with these credentials."""
    if account_id is not None:
        credentials = _assume(fake, f"arn:aws:iam::{account_id}:role/reader")
    keys = credentials or {"AccessKeyId": "AMBIENT", "SecretAccessKey": "secret", "SessionToken": ""}
    session = botocore.session.Session()
    session.register_component("data_loader", _MODELS)
    return boto3.Session(botocore_session=session).client(
        service,
        region_name=region,
        endpoint_url=fake.url,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"] or None,
        config=Config(retries={"total_max_attempts": 1}),
    )


def _assume(fake: FakeAws, arn: str, credentials: dict[str, str] | None = None, **parameters: Any) -> dict[str, str]:
    sts = client(fake, "sts", credentials=credentials)
    answer = sts.assume_role(RoleArn=arn, RoleSessionName="test", **parameters)
    assumed: dict[str, str] = answer["Credentials"]
    return assumed


def _code(call: Callable[[], object]) -> tuple[str, int]:
    with pytest.raises(ClientError) as refused:
        call()
    return refused.value.response["Error"]["Code"], refused.value.response["ResponseMetadata"]["HTTPStatusCode"]


def _vpcs(count: int) -> dict[str, Any]:
    return {"Vpcs": [{"VpcId": f"vpc-{number}"} for number in range(count)]}


# Protocols

# fmt: off
_ANSWERS: list[tuple[str, str, str, dict[str, Any], dict[str, Any]]] = [
    ("ec2", "DescribeVpcs", "describe_vpcs", {},
     {"Vpcs": [{"VpcId": "vpc-1", "IsDefault": False, "Tags": [{"Key": "Name", "Value": "a <b> & ü"}]}]}),
    ("ec2", "DescribeNatGateways", "describe_nat_gateways", {},
     {"NatGateways": [{"NatGatewayId": "nat-1", "CreateTime": datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)}]}),
    ("iam", "ListAccountAliases", "list_account_aliases", {}, {"AccountAliases": ["acme"], "IsTruncated": False}),
    ("elb", "DescribeLoadBalancers", "describe_load_balancers", {},
     {"LoadBalancerDescriptions": [{"LoadBalancerName": "classic", "Subnets": ["subnet-1"]}]}),
    ("elbv2", "DescribeLoadBalancers", "describe_load_balancers", {},
     {"LoadBalancers": [{"LoadBalancerName": "network", "Type": "network"}]}),
    ("directconnect", "DescribeVirtualInterfaces", "describe_virtual_interfaces", {},
     {"virtualInterfaces": [{"virtualInterfaceId": "dxvif-1", "vlan": 101}]}),
    ("network-firewall", "DescribeFirewall", "describe_firewall", {"FirewallName": "edge"},
     {"Firewall": {"FirewallName": "edge", "FirewallPolicyArn": "arn:p", "VpcId": "vpc-1", "SubnetMappings": [],
                   "FirewallId": "1"}}),
    ("organizations", "ListAccounts", "list_accounts", {},
     {"Accounts": [{"Id": _ACCOUNT, "State": "ACTIVE",
                    "JoinedTimestamp": datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)}]}),
    ("cloudwatch", "GetMetricStatistics", "get_metric_statistics",
     {"Namespace": "AWS/NATGateway", "MetricName": "BytesIn", "StartTime": datetime(2026, 11, 23, tzinfo=UTC),
      "EndTime": datetime(2026, 11, 24, tzinfo=UTC), "Period": 300},
     {"Label": "BytesIn", "Datapoints": [{"Sum": 1.5, "Unit": "Bytes"}]}),
    ("networkmanager", "GetCoreNetwork", "get_core_network", {"CoreNetworkId": "core-network-1"},
     {"CoreNetwork": {"CoreNetworkId": "core-network-1", "Segments": [{"Name": "prod"}]}}),
    ("networkmanager", "GetNetworkRoutes", "get_network_routes",
     {"GlobalNetworkId": "global-1", "RouteTableIdentifier": {"TransitGatewayRouteTableArn": "arn:t"}},
     {"NetworkRoutes": [{"DestinationCidrBlock": "192.0.2.0/24"}], "RouteTableArn": "arn:t"}),
]
# fmt: on


@pytest.mark.parametrize(("service", "operation", "method", "parameters", "answer"), _ANSWERS)
def test_boto3_reads_the_answer_that_was_set(
    fake: FakeAws, service: str, operation: str, method: str, parameters: dict[str, Any], answer: dict[str, Any]
) -> None:
    fake.answers(_ACCOUNT, "us-east-1", service, operation, answer)

    read = getattr(client(fake, service, account_id=_ACCOUNT), method)(**parameters)

    assert {name: value for name, value in read.items() if name in answer} == answer
    assert fake.requests[_ACCOUNT, "us-east-1", service, operation] == 1


@pytest.mark.parametrize(
    ("service", "method", "rows"),
    [
        ("ec2", "describe_subnets", "Subnets"),
        ("elbv2", "describe_target_groups", "TargetGroups"),
        ("directconnect", "describe_lags", "lags"),
        ("networkmanager", "list_attachments", "Attachments"),
    ],
)
def test_without_an_answer_there_is_nothing(fake: FakeAws, service: str, method: str, rows: str) -> None:
    assert getattr(client(fake, service), method)()[rows] == []


def test_one_environment_variable_leads_every_client_here(fake: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", fake.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AMBIENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    for service, method in (("ec2", "describe_vpcs"), ("networkmanager", "list_core_networks")):
        getattr(boto3.Session(region_name="eu-west-1").client(service), method)()

    assert set(fake.requests) == {
        ("999999999999", "eu-west-1", "ec2", "DescribeVpcs"),
        ("999999999999", "eu-west-1", "networkmanager", "ListCoreNetworks"),
    }


# Answers


def test_answers_are_of_one_account_and_region_unless_they_are_for_any(fake: FakeAws) -> None:
    fake.answers(_ACCOUNT, "us-east-1", "ec2", "DescribeVpcs", _vpcs(1))
    fake.answers(None, "eu-west-1", "ec2", "DescribeVpcs", _vpcs(2))

    counts = [
        len(client(fake, "ec2", region, account_id=account_id).describe_vpcs()["Vpcs"])
        for account_id in (_ACCOUNT, "444455556666")
        for region in ("us-east-1", "eu-west-1", "eu-west-2")
    ]

    assert counts == [1, 2, 0, 0, 2, 0]


def test_an_answer_may_depend_on_parameters(fake: FakeAws) -> None:
    operation = "SearchTransitGatewayRoutes"
    for table in ("tgw-rtb-1", "tgw-rtb-2"):
        routes = {"Routes": [{"DestinationCidrBlock": f"192.0.2.{table[-1]}/32"}], "AdditionalRoutesAvailable": False}
        fake.answers(None, None, "ec2", operation, routes, when={"TransitGatewayRouteTableId": table})
    ec2 = client(fake, "ec2")

    found = [
        ec2.search_transit_gateway_routes(
            TransitGatewayRouteTableId=table, Filters=[{"Name": "state", "Values": ["active"]}]
        )["Routes"]
        for table in ("tgw-rtb-1", "tgw-rtb-2", "tgw-rtb-3")
    ]

    assert found == [[{"DestinationCidrBlock": "192.0.2.1/32"}], [{"DestinationCidrBlock": "192.0.2.2/32"}], []]


def test_an_answer_may_be_computed_and_refused(fake: FakeAws) -> None:
    def tags(parameters: dict[str, Any]) -> dict[str, Any]:
        if "arn:gone" in parameters["ResourceArns"]:
            raise RefusedError("LoadBalancerNotFound", "gone")
        return {"TagDescriptions": [{"ResourceArn": arn, "Tags": []} for arn in parameters["ResourceArns"]]}

    fake.answers(None, None, "elbv2", "DescribeTags", tags)
    elbv2 = client(fake, "elbv2")

    described = elbv2.describe_tags(ResourceArns=["arn:1", "arn:2"])["TagDescriptions"]

    assert [description["ResourceArn"] for description in described] == ["arn:1", "arn:2"]
    assert _code(lambda: elbv2.describe_tags(ResourceArns=["arn:gone"])) == ("LoadBalancerNotFound", 400)


def test_a_changed_answer_is_seen_once_it_is_given_again(fake: FakeAws) -> None:
    answer = _vpcs(1)
    fake.answers(None, None, "ec2", "DescribeVpcs", answer)
    ec2 = client(fake, "ec2")
    before = ec2.describe_vpcs()["Vpcs"]

    answer["Vpcs"].append({"VpcId": "vpc-late"})
    fake.answers(None, None, "ec2", "DescribeVpcs", answer)

    assert (len(before), len(ec2.describe_vpcs()["Vpcs"])) == (1, 2)


def test_names_that_aws_does_not_have_are_refused_at_once(fake: FakeAws) -> None:
    with pytest.raises(ValueError, match=r"no operation 'DescribeVpc'; DescribeVpcs\?"):
        fake.answers(None, None, "ec2", "DescribeVpc", {})
    with pytest.raises(ValueError, match="DescribeVpcs has no member VPCs"):
        fake.answers(None, None, "ec2", "DescribeVpcs", {"VPCs": []})
    with pytest.raises(ValueError, match="the fake has no service 's3'"):
        fake.answers(None, None, "s3", "ListBuckets", {})


def test_a_mistake_in_a_test_is_raised_at_the_end() -> None:
    def broken(parameters: dict[str, Any]) -> dict[str, Any]:
        raise KeyError("oops")

    fake = FakeAws().__enter__()
    fake.answers(None, None, "ec2", "DescribeVpcs", broken)
    answered = _code(client(fake, "ec2").describe_vpcs)

    with pytest.raises(KeyError, match="oops"):
        fake.__exit__(None, None, None)
    assert answered == ("InternalFailure", 500)


# Paging


@pytest.mark.parametrize("empty_pages", [False, True])
@pytest.mark.parametrize(
    ("service", "operation", "rows", "parameters"),
    [
        ("ec2", "describe_vpcs", "Vpcs", {}),
        ("elbv2", "describe_load_balancers", "LoadBalancers", {}),
        ("iam", "list_account_aliases", "AccountAliases", {}),
        ("organizations", "list_accounts", "Accounts", {}),
        ("network-firewall", "list_firewalls", "Firewalls", {}),
        ("networkmanager", "get_sites", "Sites", {"GlobalNetworkId": "global-1"}),
    ],
)
def test_paginators_read_every_page(
    fake: FakeAws, empty_pages: bool, service: str, operation: str, rows: str, parameters: dict[str, str]
) -> None:
    name = operation.title().replace("_", "")
    items: list[Any] = [f"alias-{n}" for n in range(7)] if service == "iam" else [{} for _ in range(7)]
    if service == "ec2":
        items = _vpcs(7)["Vpcs"]
    elif service == "elbv2":
        items = [{"LoadBalancerName": f"lb-{number}"} for number in range(7)]
    fake.answers(None, None, service, name, {rows: items})
    fake.page_size, fake.empty_pages = 3, empty_pages

    pages = list(client(fake, service).get_paginator(operation).paginate(**parameters))

    assert [item for page in pages for item in page[rows]] == items
    assert [len(page[rows]) for page in pages] == ([0, 3, 0, 3, 0, 1] if empty_pages else [3, 3, 1])


def test_the_smaller_limit_counts(fake: FakeAws) -> None:
    fake.answers(None, None, "ec2", "DescribeVpcs", _vpcs(12))
    ec2 = client(fake, "ec2")

    asked = len(ec2.describe_vpcs(MaxResults=5)["Vpcs"])
    fake.page_size = 4
    given = len(ec2.describe_vpcs(MaxResults=5)["Vpcs"])

    assert (asked, given) == (5, 4)


def test_direct_connect_pages_without_a_paginator(fake: FakeAws) -> None:
    fake.answers(None, None, "directconnect", "DescribeConnections", {"connections": [{"connectionId": "a"}] * 3})
    fake.page_size = 2
    direct_connect = client(fake, "directconnect")

    first = direct_connect.describe_connections()
    second = direct_connect.describe_connections(nextToken=first["nextToken"])

    assert (len(first["connections"]), len(second["connections"]), "nextToken" in second) == (2, 1, False)


def test_operations_without_tokens_answer_whole(fake: FakeAws) -> None:
    fake.answers(None, None, "ec2", "DescribeVpnGateways", {"VpnGateways": [{"VpnGatewayId": "vgw-1"}] * 9})
    fake.page_size, fake.empty_pages = 2, True

    assert len(client(fake, "ec2").describe_vpn_gateways()["VpnGateways"]) == 9


@pytest.mark.parametrize(
    ("service", "method", "parameters", "code"),
    [
        ("ec2", "describe_vpcs", {"MaxResults": 1001}, "InvalidParameterValue"),
        ("ec2", "describe_route_tables", {"MaxResults": 101}, "InvalidParameterValue"),
        ("elbv2", "describe_load_balancers", {"PageSize": 401}, "ValidationError"),
        ("organizations", "list_accounts", {"MaxResults": 21}, "InvalidInputException"),
        ("ec2", "describe_vpcs", {"NextToken": "made-up"}, "InvalidNextToken"),
    ],
)
def test_limits_and_tokens_that_aws_would_not_take(
    fake: FakeAws, service: str, method: str, parameters: dict[str, Any], code: str
) -> None:
    assert _code(lambda: getattr(client(fake, service), method)(**parameters)) == (code, 400)


# Identities


def test_the_account_of_a_call_is_that_of_its_session(fake: FakeAws) -> None:
    assumed = _assume(fake, _ROLE)

    ambient = client(fake, "sts").get_caller_identity()
    session = client(fake, "sts", credentials=assumed).get_caller_identity()

    assert (ambient["Account"], ambient["Arn"]) == ("999999999999", "arn:aws:iam::999999999999:root")
    assert (session["Account"], session["Arn"]) == (_ACCOUNT, f"arn:aws:sts::{_ACCOUNT}:assumed-role/reader/test")


@pytest.mark.parametrize(
    ("trusts", "role_wants", "caller_says", "is_trusted"),
    [
        ("999999999999", None, None, True),
        ("arn:aws:iam::999999999999:root", None, None, True),
        ("*", None, "unasked", True),
        ("444455556666", None, None, False),
        (_ROLE, None, None, False),
        ("999999999999", "secret-id", "secret-id", True),
        ("999999999999", "secret-id", "another", False),
        ("999999999999", "secret-id", None, False),
    ],
)
def test_a_role_is_assumed_by_whom_it_trusts(
    fake: FakeAws, trusts: str, role_wants: str | None, caller_says: str | None, is_trusted: bool
) -> None:
    fake.role(_ROLE, trusts=trusts, external_id=role_wants)
    said: dict[str, Any] = {} if caller_says is None else {"ExternalId": caller_says}

    if is_trusted:
        assert _assume(fake, _ROLE, **said)["AccessKeyId"]
    else:
        assert _code(lambda: _assume(fake, _ROLE, **said)) == ("AccessDenied", 403)


def test_a_role_may_trust_another_role(fake: FakeAws) -> None:
    second = "arn:aws:iam::444455556666:role/reader"
    fake.role(_ROLE, trusts="999999999999")
    fake.role(second, trusts=_ROLE)

    chained = _assume(fake, second, credentials=_assume(fake, _ROLE))

    assert client(fake, "sts", credentials=chained).get_caller_identity()["Account"] == "444455556666"
    assert _code(lambda: _assume(fake, second)) == ("AccessDenied", 403)


def test_unknown_roles_are_refused_once_a_role_is_known(fake: FakeAws) -> None:
    _assume(fake, "arn:aws:iam::444455556666:role/unknown")

    fake.role(_ROLE, trusts="*")

    assert _code(lambda: _assume(fake, "arn:aws:iam::444455556666:role/unknown")) == ("AccessDenied", 403)


def test_chained_sessions_last_one_hour_at_most(fake: FakeAws) -> None:
    first = _assume(fake, _ROLE, DurationSeconds=7200)

    assert _code(lambda: _assume(fake, _ROLE, first, DurationSeconds=3601)) == ("ValidationError", 400)
    assert _assume(fake, _ROLE, first, DurationSeconds=3600)["AccessKeyId"]


@pytest.mark.parametrize(
    ("service", "method", "code"),
    [
        ("ec2", "describe_vpcs", "RequestExpired"),
        ("elbv2", "describe_load_balancers", "ExpiredToken"),
        ("sts", "get_caller_identity", "ExpiredToken"),
        ("organizations", "list_accounts", "ExpiredTokenException"),
    ],
)
def test_sessions_expire_until_the_role_is_assumed_anew(fake: FakeAws, service: str, method: str, code: str) -> None:
    old = client(fake, service, account_id=_ACCOUNT)

    fake.expire_sessions()

    assert _code(getattr(old, method))[0] == code
    assert getattr(client(fake, service, account_id=_ACCOUNT), method)()


def test_a_disabled_region_is_not_listed_and_answers_nothing(fake: FakeAws) -> None:
    fake.disable_region(_ACCOUNT, "eu-west-3")
    ec2 = client(fake, "ec2", account_id=_ACCOUNT)

    enabled = {region["RegionName"] for region in ec2.describe_regions()["Regions"]}
    every = {region["RegionName"]: region["OptInStatus"] for region in ec2.describe_regions(AllRegions=True)["Regions"]}
    codes = [
        _code(getattr(client(fake, service, "eu-west-3", account_id=_ACCOUNT), method))[0]
        for service, method in (
            ("ec2", "describe_vpcs"),
            ("elbv2", "describe_load_balancers"),
            ("directconnect", "describe_lags"),
        )
    ]

    assert "us-east-1" in enabled
    assert "eu-west-3" not in enabled
    assert every["eu-west-3"] == "not-opted-in"
    assert codes == ["AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException"]
    assert client(fake, "ec2", "eu-west-3", account_id="444455556666").describe_vpcs()["Vpcs"] == []


# Rules


@pytest.mark.parametrize(
    ("service", "method", "denied", "throttled"),
    [
        ("ec2", "describe_vpcs", ("UnauthorizedOperation", 403), ("RequestLimitExceeded", 503)),
        ("iam", "list_account_aliases", ("AccessDenied", 403), ("Throttling", 400)),
        ("elb", "describe_load_balancers", ("AccessDenied", 403), ("Throttling", 400)),
        ("elbv2", "describe_load_balancers", ("AccessDenied", 403), ("Throttling", 400)),
        ("directconnect", "describe_lags", ("AccessDeniedException", 400), ("ThrottlingException", 400)),
        ("network-firewall", "list_firewalls", ("AccessDeniedException", 400), ("ThrottlingException", 400)),
        ("organizations", "list_accounts", ("AccessDeniedException", 400), ("TooManyRequestsException", 400)),
        ("cloudwatch", "list_metrics", ("AccessDeniedException", 400), ("ThrottlingException", 400)),
        ("networkmanager", "list_core_networks", ("AccessDeniedException", 403), ("ThrottlingException", 429)),
    ],
)
def test_services_refuse_in_their_own_words(
    fake: FakeAws, service: str, method: str, denied: tuple[str, int], throttled: tuple[str, int]
) -> None:
    ask = getattr(client(fake, service), method)

    with fake.deny(service=service):
        assert _code(ask) == denied
    with fake.throttle(service=service):
        assert _code(ask) == throttled

    assert ask()
    assert fake.throttled.total() == 1


def test_a_denial_holds_where_it_says_until_it_is_lifted(fake: FakeAws) -> None:
    rule = fake.deny(_ACCOUNT, "us-east-1", "ec2", "DescribeVpcs", code="AccessDenied", message="an explicit deny")
    here, there = (client(fake, "ec2", region, account_id=_ACCOUNT) for region in ("us-east-1", "eu-west-1"))

    with pytest.raises(ClientError, match=r"\(AccessDenied\).*an explicit deny"):
        here.describe_vpcs()
    others = [here.describe_subnets()["Subnets"], there.describe_vpcs()["Vpcs"]]
    rule.lift()

    assert others == [[], []]
    assert here.describe_vpcs()["Vpcs"] == []
    assert rule.fired == 1


def test_who_one_is_needs_no_permission(fake: FakeAws) -> None:
    fake.deny()

    assert client(fake, "sts").get_caller_identity()["Account"] == "999999999999"
    assert _code(lambda: _assume(fake, _ROLE)) == ("AccessDenied", 403)


def test_failures_come_after_so_many_calls_and_so_many_times(fake: FakeAws) -> None:
    fake.fail(service="ec2", code="Unavailable", status=503, after=1, times=2)
    ec2 = client(fake, "ec2")

    ec2.describe_vpcs()
    failed = [_code(ec2.describe_vpcs), _code(ec2.describe_subnets)]

    assert failed == [("Unavailable", 503)] * 2
    assert ec2.describe_vpcs()["Vpcs"] == []


@pytest.mark.parametrize(
    ("service", "operation", "method", "parameter", "code"),
    [
        (
            "ec2",
            "GetManagedPrefixListEntries",
            "get_managed_prefix_list_entries",
            "PrefixListId",
            "InvalidPrefixListId.NotFound",
        ),
        ("elbv2", "DescribeTargetHealth", "describe_target_health", "TargetGroupArn", "TargetGroupNotFound"),
        ("network-firewall", "DescribeFirewall", "describe_firewall", "FirewallArn", "ResourceNotFoundException"),
        ("networkmanager", "GetCoreNetwork", "get_core_network", "CoreNetworkId", "ResourceNotFoundException"),
    ],
)
def test_one_thing_vanishes_between_list_and_detail(
    fake: FakeAws, service: str, operation: str, method: str, parameter: str, code: str
) -> None:
    gone, still_there = "arn:aws:of:gone", "arn:aws:of:still-there"
    fake.vanish(service, operation, {parameter: gone})
    ask = getattr(client(fake, service), method)

    assert _code(lambda: ask(**{parameter: gone}))[0] == code
    assert ask(**{parameter: still_there})


def test_a_limit_is_a_bucket_for_each_account_region_and_operation(fake: FakeAws) -> None:
    fake.limit("ec2", rate=0.001, burst=2)
    ec2, elsewhere = client(fake, "ec2"), client(fake, "ec2", "eu-west-1")

    ec2.describe_vpcs(), ec2.describe_vpcs()
    throttled = _code(ec2.describe_vpcs)
    ec2.describe_subnets(), elsewhere.describe_vpcs()

    assert throttled == ("RequestLimitExceeded", 503)
    assert fake.throttled == {("999999999999", "us-east-1", "ec2", "DescribeVpcs"): 1}


def test_a_bucket_fills_again(fake: FakeAws) -> None:
    fake.limit("ec2", "DescribeVpcs", rate=20, burst=1)
    ec2 = client(fake, "ec2")

    ec2.describe_vpcs()
    time.sleep(0.06)

    assert ec2.describe_vpcs()["Vpcs"] == []


def test_slow_answers_do_not_hold_up_others(fake: FakeAws) -> None:
    fake.slow(1, service="ec2", operation="DescribeVpcs")
    ec2 = client(fake, "ec2")
    ec2.describe_subnets()
    started = time.perf_counter()

    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(ec2.describe_vpcs)
        ec2.describe_subnets()
        was_waiting = not slow.done()

    assert was_waiting
    assert time.perf_counter() - started >= 1


def test_answers_can_be_garbled(fake: FakeAws) -> None:
    fake.garble(service="ec2", body=b"<html>", status=200, times=1)
    ec2 = client(fake, "ec2")

    with pytest.raises(ResponseParserError):
        ec2.describe_vpcs()
    assert ec2.describe_vpcs()["Vpcs"] == []


def test_every_request_of_many_threads_is_counted(fake: FakeAws) -> None:
    fake.answers(None, None, "ec2", "DescribeVpcs", _vpcs(5))
    ec2 = client(fake, "ec2")

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: len(ec2.describe_vpcs()["Vpcs"]), range(80)))

    assert found == [5] * 80
    assert fake.requests.total() == 80
