"""Access to AWS as a Dagster resource."""

import dagster as dg
from pydantic import PrivateAttr

from kentik_dagster.aws.sessions import ExportAccess
from kentik_dagster.configuration import Export


class Aws(dg.ConfigurableResource):
    """The accounts of each export, through its role chain; sessions are made when first asked for, once per run.

    Attributes:
        endpoint_url: of an emulator; None: AWS's own endpoints. boto3 itself reads it from AWS_ENDPOINT_URL.
    """

    endpoint_url: str | None = None
    _accesses: dict[str, ExportAccess] = PrivateAttr(default_factory=dict)

    def access(self, export: Export) -> ExportAccess:
        """The access of one export."""
        if export.name not in self._accesses:
            self._accesses[export.name] = ExportAccess(export, custom_endpoint=self.endpoint_url is not None)
        return self._accesses[export.name]
