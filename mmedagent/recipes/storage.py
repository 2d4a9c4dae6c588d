"""Which object store: an address and a bucket. Secrets stay in a credentials file or in AWS's
own variables, never in a recipe, an argument or an artifact."""

import os
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from mmedagent.errors import UsageError

ENDPOINT_VARIABLE = "MMEDAGENT_S3_ENDPOINT"
BUCKET_VARIABLE = "MMEDAGENT_S3_BUCKET"
CREDENTIALS_VARIABLE = "AWS_SHARED_CREDENTIALS_FILE"
REGION_VARIABLE = "AWS_DEFAULT_REGION"


class StorageConfig(BaseModel):
    """Address of one bucket, and how transfers are cut.

    It is no part of a recipe's digest: the local store's port is chosen when it starts, so a step
    reads this from the environment and never takes it as an argument.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    endpoint: str | None = Field(default=None, pattern=r"^https?://")
    """None is Amazon's own address for the region."""
    region: str = "us-east-1"
    credentials: Path | None = None
    """A file in the AWS shared-credentials format (profile `default`); None leaves the search to
    boto3: variables, files, the pod's service account."""
    dvc_prefix: str = "dvc"
    versions_prefix: str = "versions"
    part_bytes: int = Field(default=16 * 2**20, ge=5 * 2**20)
    """Files larger than this go up in parts of this size (S3's least part is 5 MiB)."""
    timeout_seconds: float = Field(default=20.0, gt=0)
    """To connect."""
    read_seconds: float = Field(default=60.0, gt=0)
    """Silence in the middle of a transfer."""
    attempts: int = Field(default=3, ge=1)

    def environment(self) -> dict[str, str]:
        """Return the variables that make `from_environment` give this store in another process."""
        variables = {BUCKET_VARIABLE: self.bucket, REGION_VARIABLE: self.region}
        if self.endpoint:
            variables[ENDPOINT_VARIABLE] = self.endpoint
        if self.credentials:
            variables[CREDENTIALS_VARIABLE] = str(self.credentials)
        return variables

    @classmethod
    def from_environment(cls) -> Self:
        """Read the store's address from the environment.

        Raises `UsageError` when no bucket is named there.
        """
        bucket = os.environ.get(BUCKET_VARIABLE)
        if not bucket:
            raise UsageError(
                f"no object store is configured: set {BUCKET_VARIABLE} (and {ENDPOINT_VARIABLE} "
                "for another address than Amazon's), or start the local one with "
                "`mmedagent store start` and take its variables from `mmedagent store env`"
            )
        credentials = os.environ.get(CREDENTIALS_VARIABLE)
        return cls(
            bucket=bucket,
            endpoint=os.environ.get(ENDPOINT_VARIABLE) or None,
            region=os.environ.get(REGION_VARIABLE) or "us-east-1",
            credentials=Path(credentials) if credentials else None,
        )
