"""What requests mean and what answers look like on the wire: moto's own routers, parsers and serializers do both."""

from __future__ import annotations

import difflib
import functools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.core.model import OperationModel, ServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import SerializationContext, get_serializer_class
from moto.core.utils import get_service_model

from tests.fake_aws.refusals import RefusedError

SERVICES = (
    "ec2",
    "sts",
    "iam",
    "elb",
    "elbv2",
    "directconnect",
    "network-firewall",
    "organizations",
    "cloudwatch",
    "networkmanager",
)

_CONTEXT = SerializationContext("00000000-0000-4000-8000-000000000000")

# moto's models fill themselves while they are used, and are not made for threads.
_models = threading.Lock()


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it came; the names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Credential:
    """What a signature says without being checked: whose it is, for which region, and what the service calls itself."""

    access_key: str
    region: str
    signing_name: str


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation, with its parameters under AWS's names; nobody may change those."""

    service: str
    operation: str
    protocol: str
    parameters: Mapping[str, Any] = field(hash=False)


def credential_of(request: HttpRequest) -> Credential:
    """Raises ValueError where the request is not signed."""
    scope = request.headers.get("authorization", "").partition("Credential=")[2].partition(",")[0].split("/")
    if len(scope) != 5:
        raise ValueError(f"{request.method} {request.path} is not signed with Signature Version 4")
    return Credential(access_key=scope[0], region=scope[2], signing_name=scope[3])


def call_of(request: HttpRequest, signing_name: str) -> Call:
    """What a request asks for.

    Raises:
        LookupError: it is for a service or an operation that this fake does not know.
    """
    kind = tuple((name, request.headers[name]) for name in ("content-type", "x-amz-target") if name in request.headers)
    return _call(signing_name, request.method, request.path, kind, request.body)


@functools.lru_cache(maxsize=8192)  # many accounts ask the very same question
def _call(signing_name: str, method: str, path: str, kind: tuple[tuple[str, str], ...], body: bytes) -> Call:
    with _models:
        model = _service_model(signing_name, body)
        request = Request.from_primitives(method, f"http://localhost{path}", dict(kind), body)
        operation, in_the_path = get_service_router(model.service_name).match(request)
        protocol = determine_request_protocol(model, request.content_type)
        parameters = PROTOCOL_PARSERS[protocol](operation).parse(
            {
                "method": method,
                "values": request.values,
                "headers": request.headers,
                "body": body,
                "url_path": request.path,
                "url_params": in_the_path,
            }
        )
        # A path or query string that is absent comes as None.
        given = {name: value for name, value in parameters.items() if value is not None}
        return Call(str(model.service_name), str(operation.name), protocol, given)


def _service_model(signing_name: str, body: bytes) -> Any:
    candidates = [model for model in map(get_service_model, SERVICES) if model.signing_name == signing_name]
    for model in candidates:
        # elb and elbv2 sign with one name, and differ by the version of their API.
        if len(candidates) == 1 or f"Version={model.api_version}".encode() in body:
            return model
    raise LookupError(f"the fake has no service that signs as {signing_name}; it has {', '.join(SERVICES)}")


def operation_names(service: str) -> list[str]:
    """The operations of a service."""
    with _models:
        return list(get_service_model(service).operation_names)


def operation_model(service: str, operation: str) -> Any:
    """botocore's description of an operation.

    Raises:
        ValueError: there is none of this name.
    """
    if service not in SERVICES:
        raise ValueError(f"the fake has no service {service!r}; it has {', '.join(SERVICES)}")
    with _models:
        model = get_service_model(service)
        if operation not in model.operation_names:
            close = difflib.get_close_matches(operation, model.operation_names, 1)
            raise ValueError(f"{service} has no operation {operation!r}" + (f"; {close[0]}?" if close else ""))
        return model.operation_model(operation)


def success(call: Call, answer: Mapping[str, Any]) -> Reply:
    """An answer under boto3's member names, as the service sends it."""
    operation = operation_model(call.service, call.operation)
    with _models:
        serializer = get_serializer_class(call.service, call.protocol)(operation, context=_CONTEXT)
        return _reply(serializer.serialize(answer))


@functools.lru_cache(maxsize=1024)
def failure(service: str, protocol: str, code: str, message: str, status: int) -> Reply:
    """An error as the service sends it."""
    with _models:
        # Most codes of AWS are in no model: a model of the service that has just this error knows how to send it.
        model = ServiceModel(
            {
                "metadata": get_service_model(service).metadata,
                "operations": {},
                "shapes": {
                    code: {
                        "type": "structure",
                        "members": {},
                        "exception": True,
                        "error": {"code": code, "httpStatusCode": status},
                    }
                },
            },
            service,
        )
        serializer = get_serializer_class(service, protocol)(OperationModel({}, model), context=_CONTEXT)
        return _reply(serializer.serialize(RefusedError(code, message, status)))


def _reply(serialized: Mapping[str, Any]) -> Reply:
    body = serialized["body"]
    return Reply(
        serialized["status_code"],
        serialized["headers"].get("Content-Type", "text/plain"),
        body if isinstance(body, bytes) else str(body).encode(),
    )
