"""The fake itself: what tests set, and what becomes of a request."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from tests.fake_aws import refusals
from tests.fake_aws.protocols import Call, HttpRequest, Reply, call_of, credential_of, failure, success
from tests.fake_aws.refusals import RefusedError
from tests.fake_aws.rules import Delay, Effect, Garbage, Rule, Scope, Selector, TokenBuckets
from tests.fake_aws.server import Server
from tests.fake_aws.store import Answer, Store
from tests.fake_aws.trust import Caller, Role, Trust

# What an account has without opting in.
_REGIONS = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
    *("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
)


class FakeAws:
    """AWS on a loopback port, as a context manager; the package says what it can do.

    Attributes:
        page_size: no page is longer; None leaves it to the limits that clients ask for.
        empty_pages: an empty page with a token comes before each page.
        ambient_account: the account of access keys that the fake did not give out.
        requests: how often (account_id, region, service, operation) was called, refused calls included.
        throttled: how many of these calls were refused by `throttle` or `limit`.
        mistakes: what the tests' own callables raised, and requests that the fake does not understand.
    """

    def __init__(self, *, ambient_account: str = "999999999999") -> None:
        self.page_size: int | None = None
        self.empty_pages = False
        self.requests: Counter[tuple[str, str, str, str]] = Counter()
        self.throttled: Counter[tuple[str, str, str, str]] = Counter()
        self.mistakes: list[Exception] = []
        self._store = Store()
        self._trust = Trust(ambient_account)
        self._rules: tuple[Rule, ...] = ()
        self._disabled: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._is_ending = threading.Event()
        self._server = Server(self._reply)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_ending.set()
        self._server.stop()
        if self.mistakes and error is None:
            raise self.mistakes[0]

    @property
    def url(self) -> str:
        """Where it answers, for AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answers(
        self,
        account_id: str | None,
        region: str | None,
        service: str,
        operation: str,
        answer: Answer,
        *,
        when: Mapping[str, Any] | None = None,
    ) -> None:
        """Sets the whole answer of an operation (`DescribeVpcs`), where `when` is given for these parameters only.

        Raises:
            ValueError: the service has no such operation, or the operation no such member or parameter.
        """
        self._store.set((account_id, region, service, operation), answer, dict(when or {}))

    # Identities

    @property
    def ambient_account(self) -> str:
        """The account of access keys that were not given out here."""
        return self._trust.ambient_account

    @ambient_account.setter
    def ambient_account(self, account_id: str) -> None:
        self._trust.ambient_account = account_id

    @property
    def roles(self) -> dict[str, Role]:
        """The registered roles by ARN; may be changed."""
        return self._trust.roles

    @property
    def open_trust(self) -> bool:
        """Whether roles that were not registered can be assumed; so until the first role is registered."""
        return self._trust.open_trust

    @open_trust.setter
    def open_trust(self, is_open: bool) -> None:
        self._trust.open_trust = is_open

    def role(self, arn: str, *, trusts: str, external_id: str | None = None) -> None:
        """Registers a role; `trusts` is an account id, `arn:aws:iam::<account>:root`, a role's ARN or `*`."""
        self._trust.roles[arn] = Role(trusts, external_id)
        self._trust.open_trust = False

    def expire_sessions(self) -> None:
        """Ends all sessions given out so far: their calls answer that the token is expired."""
        self._trust.expire_sessions()

    def disable_region(self, account: str, region: str) -> None:
        """The account has not opted in: DescribeRegions elsewhere lacks the region, and every call there is refused."""
        self._disabled.add((account, region))

    # Rules

    def deny(
        self,
        account: str | None = None,
        region: str | None = None,
        service: str | None = None,
        operation: str | None = None,
        code: str | None = None,
        *,
        when: Mapping[str, Any] | None = None,
        message: str | None = None,
    ) -> Rule:
        """Answers that the caller is not authorized, in the service's own words unless `code` or `message` say it."""

        def denial(scope: Scope) -> Effect | None:
            if scope.operation == "GetCallerIdentity" and operation is None:
                return None  # needs no permission
            return refusals.denied(scope.service, scope.operation, scope.caller_arn, code, message)

        return self._rule(Rule(_selector(account, region, service, operation, when), denial))

    def fail(
        self,
        account: str | None = None,
        region: str | None = None,
        service: str | None = None,
        operation: str | None = None,
        code: str = "InternalError",
        *,
        status: int = 500,
        message: str = "An internal error has occurred",
        when: Mapping[str, Any] | None = None,
        after: int = 0,
        times: int | None = None,
    ) -> Rule:
        """Answers an error; the first `after` calls pass, then `times` calls fail, None for all."""
        selector = _selector(account, region, service, operation, when)
        return self._rule(Rule(selector, lambda _: RefusedError(code, message, status), after=after, times=times))

    def vanish(self, service: str, operation: str, when: Mapping[str, Any], *, account: str | None = None) -> Rule:
        """What `when` names is gone between list and detail: Invalid...NotFound, ResourceNotFoundException."""
        selector = _selector(account, None, service, operation, when)
        return self._rule(Rule(selector, lambda scope: refusals.not_found(scope.service, when)))

    def throttle(
        self,
        account: str | None = None,
        region: str | None = None,
        service: str | None = None,
        operation: str | None = None,
        *,
        when: Mapping[str, Any] | None = None,
        after: int = 0,
        times: int | None = None,
    ) -> Rule:
        """Refuses calls as too many: the first `after` pass, then `times` are refused, None for all."""
        selector = _selector(account, region, service, operation, when)
        return self._rule(
            Rule(selector, lambda scope: refusals.throttled(scope.service), throttles=True, after=after, times=times)
        )

    def limit(self, service: str, operation: str | None = None, *, rate: float, burst: float) -> Rule:
        """A token bucket for each account, region and operation: `burst` calls at once, `rate` calls a second."""
        buckets = TokenBuckets(rate, burst)

        def throttling(scope: Scope) -> Effect | None:
            return None if buckets.takes(scope) else refusals.throttled(scope.service)

        return self._rule(Rule(_selector(None, None, service, operation, None), throttling, throttles=True))

    def slow(
        self,
        seconds: float,
        account: str | None = None,
        region: str | None = None,
        service: str | None = None,
        operation: str | None = None,
        *,
        when: Mapping[str, Any] | None = None,
    ) -> Rule:
        """Answers come that much later."""
        selector = _selector(account, region, service, operation, when)
        return self._rule(Rule(selector, lambda _: Delay(seconds)))

    def garble(
        self,
        account: str | None = None,
        region: str | None = None,
        service: str | None = None,
        operation: str | None = None,
        *,
        body: bytes = b"<not-an-answer",
        status: int = 200,
        when: Mapping[str, Any] | None = None,
        times: int | None = None,
    ) -> Rule:
        """Answers with this body, whatever the protocol asks for."""
        selector = _selector(account, region, service, operation, when)
        return self._rule(Rule(selector, lambda _: Garbage(body, status), times=times))

    def _rule(self, rule: Rule) -> Rule:
        with self._lock:
            self._rules = (*(earlier for earlier in self._rules if not earlier.is_lifted), rule)
        return rule

    # Requests

    def _reply(self, request: HttpRequest) -> Reply:
        try:
            credential = credential_of(request)
            call = call_of(request, credential.signing_name)
        except Exception as mistake:  # whatever it is, the test has to hear of it
            self.mistakes.append(mistake)
            return Reply(501, "text/plain", str(mistake).encode())
        caller = self._trust.caller(credential.access_key)
        scope = Scope(caller.account_id, credential.region, call.service, call.operation, call.parameters, caller.arn)
        with self._lock:
            self.requests[scope.key] += 1
        try:
            return self._ruled(scope) or self._answer(scope, call, caller)
        except RefusedError as refusal:
            return failure(call.service, call.protocol, refusal.code, refusal.message, refusal.status)
        except Exception as mistake:  # a callable of the test
            self.mistakes.append(mistake)
            return failure(call.service, call.protocol, "InternalFailure", f"the fake failed: {mistake!r}", 500)

    def _ruled(self, scope: Scope) -> Reply | None:
        for rule in self._rules:
            effect = rule.effect(scope)
            if isinstance(effect, Delay):
                self._is_ending.wait(effect.seconds)
            elif isinstance(effect, Garbage):
                return Reply(effect.status, "text/xml", effect.body)
            elif effect is not None:
                if rule.throttles:
                    with self._lock:
                        self.throttled[scope.key] += 1
                raise effect
        return None

    def _answer(self, scope: Scope, call: Call, caller: Caller) -> Reply:
        if caller.is_expired:
            raise refusals.expired(call.service)
        if (scope.account_id, scope.region) in self._disabled:
            raise refusals.disabled_region(call.service, call.operation)
        if call.service == "sts" and call.operation == "AssumeRole":
            return success(call, self._trust.assume(caller, call.parameters))
        if call.service == "sts" and call.operation == "GetCallerIdentity":
            return success(call, self._trust.identity(caller))
        if call.operation == "DescribeRegions":
            return success(call, self._regions(scope))
        return self._store.reply(scope, call, self.page_size, empty_pages=self.empty_pages)

    def _regions(self, scope: Scope) -> dict[str, Any]:
        """The regions of an account: those that were set, or a usual account's, without the disabled ones."""
        answer = self._store.get(scope)
        if callable(answer):
            answer = answer(dict(scope.parameters))
        regions: Iterable[Mapping[str, Any]] = (
            answer["Regions"]
            if answer is not None
            else [
                {"RegionName": name, "Endpoint": f"ec2.{name}.amazonaws.com", "OptInStatus": "opt-in-not-required"}
                for name in _REGIONS
            ]
        )
        disabled = {region for account_id, region in self._disabled if account_id == scope.account_id}
        if scope.parameters.get("AllRegions"):
            shown = [
                {**region, "OptInStatus": "not-opted-in"} if region["RegionName"] in disabled else region
                for region in regions
            ]
        else:
            shown = [
                region
                for region in regions
                if region["RegionName"] not in disabled and region.get("OptInStatus") != "not-opted-in"
            ]
        names = scope.parameters.get("RegionNames")
        return {"Regions": [region for region in shown if names is None or region["RegionName"] in names]}


def _selector(
    account: str | None,
    region: str | None,
    service: str | None,
    operation: str | None,
    when: Mapping[str, Any] | None,
) -> Selector:
    return Selector(account=account, region=region, service=service, operation=operation, when=when)
