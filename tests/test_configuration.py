"""What kentik.yaml may say; and for every mistake the file, the key and the fix."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kentik_dagster.configuration import Configuration, Export
from kentik_dagster.configuration_file import load_configuration
from kentik_dagster.errors import ConfigurationError

ROOT = Path(__file__).parents[1]

# The example of design.md.
DESIGN = """
lake: ./lake
exports:
  - name: acme-prod
    description: production organization
    iam_role_arn: arn:aws:iam::111111111111:role/KentikPrimary
    external_id: 4f1c-unique-per-deployment
    region: us-east-1
    organization_role: true
    secondary_accounts: []
    blocked_accounts: []
    regions_used: [us-east-1, eu-west-1]
    role_suffix: KentikSecondary
    bucket: acme-flow-logs
    bucket_prefix: ""
    collect_flow_logs: true
    collect_firewall_logs: false
    collect_metrics: true
    delete_after_read: false
    notification_queue: https://sqs.us-east-1.amazonaws.com/111111111111/acme-flow-logs
    sampling: unsampled
    start: 2026-11-01
"""

LEAST = """
exports:
  - name: acme-prod
    region: us-east-1
    bucket: acme-flow-logs
    start: 2026-11-01
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kentik.yaml"


def loaded(path: Path, text: str) -> Configuration:
    path.write_text(text, encoding="utf-8")
    return load_configuration(path)


def least(*lines: str) -> str:
    """The least configuration with these lines in its export; one whose key is there already replaces it."""
    text = LEAST
    for line in lines:
        text, count = re.subn(rf"\b{line.split(':')[0]}:.*", line, text)
        text += "" if count else f"    {line}\n"
    return text


def export(path: Path, *lines: str) -> Export:
    (only,) = loaded(path, least(*lines)).exports
    return only


def mistakes(path: Path, text: str) -> tuple[str, ...]:
    """What is wrong with a configuration; every line of the message names the file."""
    with pytest.raises(ConfigurationError) as raised:
        loaded(path, text)
    assert raised.value.path == str(path)
    assert str(raised.value).splitlines() == [f"{path}: {problem}" for problem in raised.value.problems]
    return raised.value.problems


# --- what it may say ----------------------------------------------------------------------------------------------


def test_the_example_file_loads() -> None:
    configuration = load_configuration(ROOT / "kentik.example.yaml")

    assert [export.name for export in configuration.exports] == ["acme-prod"]
    assert configuration.lake == str(ROOT / "lake")


def test_the_designs_example_loads(path: Path) -> None:
    (only,) = loaded(path, DESIGN).exports

    assert only.iam_role_arn == "arn:aws:iam::111111111111:role/KentikPrimary"
    assert only.regions == ("us-east-1", "eu-west-1")
    assert only.start == datetime(2026, 11, 1, tzinfo=UTC)


def test_what_is_left_out_has_a_careful_value(path: Path) -> None:
    only = export(path)

    assert not only.delete_after_read
    assert not only.organization_role
    assert only.iam_role_arn is None
    assert only.regions == ("us-east-1",)
    assert (only.log_bucket, only.bucket_prefix, only.look_back_days) == ("acme-flow-logs", "", 2)


@pytest.mark.parametrize(
    ("lake", "expected"),
    [("./lake", "lake"), ("tables", "tables"), ("../lake", "../lake"), ("/srv/lake", "/srv/lake")],
)
def test_a_lake_is_found_from_the_file_and_not_from_the_working_folder(path: Path, lake: str, expected: str) -> None:
    assert loaded(path, f"lake: {lake}").lake == str((path.parent / expected).resolve())


def test_a_lake_may_be_in_the_home_folder_or_in_s3(path: Path) -> None:
    assert loaded(path, "lake: ~/lake").lake == str(Path.home().resolve() / "lake")
    assert loaded(path, "lake: s3://acme-lake/kentik").lake == "s3://acme-lake/kentik"


@pytest.mark.parametrize(
    ("start", "hour"),
    [
        ("2026-11-01", "2026-11-01T00"),
        ('"2026-11-01"', "2026-11-01T00"),
        ("2026-11-01 06:59", "2026-11-01T06"),
        ("2026-11-01T06:30:59Z", "2026-11-01T06"),
        ("2026-11-01T06:30:00+02:00", "2026-11-01T04"),
    ],
)
def test_the_start_is_an_hour_in_utc(path: Path, start: str, hour: str) -> None:
    assert export(path, f"start: {start}").start == datetime.fromisoformat(f"{hour}:00+00:00")


def test_account_ids_keep_their_leading_zeros(path: Path) -> None:
    only = export(path, 'secondary_accounts: ["012345678910"]', "role_suffix: team/KentikSecondary")

    assert only.secondary_accounts == ("012345678910",)


def test_an_export_without_flow_logs_needs_no_bucket(path: Path) -> None:
    (only,) = loaded(path, least("collect_flow_logs: false").replace("    bucket: acme-flow-logs\n", "")).exports

    with pytest.raises(ConfigurationError, match="export 'acme-prod' names no bucket"):
        _ = only.log_bucket


def test_an_export_is_found_by_its_name(path: Path) -> None:
    configuration = loaded(path, LEAST)

    assert configuration.export("acme-prod") is configuration.exports[0]
    with pytest.raises(KeyError):
        configuration.export("other")


def test_applications_are_named_by_protocol_and_port(path: Path) -> None:
    configuration = loaded(
        path,
        """
applications:
  - {protocol: tcp, port: 9092, name: kafka}
  - {protocol: UDP, port: "8000-8001", name: voice}
  - {protocol: 136, port: 7000 - 7000, name: live video}
""",
    )

    assert configuration.application_names == {
        (6, 9092): "kafka",
        (17, 8000): "voice",
        (17, 8001): "voice",
        (136, 7000): "live video",
    }


def test_databases_of_places_are_found_from_the_file(path: Path) -> None:
    geoip = loaded(path, "geoip: {country: places/country.mmdb, as: /srv/asn.mmdb}").geoip

    assert geoip.country == str(path.parent.resolve() / "places" / "country.mmdb")
    assert geoip.autonomous_system == "/srv/asn.mmdb"


def test_applications_and_databases_may_be_left_out(path: Path) -> None:
    configuration = loaded(path, LEAST)

    assert configuration.application_names == {}
    assert (configuration.geoip.country, configuration.geoip.autonomous_system) == (None, None)


# --- mistakes of one export ---------------------------------------------------------------------------------------

ALL = "exports[acme-prod]"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("buckt: x", f"{ALL}.buckt: there is no such key. Did you mean 'bucket'?"),
        ("role_sufix: x", f"{ALL}.role_sufix: there is no such key. Did you mean 'role_suffix'?"),
        ("1: x", f"{ALL}[1]: there is no such key"),
        (
            "secondary_accounts: [222222222222]",
            f"{ALL}.secondary_accounts[0]: account ids are text of 12 digits, and YAML reads 222222222222 as a number, "
            "which loses leading zeros: put quotes around it",
        ),
        (
            "blocked_accounts: ['333333333333', '22222']",
            f"{ALL}.blocked_accounts[1]: '22222' is not an account id of 12 digits",
        ),
        (
            "secondary_accounts: '222222222222'",
            f"{ALL}.secondary_accounts: this is a list: write [a, b], or each item on a line of its own after '- '",
        ),
        (
            "regions_used: us-east-1",
            f"{ALL}.regions_used: this is a list: write [a, b], or each item on a line of its own after '- '",
        ),
        ("regions_used: [Ireland]", f"{ALL}.regions_used[0]: 'Ireland' is not a region such as eu-west-1"),
        (
            "iam_role_arn: arn:aws:iam:111111111111:role/Kentik",
            f"{ALL}.iam_role_arn: 'arn:aws:iam:111111111111:role/Kentik' is not the ARN of a role such as "
            "arn:aws:iam::111111111111:role/KentikPrimary",
        ),
        (
            "external_id: abc",
            f"{ALL}: external_id goes with iam_role_arn: name the role that asks for it, or remove external_id",
        ),
        (
            "organization_role: true",
            f"{ALL}: role_suffix is missing: name the role to assume in the other accounts, such as KentikSecondary",
        ),
        (
            "secondary_accounts: ['222222222222']",
            f"{ALL}: role_suffix is missing: name the role to assume in the other accounts, such as KentikSecondary",
        ),
        ("role_suffix: 'two words'", f"{ALL}.role_suffix: 'two words' is not a role name such as KentikSecondary"),
        ("name: 7", "exports[0].name: this is text, and YAML reads it as something else: put quotes around it"),
        ("collect_metrics: maybe", f"{ALL}.collect_metrics: write true or false"),
        ("delete_after_read: [true]", f"{ALL}.delete_after_read: write true or false"),
        ("look_back_days: two", f"{ALL}.look_back_days: write a whole number"),
        ("look_back_days: 1.5", f"{ALL}.look_back_days: write a whole number"),
        ("look_back_days: 0", f"{ALL}.look_back_days: input should be greater than or equal to 1"),
        ("look_back_days: 91", f"{ALL}.look_back_days: input should be less than or equal to 90"),
        (
            "sampling: often",
            f"{ALL}.sampling: 'often' is no sampling: write unsampled, legacy, or {{rate: 100}} to keep one of 100 "
            "records",
        ),
        (
            "sampling: {rate: 0}",
            f"{ALL}.sampling: {{'rate': 0}} is no sampling: write unsampled, legacy, or {{rate: 100}} to keep one of "
            "100 records",
        ),
        ("bucket_prefix: AWSLogs", f"{ALL}.bucket_prefix: 'AWSLogs' is not what stands before AWSLogs/ in the keys"),
        ("bucket_prefix: AWSLogs/", f"{ALL}.bucket_prefix: 'AWSLogs/' is not what stands before AWSLogs/ in the keys"),
        (
            "bucket_prefix:",
            f"{ALL}.bucket_prefix: there is no value: write one, or leave the key out; see kentik.example.yaml",
        ),
        (
            "regions_used:",
            f"{ALL}.regions_used: there is no value: write one, or leave the key out; see kentik.example.yaml",
        ),
    ],
)  # fmt: skip
def test_a_mistake_names_the_key_and_the_fix(path: Path, line: str, problem: str) -> None:
    assert mistakes(path, least(line)) == (problem,)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("bucket: s3://acme", f"{ALL}.bucket: 's3://acme' is not the name of a bucket"),
        ("bucket: arn:aws:s3:::acme", f"{ALL}.bucket: 'arn:aws:s3:::acme' is not the name of a bucket"),
        ("region: us_east_1", f"{ALL}.region: 'us_east_1' is not a region such as eu-west-1"),
        ("region:", f"{ALL}.region: there is no value: write one"),
        ("name: a|b", "exports[a|b].name: 'a|b' is not an export name: letters, digits, '-', '_' and '.', 63 at most"),
        ("name:", "exports[0].name: there is no value: write one"),
        ("start: soon", f"{ALL}.start: 'soon' is not a date: write it as 2026-11-01 or 2026-11-01T06:00"),
        ("start: 2026-13-01", f"{ALL}.start: '2026-13-01' is not a date: write it as 2026-11-01"),
        ("start: 2026-02-30", f"{ALL}.start: '2026-02-30' is not a date: write it as 2026-11-01"),
        ("start: 2026-11-01T25:00:00", f"{ALL}.start: '2026-11-01T25:00:00' is not a date: write it as 2026-11-01"),
        ("start: 20261101", f"{ALL}.start: 20261101 is not a date: write it as 2026-11-01"),
        ("start: 2026", f"{ALL}.start: 2026 is not a date: write it as 2026-11-01"),
        ("start: true", f"{ALL}.start: True is not a date: write it as 2026-11-01"),
        ("start: [2026-11-01]", f"{ALL}.start: [datetime.date(2026, 11, 1)] is not a date"),
        ("start:", f"{ALL}.start: there is no value: write one"),
    ],
)
def test_a_wrong_value_names_the_key_and_the_fix(path: Path, line: str, problem: str) -> None:
    (found,) = mistakes(path, least(line))

    assert found.startswith(problem)


@pytest.mark.parametrize("key", ["region", "start"])
def test_a_missing_key_is_named(path: Path, key: str) -> None:
    text = re.sub(rf"    {key}:.*\n", "", LEAST)

    assert mistakes(path, text) == (f"{ALL}.{key}: this key is missing; see kentik.example.yaml for a value",)


def test_a_missing_bucket_is_named_where_flow_logs_are_wanted(path: Path) -> None:
    assert mistakes(path, LEAST.replace("    bucket: acme-flow-logs\n", "")) == (
        f"{ALL}: bucket is missing: name the bucket with the logs, or set collect_flow_logs: false and leave "
        "collect_firewall_logs out",
    )


def test_every_mistake_is_told_at_once(path: Path) -> None:
    assert len(mistakes(path, least("region: x", "buckt: x") + "export: []\n")) == 3


# --- mistakes of applications and databases -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (
            "{protocol: tpc, port: 1, name: a}",
            "applications[0].protocol: 'tpc' is no protocol: write tcp, udp, sctp, dccp or a number from 0 to 255",
        ),
        (
            "{protocol: 256, port: 1, name: a}",
            "applications[0].protocol: 256 is no protocol: write tcp, udp, sctp, dccp or a number from 0 to 255",
        ),
        *(
            (
                f"{{protocol: tcp, port: {port}, name: a}}",
                f"applications[0].port: {value} is no port: write a number from 1 to 65535, or a range such as "
                '"8000-8099"',
            )
            for port, value in [("0", "0"), ("65536", "65536"), ("9-8", "'9-8'"), ("x", "'x'"), ("true", "True")]
        ),
        (
            "{protocol: tcp, port: 1, name: ' '}",
            "applications[0].name: ' ' is not a name of 1 to 64 characters without blanks around it",
        ),
        (
            "{protocol: tcp, port: 1}",
            "applications[0].name: this key is missing; see kentik.example.yaml for a value",
        ),
        (
            "{protocol: tcp, ports: 1, port: 1, name: a}",
            "applications[0].ports: there is no such key. Did you mean 'port'?",
        ),
        (
            "kafka",
            "applications[0]: this is an application: write it as {protocol: tcp, port: 9092, name: kafka}",
        ),
        (
            "{protocol: tcp, port: 8000-8002, name: a}, {protocol: 6, port: 8002, name: b}",
            "applications: port 8002 of protocol 6 is named 'a' and 'b': give each port one name",
        ),
    ],
)
def test_a_mistake_of_an_application_names_the_key_and_the_fix(path: Path, item: str, problem: str) -> None:
    assert mistakes(path, f"applications: [{item}]") == (problem,)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{contry: x}", "geoip.contry: there is no such key. Did you mean 'country'?"),
        ("{x: y}", "geoip.x: there is no such key. The keys are country, as."),
        ("/srv/x.mmdb", "geoip: these are keys: write `country:` and `as:`, each with the path of a .mmdb file"),
        (
            "{as: 's3://acme/asn.mmdb'}",
            "geoip.as: 's3://acme/asn.mmdb' is not the path of a local .mmdb file",
        ),
    ],
)
def test_a_mistake_of_a_database_names_the_key_and_the_fix(path: Path, line: str, problem: str) -> None:
    assert mistakes(path, f"geoip: {line}") == (problem,)


# --- mistakes of several exports ----------------------------------------------------------------------------------


def two(*, second: str, first_prefix: str = "", second_prefix: str = "") -> str:
    """Two exports of one bucket."""
    other = least(f"name: {second}", f'bucket_prefix: "{second_prefix}"').replace("exports:\n", "")
    return least(f'bucket_prefix: "{first_prefix}"') + other


def test_two_exports_have_two_names(path: Path) -> None:
    assert mistakes(path, two(second="acme-prod", first_prefix="a", second_prefix="b")) == (
        "two exports are called 'acme-prod': give each a name of its own",
    )


@pytest.mark.parametrize(
    ("first", "second"), [("", ""), ("a", "a/"), ("/a", "a"), ("", "a"), ("a", ""), ("a/b", "a"), ("a/b/", "a/b/c")]
)
def test_two_exports_do_not_read_the_same_objects(path: Path, first: str, second: str) -> None:
    (found,) = mistakes(path, two(second="acme-test", first_prefix=first, second_prefix=second))

    assert "'acme-prod'" in found
    assert "'acme-test'" in found
    assert "read the same folders of bucket 'acme-flow-logs', and would count their logs twice: give one" in found


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("a", "ab"), ("a/b", "a/c"), ("ab", "a")])
def test_two_exports_may_share_a_bucket(path: Path, first: str, second: str) -> None:
    assert len(loaded(path, two(second="acme-test", first_prefix=first, second_prefix=second)).log_exports) == 2


def test_an_export_that_reads_no_logs_may_name_the_same_bucket(path: Path) -> None:
    configuration = loaded(path, two(second="acme-test") + "    collect_flow_logs: false\n")

    assert [export.name for export in configuration.log_exports] == ["acme-prod"]


# --- mistakes of the file -----------------------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_said_with_the_way_out(path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_configuration(path)

    assert raised.value.problems == (
        "there is no such file. Copy kentik.example.yaml there, or name another file in KENTIK_DAGSTER_CONFIG.",
    )


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "- name: acme-prod\n", "exports\n", "5\n"])
def test_a_file_without_keys_is_said(path: Path, text: str) -> None:
    assert mistakes(path, text) == ("the file holds no keys: it needs `exports:`; see kentik.example.yaml",)


@pytest.mark.parametrize(
    ("text", "place"), [("exports: [a: b", "line 1"), ("\texports: []", "line 1"), ("a: b: c", "line 1")]
)
def test_what_is_no_yaml_is_said_with_the_place(path: Path, text: str, place: str) -> None:
    (found,) = mistakes(path, text)

    assert found.startswith("the file is not YAML: ")
    assert place in found
    assert "unicode string" not in found


def test_a_key_that_stands_twice_would_hide_the_first(path: Path) -> None:
    (found,) = mistakes(path, LEAST + LEAST.replace("acme-prod", "acme-test"))

    assert found.startswith("the file is not YAML: the key 'exports' stands there twice: remove one")


def test_a_file_that_is_no_text_is_said(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigurationError, match="the file cannot be read: 'utf-8' codec can't decode"):
        load_configuration(path)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the file cannot be read"):
        load_configuration(tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("exports:", "exports: there is no value: write one, or leave the key out; see kentik.example.yaml"),
        ("exports: {}", "exports: this is a list: write [a, b], or each item on a line of its own after '- '"),
        ("exports: acme", "exports: this is a list: write [a, b], or each item on a line of its own after '- '"),
        ("exports: [acme]", "exports[0]: this is an export: write its keys, beginning with `- name: ...`"),
        ("exports: [null]", "exports[0]: there is no value: write one, or leave the key out; see kentik.example.yaml"),
        ("export: []", "export: there is no such key. Did you mean 'exports'?"),
        (
            "xyz: []",
            "xyz: there is no such key. The keys are lake, owners, retention_days, applications, geoip, metrics, "
            "exports.",
        ),
        ("1: []", "1: there is no such key"),
        ("lake:", "lake: there is no value: write one, or leave the key out; see kentik.example.yaml"),
        ("lake: 5", "lake: this is text, and YAML reads it as something else: put quotes around it"),
        ("lake: ''", "lake: '' is not a folder or s3://bucket/prefix"),
        ("lake: s3://", "lake: 's3://' is not a folder or s3://bucket/prefix"),
        ("lake: gs://acme/lake", "lake: 'gs://acme/lake' is not a folder or s3://bucket/prefix"),
    ],
)
def test_a_mistake_at_the_top_names_the_key_and_the_fix(path: Path, text: str, problem: str) -> None:
    assert mistakes(path, text) == (problem,)
