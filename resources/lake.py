"""The lake as a Dagster resource."""

import dagster as dg
from pydantic import PrivateAttr

from kentik_dagster.lake.tables import Lake as DeltaLake
from kentik_dagster.lake.tables import LakeTable


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
            options = {}
            if self.endpoint_url:
                options = {
                    "AWS_ENDPOINT_URL": self.endpoint_url,
                    "AWS_ALLOW_HTTP": str(self.endpoint_url.startswith("http://")).lower(),
                }
            self._tables = DeltaLake(self.root, options if "://" in self.root else {})
        return self._tables

    def __getitem__(self, name: str) -> LakeTable:
        return self.tables[name]
