"""IAM in front of an AWS emulator: a proxy that lets through what the caller's policies allow, and refuses the rest.

The emulator behind it grants everything. Who calls is told by the access key: one that an AssumeRole gave out here is
that role's, any other is the ambient identity's. Requests become an IAM action and a resource as in the Service
Authorization Reference; what S3 asks of KMS on behalf of a reader is asked of the reader, too.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fake_aws.protocols import Call, HttpRequest, call_of, credential_of, failure, success
from tests.fake_aws.refusals import denied
from tests.setup.iam import is_allowed, trusts

_PREFIX = {"elb": "elasticloadbalancing", "elbv2": "elasticloadbalancing"}
_FREE = frozenset({"sts:GetCallerIdentity"})


@dataclass
class Role:
    """A role: who may assume it, and what it may do."""

    trust: Mapping[str, Any]
    policies: list[Mapping[str, Any]]


@dataclass(frozen=True)
class Asked:
    """One request, as IAM sees it."""

    caller: str
    action: str
    resource: str


@dataclass
class Enforcing:
    """The proxy, as a context manager.

    Attributes:
        endpoint_url: the emulator.
        ambient: the ARN of the role or user that has the ambient credentials.
        policies: what that one may do.
        roles: by ARN.
        context: what AWS adds to each request, for conditions.
        log_key: bucket and KMS key of log objects that are encrypted with it.
        asked: every request, in order.
    """

    endpoint_url: str
    ambient: str
    policies: list[Mapping[str, Any]]
    roles: dict[str, Role]
    context: dict[str, str | list[str]] = field(default_factory=dict)
    log_key: tuple[str, str] | None = None
    asked: list[Asked] = field(default_factory=list)
    mistakes: list[BaseException] = field(default_factory=list)
    _sessions: dict[str, str] = field(default_factory=dict)
    _kept: threading.local = field(default_factory=threading.local)

    def __enter__(self) -> Self:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65_537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                try:
                    proxy._answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                except BaseException as mistake:
                    proxy.mistakes.append(mistake)
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        if self.mistakes and error is None:
            raise self.mistakes[0]

    @property
    def url(self) -> str:
        """For AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = _body(handler)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = HttpRequest(handler.command, handler.path, headers, body)
        credential = credential_of(request)
        caller = self._sessions.get(credential.access_key, self.ambient)
        held = self.roles[caller].policies if caller in self.roles else self.policies
        context = {**self.context, "aws:PrincipalArn": caller}
        asked = list(_asked(request, credential.signing_name, credential.region))
        for action, resource in asked:
            self.asked.append(Asked(caller, action, resource))
            if action not in _FREE and not is_allowed(held, action, resource, context):
                return self._refuse(handler, request, credential.signing_name, caller, action)
            if action == "sts:AssumeRole" and not self._opens(resource, caller, request, context):
                return self._refuse(handler, request, credential.signing_name, caller, action)
            if action == "s3:GetObject" and self.log_key and resource.startswith(f"arn:aws:s3:::{self.log_key[0]}/"):
                of_key = context | _through_s3(self.log_key[0], credential.region)
                self.asked.append(Asked(caller, "kms:Decrypt", self.log_key[1]))
                if not is_allowed(held, "kms:Decrypt", self.log_key[1], of_key):
                    return self._refuse(handler, request, "s3", caller, "kms:Decrypt")
        if ("sts:GetCallerIdentity", "*") in asked:
            return self._identity(handler, request, caller)
        return self._forward(handler, request, asked)

    def _forward(self, handler: BaseHTTPRequestHandler, request: HttpRequest, asked: list[tuple[str, str]]) -> None:
        status, answered, content = self._forwarded(request)
        if asked and asked[0][0] == "sts:AssumeRole" and status == 200:
            key = re.search(rb"<AccessKeyId>([^<]+)", content)
            assert key is not None
            self._sessions[key[1].decode()] = asked[0][1]
        _send(handler, status, answered, content)

    def _opens(self, role_arn: str, caller: str, request: HttpRequest, context: Mapping[str, str | list[str]]) -> bool:
        external_id = parse_qs(request.body.decode()).get("ExternalId")
        said = {"sts:ExternalId": external_id[0]} if external_id else {}
        role = self.roles.get(role_arn)
        return role is not None and trusts(role.trust, caller, {**context, **said})

    def _forwarded(self, request: HttpRequest) -> tuple[int, list[tuple[str, str]], bytes]:
        place = urlsplit(self.endpoint_url)
        # A client's connection has a thread of its own, and keeps one to the emulator.
        connection = getattr(self._kept, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._kept.connection = connection
        sent = {name: value for name, value in request.headers.items() if name not in ("connection", "expect")}
        connection.request(request.method, request.path, request.body, sent)
        answer = connection.getresponse()
        content = answer.read()
        if answer.will_close:
            connection.close()
            self._kept.connection = None
        return answer.status, answer.getheaders(), content

    def _identity(self, handler: BaseHTTPRequestHandler, request: HttpRequest, caller: str) -> None:
        account, _, name = caller.removeprefix("arn:aws:iam::").partition(":")
        shown = f"arn:aws:sts::{account}:assumed-role/{name.rpartition('/')[2]}/session"
        call = call_of(request, "sts")
        reply = success(call, {"Account": account, "Arn": shown, "UserId": "AROAEXAMPLE:session"})
        _send(handler, reply.status, [("Content-Type", reply.content_type)], reply.body)

    def _refuse(
        self, handler: BaseHTTPRequestHandler, request: HttpRequest, service: str, caller: str, action: str
    ) -> None:
        message = f"User: {caller} is not authorized to perform: {action}"
        if service == "s3":
            content = f"<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>".encode()
            return _send(handler, 403, [("Content-Type", "application/xml")], content)
        if service == "sqs":
            content = json.dumps(
                {"__type": "com.amazon.coral.service#AccessDeniedException", "message": message}
            ).encode()
            return _send(handler, 400, [("Content-Type", "application/x-amz-json-1.0")], content)
        call = call_of(request, service)
        refusal = denied(call.service, call.operation, caller)
        reply = failure(call.service, call.protocol, refusal.code, message, refusal.status)
        return _send(handler, reply.status, [("Content-Type", reply.content_type)], reply.body)


def _through_s3(bucket: str, region: str) -> dict[str, str | list[str]]:
    return {
        "kms:ViaService": f"s3.{region}.amazonaws.com",
        "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}",
        "kms:ResourceAliases": [f"alias/{bucket}"],
    }


def _asked(request: HttpRequest, service: str, region: str) -> Iterator[tuple[str, str]]:
    """The action and the resource of each thing that a request does."""
    if service == "s3":
        yield from _asked_of_s3(request)
    elif service == "sqs":
        operation = request.headers["x-amz-target"].partition(".")[2]
        _, account, name = urlsplit(json.loads(request.body)["QueueUrl"]).path.split("/")
        yield f"sqs:{operation.removesuffix('Batch')}", f"arn:aws:sqs:{region}:{account}:{name}"
    elif service == "sts":
        parameters = parse_qs(request.body.decode())
        operation = parameters["Action"][0]
        yield f"sts:{operation}", parameters["RoleArn"][0] if operation == "AssumeRole" else "*"
    else:
        call: Call = call_of(request, service)
        yield f"{_PREFIX.get(call.service, call.service)}:{call.operation}", "*"


def _asked_of_s3(request: HttpRequest) -> Iterator[tuple[str, str]]:
    url = urlsplit(request.path)
    query = parse_qs(url.query, keep_blank_values=True)
    bucket, _, key = unquote(url.path).lstrip("/").partition("/")
    of_bucket, of_object = f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/{key}"
    if not key and "delete" in query:
        for name in re.findall(rb"<Key>([^<]*)</Key>", request.body):
            yield "s3:DeleteObject", f"{of_bucket}/{name.decode()}"
    elif not key and "notification" in query:
        yield "s3:GetBucketNotification", of_bucket
    elif not key and request.method in ("GET", "HEAD"):
        yield "s3:ListBucket", of_bucket
    elif request.method == "DELETE":
        yield "s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject", of_object
    elif key:
        yield "s3:GetObject" if request.method in ("GET", "HEAD") else "s3:PutObject", of_object
    else:
        raise AssertionError(f"{request.method} {request.path} is unknown to the judge")


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))


def _send(handler: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
    handler.send_response_only(status)
    for name, value in headers:
        if name.lower() not in ("connection", "content-length", "transfer-encoding"):
            handler.send_header(name, value)
    is_head = handler.command == "HEAD"
    length = next((value for name, value in headers if is_head and name.lower() == "content-length"), str(len(content)))
    handler.send_header("Content-Length", length)
    handler.end_headers()
    if not is_head:
        handler.wfile.write(content)
