"""What is behind a network interface: the rules of catalog/entities.py over a frame of interfaces.

A rule looks at distinct texts, never at rows, and only at those that no earlier rule fits: an organization has hundreds
of thousands of interfaces and few kinds of descriptions.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from kentik_dagster.catalog.entities import NAMED_BY, RULES, EntityRule
from kentik_dagster.core.schemas import require

_LOOKED_AT = ("interface_type", "requester_id", "description", "is_attached")
_FOUND = ("entity_type", "entity_id", "entity_name")


def entities(interfaces: pl.DataFrame, rules: Sequence[EntityRule] = RULES) -> pl.DataFrame:
    """What is behind each network interface, as far as the interface itself says.

    Args:
        interfaces: one row per interface, all strings or null: `eni_id`, `interface_type`, `requester_id`,
            `description`, `instance_id` (of the attachment). An interface without a type counts as `interface`:
            AWS did not always say it.
        rules: the first that fits counts.

    Returns:
        One row per row of `interfaces`, in its order: `eni_id`, `entity_type`, `entity_id`, `entity_name` (strings;
        null where nothing is known). The name is what the description itself says: of a Lambda function, of a load
        balancer.

    Raises:
        MissingColumnsError: `interfaces` lacks one of these columns.
    """
    require(interfaces, "eni_id", "interface_type", "requester_id", "description", "instance_id", by="entities")
    seen = interfaces.select(
        "eni_id",
        pl.col("interface_type").fill_null("interface"),
        pl.col("requester_id", "description").fill_null(""),
        "instance_id",
        is_attached=pl.col("instance_id").is_not_null(),
    )
    known = seen.join(
        _kinds(seen.select(_LOOKED_AT).unique(), rules), on=list(_LOOKED_AT), how="left", maintain_order="left"
    )
    return known.select(
        "eni_id",
        "entity_type",
        entity_id=pl.when("is_instance").then("instance_id").otherwise("entity_id"),
        entity_name="entity_name",
    )


def named_entities(found: pl.DataFrame, names: pl.DataFrame) -> pl.DataFrame:
    """Entities with the names that their owners gave them.

    Args:
        found: rows of `entities`.
        names: the latest name of each resource: `resource_type`, `resource_id` (as in `metadata_changes`), `name`.
            Empty and null names are none. A caller that wants VPC endpoints without a Name tag to be called after their
            service gives that as the name.

    Returns:
        `found`, in its order, with `entity_name` from the resource; without one, what the description said; without
        that, `entity_id`.

    Raises:
        MissingColumnsError: one of the frames lacks one of these columns.
    """
    require(found, "eni_id", *_FOUND, by="named_entities")
    require(names, "resource_type", "resource_id", "name", by="named_entities")
    given = names.filter(
        pl.col("resource_type").is_in(sorted(set(NAMED_BY.values()))), pl.col("name").str.len_bytes() > 0
    )
    # A load balancer is known by its ARN, and its interfaces tell the end of it.
    given = given.select(
        "resource_type",
        pl.col("resource_id").str.replace(r"^arn:[^:]+:elasticloadbalancing:.*:loadbalancer/", ""),
        given_name="name",
    ).unique(["resource_type", "resource_id"], keep="last", maintain_order=True)
    named_by = pl.col("entity_type").replace_strict(NAMED_BY, default=None, return_dtype=pl.String)
    return (
        found.with_columns(resource_type=named_by)
        .join(
            given,
            left_on=["resource_type", "entity_id"],
            right_on=["resource_type", "resource_id"],
            how="left",
            maintain_order="left",
        )
        .with_columns(entity_name=pl.coalesce("given_name", "entity_name", "entity_id"))
        .select(found.columns)
    )


def _kinds(distinct: pl.DataFrame, rules: Sequence[EntityRule]) -> pl.DataFrame:
    """The distinct looks that a rule fits, with `_FOUND` and `is_instance`."""
    nothing = [pl.lit(None, pl.String).alias(name) for name in _FOUND]
    kinds = [distinct.clear().with_columns(*nothing, is_instance=pl.lit(value=False))]
    for rule in rules:
        fitting = distinct.select(_fits(rule).alias("fits"))["fits"]
        kinds.append(_told(rule, distinct.filter(fitting)))
        distinct = distinct.filter(~fitting)
    return pl.concat(kinds)


def _fits(rule: EntityRule) -> pl.Expr:
    conditions = [pl.lit(value=True) if not rule.is_attached else pl.col("is_attached")]
    if rule.interface_types:
        conditions.append(pl.col("interface_type").is_in(rule.interface_types))
    if rule.requester is not None:
        conditions.append(pl.col("requester_id").str.contains(rule.requester))
    if rule.description and not rule.type_suffices:
        conditions.append(pl.col("description").str.contains(rule.description))
    return pl.all_horizontal(conditions)


def _told(rule: EntityRule, fitting: pl.DataFrame) -> pl.DataFrame:
    none = pl.lit(None, pl.String)
    told = pl.col("description").str.extract_groups(rule.description)
    name = told.struct.field("name") if "name" in rule.groups else none
    return fitting.with_columns(
        entity_type=pl.lit(rule.entity_type),
        entity_id=told.struct.field("id") if "id" in rule.groups else name,
        entity_name=name,
        is_instance=pl.lit(value=rule.is_attached),
    )
