"""Every error says what happened, with the value, and then the way out; its parts are attributes."""

from __future__ import annotations

import inspect

import pytest

from kentik_dagster import errors
from kentik_dagster.errors import (
    BucketError,
    CommitContentionError,
    ConfigurationError,
    KentikDagsterError,
    LakeError,
    MissingColumnsError,
    RoleRefusedError,
    SchemaDifferenceError,
)

ROLE, CALLER = "arn:aws:iam::111122223333:role/network-reader", "arn:aws:iam::444455556666:role/collector"


def test_every_error_of_ours_is_caught_by_one_name() -> None:
    ours = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]

    assert len(ours) > 5
    assert [kind for kind in ours if not issubclass(kind, KentikDagsterError)] == []


def test_each_mistake_of_a_configuration_has_a_line() -> None:
    error = ConfigurationError("/etc/kentik.yaml", ["lake: wrong", "exports: wrong"])

    assert str(error).splitlines() == ["/etc/kentik.yaml: lake: wrong", "/etc/kentik.yaml: exports: wrong"]
    assert (error.path, error.problems) == ("/etc/kentik.yaml", ("lake: wrong", "exports: wrong"))


def test_missing_columns_are_named_beside_those_that_are_there() -> None:
    error = MissingColumnsError("resolve", ["epoch"], ["vpc_id", "address"])

    assert str(error) == "resolve needs the columns epoch, which the frame lacks. It has vpc_id, address."


def test_schemas_that_differ_are_shown_column_by_column() -> None:
    error = SchemaDifferenceError("flow_logs", ["bytes: Int32, the table has Int64", "x: the table has no such column"])

    lines = str(error).splitlines()
    assert lines[1:3] == ["  bytes: Int32, the table has Int64", "  x: the table has no such column"]
    assert "Nothing was written." in lines[3]


def test_a_lake_that_does_not_answer_is_named_with_what_to_check() -> None:
    error = LakeError("s3://acme-lake/flow_logs", "open", OSError("no route to host"))

    assert str(error).startswith("cannot open s3://acme-lake/flow_logs: no route to host\nCheck that")


def test_contention_tells_the_attempts_and_the_last_answer() -> None:
    error = CommitContentionError("./lake/flow_logs", "lock/prod/2026-11-23T03", 9, OSError("disk full"))

    assert isinstance(error, LakeError)
    assert "cannot commit to 'lock/prod/2026-11-23T03' of ./lake/flow_logs: 9 attempts" in str(error)
    assert "disk full" in str(error)


@pytest.mark.parametrize(
    ("with_external_id", "hint"),
    [
        (True, "and the external id of export 'prod'"),
        (False, "and that it asks for no external id (export 'prod' names none)"),
    ],
)
def test_a_role_that_refuses_is_told_with_all_that_may_be_wrong(hint: str, *, with_external_id: bool) -> None:
    error = RoleRefusedError(ROLE, CALLER, "prod", "AccessDenied", with_external_id=with_external_id)

    assert str(error) == (
        f"cannot assume {ROLE}: AWS answered AccessDenied, and does not say why. Check that the role exists, that it "
        f"trusts {CALLER}, that {CALLER} may call sts:AssumeRole on it, {hint}."
    )
    assert (error.role_arn, error.caller, error.export, error.code) == (ROLE, CALLER, "prod", "AccessDenied")


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("NoSuchBucket", "correct `bucket` of export 'prod'"),
        ("AccessDenied", "Grant s3:ListBucket on bucket acme-flow-logs to the role of export 'prod'"),
        ("PermanentRedirect", "correct `region` of export 'prod'"),
        ("SlowDown", "Check `bucket`, `region` and the role of export 'prod'"),
    ],
)
def test_a_bucket_that_cannot_be_listed_is_told_with_the_way_out(code: str, hint: str) -> None:
    error = BucketError("acme-flow-logs", "prod", code, "as AWS says it")

    assert str(error).startswith(f"cannot list s3://acme-flow-logs: AWS answered {code} (as AWS says it).")
    assert hint in str(error)
    assert error.code == code
