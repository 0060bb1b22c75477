"""The lake as a Dagster resource."""

import dagster as dg
from pydantic import PrivateAttr

from kentik_dagster.lake.tables import Lake as DeltaLake
from kentik_dagster.lake.tables import LakeTable, lake_at


class Lake(dg.ConfigurableResource):
    """All tables below one root: `lake["flow_logs"]` is one of them.

    Attributes:
        root: a local folder, or s3://bucket/prefix.
        endpoint_url: of another S3 than AWS's; None: AWS's.
    """

    root: str
    endpoint_url: str | None = None
    _tables: DeltaLake | None = PrivateAttr(default=None)

    @property
    def tables(self) -> DeltaLake:
        """The lake without Dagster around it."""
        if self._tables is None:
            self._tables = lake_at(self.root, self.endpoint_url)
        return self._tables

    def __getitem__(self, name: str) -> LakeTable:
        return self.tables[name]
