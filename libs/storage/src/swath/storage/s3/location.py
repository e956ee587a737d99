"""Parts of buckets."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class S3Location:
    """A part of a bucket, with endpoint and credentials.

    Attributes:
        bucket: The bucket's name.
        prefix: What all keys begin with, without leading or trailing slash; may be empty.
        endpoint: URL of the server; empty means Amazon's.
        region: The bucket's region.
        access_key_id, secret_access_key: Credentials; empty means Amazon's default credential chain.
    """

    bucket: str
    prefix: str
    endpoint: str = ""
    region: str = "us-east-1"
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)

    def spec(self) -> dict[str, Any]:
        """Return the location as JSON-able data, the secret included."""
        return asdict(self)

    @property
    def id(self) -> str:
        """Name for a cache folder: the same for the same part of the same bucket."""
        return hashlib.sha256(f"{self.endpoint}\0{self.bucket}\0{self.prefix}".encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")
