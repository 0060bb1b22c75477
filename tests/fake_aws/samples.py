"""Recorded answers of real accounts as accounts of the fake."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore import xform_name
from botocore.utils import parse_timestamp

from tests.fake_aws.fake import FakeAws
from tests.fake_aws.protocols import SERVICES, operation_model, operation_names

# Files of Batfish that are not named after an operation of EC2, `Describe` and then the file's name.
_OPERATION_OF_FILE: Mapping[str, tuple[str, str]] = {
    "Reservations": ("ec2", "DescribeInstances"),
    "InstanceStatuses": ("ec2", "DescribeInstanceStatus"),
    "MovingAddressStatuses": ("ec2", "DescribeMovingAddresses"),
    "LoadBalancers": ("elbv2", "DescribeLoadBalancers"),
    "TargetGroups": ("elbv2", "DescribeTargetGroups"),
    "DirectConnectGateways": ("directconnect", "DescribeDirectConnectGateways"),
    "VirtualInterfaces": ("directconnect", "DescribeVirtualInterfaces"),
}
# Files that hold one answer for each value of a parameter.
_FAN_OUT_OF_FILE: Mapping[str, tuple[str, str, str]] = {
    "LoadBalancerListeners": ("elbv2", "DescribeListeners", "LoadBalancerArn"),
    "LoadBalancerAttributes": ("elbv2", "DescribeLoadBalancerAttributes", "LoadBalancerArn"),
    "LoadBalancerTargetHealth": ("elbv2", "DescribeTargetHealth", "TargetGroupArn"),
    "TransitGatewayPropagations": ("ec2", "GetTransitGatewayRouteTablePropagations", "TransitGatewayRouteTableId"),
    "TransitGatewayStaticRoutes": ("ec2", "SearchTransitGatewayRoutes", "TransitGatewayRouteTableId"),
}
_ASSOCIATIONS = "DirectConnectGatewayAssociations"
_SERVICE_OF_ENDPOINT = {"monitoring": "cloudwatch"}
# They answer the same, whichever region is asked, or have one home.
_EVERYWHERE = {"iam", "organizations", "networkmanager"}
_ALL_REGIONS = {"DescribeDirectConnectGateways"}
_SOMEBODY = "123456789012"


@dataclass(slots=True)
class Loaded:
    """What was loaded.

    Attributes:
        accounts: regions by account id.
        operations: services and operations that were given an answer.
        ignored: files, and members of files, that no operation answers with.
    """

    accounts: dict[str, list[str]] = field(default_factory=dict)
    operations: set[tuple[str, str]] = field(default_factory=set)
    ignored: list[str] = field(default_factory=list)


def load_batfish(fake: FakeAws, folder: Path, account_id: str | None = None, region: str = "us-east-1") -> Loaded:
    """A sample of Batfish: files lie in the folder, in folders of regions, or in `accounts/<id>/<region>`.

    Without `account_id`, the account is the one that owns most of what is in the files; of several accounts, only
    `account_id` is loaded if it is given.
    """
    loaded = Loaded()
    for owner, place, files in _places(folder, region):
        account = owner or account_id or _most_frequent_owner(files)
        if account_id not in (None, account):
            continue
        loaded.accounts.setdefault(account, []).append(place)
        for file in files:
            _load_batfish_file(fake, file, account, place, loaded)
    return loaded


def load_custodian(fake: FakeAws, folder: Path, account_id: str, region: str) -> Loaded:
    """Recordings of Cloud Custodian, `<service>.<Operation>/*.json`; the first of each operation answers."""
    loaded = Loaded({account_id: [region]})
    for file in sorted(folder.glob("*/*.json")):
        endpoint, _, operation = file.parent.name.partition(".")
        recorded = json.loads(file.read_text())
        answer = recorded.get("data", recorded)
        answer.pop("ResponseMetadata", None)
        status = recorded.get("status_code", answer.pop("__status_code", 200))
        service = _load_balancing(answer) if endpoint == "elasticloadbalancing" else _service(endpoint)
        if status == 200:
            _load_first(fake, file, (service, operation), answer, loaded)
        else:
            loaded.ignored.append(_name(file))
    return loaded


def load_examples(fake: FakeAws, folder: Path, account_id: str, region: str) -> Loaded:
    """Examples of documentation, `<service>/<operation>.<n>.json`; the first of each operation answers."""
    loaded = Loaded({account_id: [region]})
    for file in sorted(folder.glob("*/*.json")):
        service, name = _service(file.parent.name), file.name.split(".")[0]
        operation = _operations_by_command(service).get(name, name) if service in SERVICES else name
        _load_first(fake, file, (service, operation), json.loads(file.read_text()), loaded)
    return loaded


def _load_first(
    fake: FakeAws, file: Path, operation: tuple[str, str], answer: Mapping[str, Any], loaded: Loaded
) -> None:
    (account_id, regions) = next(iter(loaded.accounts.items()))
    if operation[0] == "sts" or not _exists(*operation):
        loaded.ignored.append(_name(file))
    elif operation not in loaded.operations:
        _set(fake, account_id, regions[0], *operation, _fitted(*operation, answer, _name(file), loaded), loaded)


def _places(folder: Path, region: str) -> Iterator[tuple[str | None, str, list[Path]]]:
    """Account, where the folder names it, region, files."""
    for files_of in sorted({file.parent for file in folder.rglob("*.json")}):
        files = sorted(files_of.glob("*.json"))
        match files_of.relative_to(folder).parts:
            case ():
                yield None, region, files
            case (name,):
                yield None, name, files
            case ("accounts", account_id, name):
                yield account_id, name, files
            case other:
                raise ValueError(f"{folder} has files in {'/'.join(other)}, which is no place of an account's region")


def _most_frequent_owner(files: list[Path]) -> str:
    owners: Counter[str] = Counter()

    def count(value: Any) -> None:
        if isinstance(value, dict):
            owners.update([value["OwnerId"]] if isinstance(value.get("OwnerId"), str) else [])
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
            count(inner)

    for file in files:
        count(json.loads(file.read_text()))
    return next((owner for owner, _ in owners.most_common() if owner.isdigit()), _SOMEBODY)


def _load_batfish_file(fake: FakeAws, file: Path, account_id: str, region: str, loaded: Loaded) -> None:
    content = json.loads(file.read_text())
    stem, name = file.stem, _name(file)
    if stem in _FAN_OUT_OF_FILE:
        service, operation, parameter = _FAN_OUT_OF_FILE[stem]
        for item in content[stem]:
            rest = {member: value for member, value in item.items() if member != parameter}
            answer: Any = _fitted(service, operation, rest, name, loaded)
            if operation == "SearchTransitGatewayRoutes":
                answer = _routes_of_the_asked_types(answer)
            _set(fake, account_id, region, service, operation, answer, loaded, when={parameter: item[parameter]})
    elif stem == _ASSOCIATIONS:
        service, operation = "directconnect", "DescribeDirectConnectGatewayAssociations"
        whole = _fitted(service, operation, content, name, loaded)
        _set(fake, account_id, None, service, operation, _associations_of_the_asked_gateway(whole), loaded)
    else:
        service, operation = _OPERATION_OF_FILE.get(stem, ("ec2", f"Describe{stem}"))
        if not _exists(service, operation):
            loaded.ignored.append(name)
            return
        _set(
            fake,
            account_id,
            region,
            service,
            operation,
            _fitted(service, operation, content, name, loaded),
            loaded,
        )
        if stem == "TransitGatewayAttachments":
            _set_associations(fake, account_id, region, content[stem], loaded)


def _set_associations(
    fake: FakeAws, account_id: str, region: str, attachments: list[dict[str, Any]], loaded: Loaded
) -> None:
    """Attachments say with which route table they are associated, and so does an operation of its own."""
    by_table: dict[str, list[dict[str, Any]]] = {}
    for attachment in attachments:
        if association := attachment.get("Association"):
            row = {name: attachment[name] for name in ("TransitGatewayAttachmentId", "ResourceId", "ResourceType")}
            rows = by_table.setdefault(association["TransitGatewayRouteTableId"], [])
            rows.append({**row, "State": association["State"]})
    for table, rows in by_table.items():
        operation = "GetTransitGatewayRouteTableAssociations"
        when = {"TransitGatewayRouteTableId": table}
        _set(fake, account_id, region, "ec2", operation, {"Associations": rows}, loaded, when=when)


def _routes_of_the_asked_types(whole: Mapping[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def answer(parameters: dict[str, Any]) -> dict[str, Any]:
        types = [asked["Values"] for asked in parameters["Filters"] if asked["Name"] == "type"]
        routes = [route for route in whole["Routes"] if all(route["Type"] in values for values in types)]
        return {**whole, "Routes": routes}

    return answer


def _associations_of_the_asked_gateway(whole: Mapping[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    member = "directConnectGatewayAssociations"

    def answer(parameters: dict[str, Any]) -> dict[str, Any]:
        return {
            member: [
                row
                for row in whole[member]
                if parameters.get("directConnectGatewayId") in (None, row["directConnectGatewayId"])
                and parameters.get("associatedGatewayId") in (None, row["associatedGateway"]["id"])
            ]
        }

    return answer


def _set(
    fake: FakeAws,
    account_id: str,
    region: str | None,
    service: str,
    operation: str,
    answer: Any,
    loaded: Loaded,
    when: Mapping[str, Any] | None = None,
) -> None:
    place = None if service in _EVERYWHERE or operation in _ALL_REGIONS else region
    fake.answers(account_id, place, service, operation, answer, when=when)
    loaded.operations.add((service, operation))


def _fitted(service: str, operation: str, answer: Mapping[str, Any], name: str, loaded: Loaded) -> dict[str, Any]:
    """An answer as boto3 would return it; what AWS has no member for is left out."""
    shape = operation_model(service, operation).output_shape
    fitted: dict[str, Any] = _fit(shape, answer, name, loaded.ignored)
    return fitted


def _fit(shape: Any, value: Any, path: str, ignored: list[str]) -> Any:
    if shape.type_name == "structure":
        fitted = {}
        for name, inner in value.items():
            # Batfish writes the members of Direct Connect as those of EC2: UpperCamel.
            member = next((known for known in (name, name[:1].lower() + name[1:]) if known in shape.members), None)
            if member is None:
                ignored.append(f"{path}.{name}")
            elif inner is not None:
                fitted[member] = _fit(shape.members[member], inner, f"{path}.{name}", ignored)
        return fitted
    if shape.type_name == "list":
        return [_fit(shape.member, inner, f"{path}[]", ignored) for inner in value]
    if shape.type_name == "map":
        return {key: _fit(shape.value, inner, f"{path}.{key}", ignored) for key, inner in value.items()}
    if shape.type_name == "timestamp":
        return _instant(value)
    return value


def _instant(value: Any) -> datetime:
    """An instant from ISO text, seconds since 1970, or placebo's parts of a datetime."""
    if isinstance(value, dict):
        parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
        return datetime(**{part: value[part] for part in parts}, tzinfo=UTC)
    instant: datetime = parse_timestamp(value)
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def _service(endpoint: str) -> str:
    return _SERVICE_OF_ENDPOINT.get(endpoint, endpoint)


def _load_balancing(answer: Mapping[str, Any]) -> str:
    """elb and elbv2 are recorded under one name: only the older one names load balancers instead of their ARN."""
    described = answer.get("TagDescriptions") or [{}]
    return "elb" if "LoadBalancerDescriptions" in answer or "LoadBalancerName" in described[0] else "elbv2"


@functools.cache
def _operations_by_command(service: str) -> dict[str, str]:
    """Operations by their name in the AWS CLI, and by their own."""
    return {alias: name for name in operation_names(service) for alias in (xform_name(name, "-"), name)}


def _exists(service: str, operation: str) -> bool:
    return service in SERVICES and operation in operation_names(service)


def _name(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"
