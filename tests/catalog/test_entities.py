"""Every rule fits its own example and no later one's turn comes first, and the document lists the rules."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from kentik_dagster.catalog.entities import NAMED_BY, RULES, TYPES_OF_USERS, EntityRule
from kentik_dagster.catalog.network_operations import OPERATIONS
from kentik_dagster.core.entities import entities

DOCUMENT = Path(__file__).parents[2] / "docs" / "entities.md"
BY_KIND = [pytest.param(number, id=f"{number}-{rule.entity_type}") for number, rule in enumerate(RULES)]


def example_of(rule: EntityRule) -> pl.DataFrame:
    """An interface as the rule's example describes it."""
    return pl.DataFrame(
        {
            "eni_id": ["eni-1"],
            "interface_type": [(rule.interface_types or ("interface",))[0]],
            "requester_id": [rule.example_requester or None],
            "description": [rule.example],
            "instance_id": ["i-0ad23684d897727a0" if rule.is_attached else None],
        },
        schema_overrides={"requester_id": pl.String, "instance_id": pl.String},
    )


@pytest.mark.parametrize("number", BY_KIND)
def test_the_example_of_a_rule_is_told_by_that_rule_and_by_none_before(number: int) -> None:
    example = example_of(RULES[number])

    before = entities(example, RULES[:number])
    with_it = entities(example, RULES[: number + 1])

    assert before["entity_type"].to_list() == [None]
    assert with_it["entity_type"].to_list() == [RULES[number].entity_type]


@pytest.mark.parametrize("number", BY_KIND)
def test_the_example_shows_the_id_and_the_name_that_the_rule_promises(number: int) -> None:
    rule = RULES[number]
    optional = "client_vpn_endpoint"  # its interfaces may or may not tell the endpoint's id

    (told,) = entities(example_of(rule)).to_dicts()

    has_id = rule.is_attached or bool(rule.groups)
    assert (told["entity_id"] is not None) == (has_id and rule.entity_type != optional)
    assert (told["entity_name"] is not None) == ("name" in rule.groups)


def test_regular_expressions_have_no_groups_but_id_and_name() -> None:
    groups = {(rule.entity_type, re.compile(rule.description).groups == len(rule.groups)) for rule in RULES}

    assert {rule.groups - {"id", "name"} for rule in RULES} == {frozenset()}
    assert all(only_named for _, only_named in groups)


def test_a_description_is_anchored_where_it_begins() -> None:
    assert [rule.entity_type for rule in RULES if rule.description and not rule.description.startswith("^")] == []


def test_no_rule_believes_what_users_may_ask_for_without_a_requester_or_an_instance() -> None:
    unguarded = [
        rule.entity_type
        for rule in RULES
        if rule.requester is None
        and not rule.is_attached
        and set(rule.interface_types or TYPES_OF_USERS) & {*TYPES_OF_USERS}
    ]

    assert unguarded == []


def test_a_role_of_the_account_is_believed_only_where_no_instance_is_attached() -> None:
    (instance,) = (number for number, rule in enumerate(RULES) if rule.is_attached)

    before = [rule.entity_type for rule in RULES[:instance] if re.match(rule.requester or "$^", "AROAEXAMPLE:session")]

    assert before == []


def test_one_kind_of_entity_is_named_by_one_kind_of_metadata_that_is_collected() -> None:
    collected = {operation.resource_type for operation in OPERATIONS}

    assert set(NAMED_BY.values()) <= collected
    assert all(rule.resource_type == NAMED_BY.get(rule.entity_type) for rule in RULES)


def test_every_rule_says_where_such_an_interface_was_seen() -> None:
    assert [rule.entity_type for rule in RULES if not rule.seen_in] == []


def row_of(rule: EntityRule) -> str:
    """The rule as a row of the document."""
    types = ", ".join(f"`{name}`" for name in rule.interface_types) or "any"
    example = f"`{rule.example}`" if rule.example else ""
    told = " and ".join(name for name in ("id", "name") if name in rule.groups) or ("id" if rule.is_attached else "")
    metadata = f"`{rule.resource_type}`" if rule.resource_type else ""
    return f"| `{rule.entity_type}` | {types} | {rule.believed} | {example} | {told} | {metadata} | {rule.seen_in} |"


def test_the_document_lists_the_rules_in_their_order() -> None:
    rows = re.findall(r"^\| `.*\|$", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert rows == [row_of(rule) for rule in RULES]
