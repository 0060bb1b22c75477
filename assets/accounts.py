"""The accounts of all exports."""

import dagster as dg

from assets.partitions import ACCOUNTS
from assets.tables import table_assets, table_spec
from kentik_dagster.configuration import Configuration
from kentik_dagster.core.accounts import collectible_accounts
from kentik_dagster.work.accounts import collect_accounts
from resources.aws import Aws
from resources.clock import Clock
from resources.lake import Lake


def account_assets(configuration: Configuration) -> list[dg.AssetsDefinition]:
    """`org_accounts`, which also keeps the account partitions."""

    @table_assets("org_accounts", [table_spec("org_accounts", group="metadata")])
    def org_accounts(context: dg.AssetExecutionContext, aws: Aws, lake: Lake, clock: Clock) -> dg.MaterializeResult:
        """The accounts of every export, and a partition for each that is to be collected."""
        accesses = [aws.access(export) for export in configuration.exports]
        listed = collect_accounts(accesses, lake.tables, clock=clock.now)
        collected = collectible_accounts(listed.accounts)
        # Every account that was ever collected keeps its partition, and so its history.
        context.instance.add_dynamic_partitions(str(ACCOUNTS.name), collected["account_id"].to_list())
        if listed.failures:
            raise dg.Failure("\n".join(listed.failures.values()), allow_retries=False)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": listed.accounts.height,
                "accounts_collected": collected.height,
                "accounts_by_state": dg.MetadataValue.json(dict(listed.accounts["state"].value_counts().iter_rows())),
            }
        )

    return [org_accounts]
