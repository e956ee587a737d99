"""Where an operator wants state to be kept."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from swath.storage.s3.location import S3Location

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class StorageSettings(BaseSettings):
    """Where rows, artifacts and files are. Each field is also an environment variable `SWATH_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="SWATH_", frozen=True, extra="ignore", use_attribute_docstrings=True)

    database_url: str = ""
    """Postgres database, `postgresql://user:password@host/name`; empty: SQLite files in the state folder."""
    artifacts_url: str = ""
    """Where artifacts are, `s3://bucket/prefix`; empty: a folder in the state folder."""
    workspace_url: str = ""
    """Where the workspace's files are, `s3://bucket/prefix`; empty: a folder in the state folder. Anything may put
    files there; names that begin with `.swath-` are the server's own."""
    workspace_root: str = "/workspace"
    """With `workspace_url`: how absolute paths in calls and answers name the workspace, the same in every service."""
    s3_endpoint: str = ""
    """URL of the S3 server; empty: Amazon's, of the region."""
    s3_region: str = "us-east-1"
    """Region of the buckets."""
    s3_access_key_id: str = ""
    """Access key; empty: found as Amazon's own tools do (variables, web identity, instance metadata)."""
    s3_secret_access_key: SecretStr = SecretStr("")
    """The access key's secret."""
    s3_allow_http: bool = False
    """Whether an `http://` endpoint is taken, by which files travel in the clear. A loopback address always is."""
    cache: Path | None = None
    """Folder for local copies of what is in S3; empty: `cache` in the state folder. It must be this user's alone."""
    cache_bytes: int = Field(default=32 * 2**30, gt=0)
    """Bytes of local copies to keep, of artifacts and of files each. What is in use stays, whatever its size."""

    @model_validator(mode="after")
    def _consistent(self) -> StorageSettings:
        for name in ("artifacts_url", "workspace_url"):
            url = urlsplit(getattr(self, name))
            if getattr(self, name) and (url.scheme != "s3" or not url.netloc or url.query or url.fragment):
                raise ValueError(f"{name} must be s3://bucket or s3://bucket/prefix, got {getattr(self, name)!r}")
        endpoint = urlsplit(self.s3_endpoint)
        if self.s3_endpoint and (endpoint.scheme not in ("http", "https") or not endpoint.netloc):
            raise ValueError(f"s3_endpoint must be an http or https URL, got {self.s3_endpoint!r}")
        if endpoint.scheme == "http" and endpoint.hostname not in _LOOPBACK and not self.s3_allow_http:
            raise ValueError(f"s3_endpoint {self.s3_endpoint!r} is not encrypted; set s3_allow_http to take it")
        if bool(self.s3_access_key_id) != bool(self.s3_secret_access_key.get_secret_value()):
            raise ValueError("s3_access_key_id and s3_secret_access_key go together")
        root = Path(self.workspace_root)
        if not root.is_absolute() or root == Path("/") or root.as_posix() != self.workspace_root or ".." in root.parts:
            raise ValueError(f"workspace_root must be an absolute path such as /workspace, got {self.workspace_root!r}")
        return self

    def location(self, url: str) -> S3Location:
        """Return the part of a bucket that a URL names, with endpoint and credentials."""
        parts = urlsplit(url)
        return S3Location(
            bucket=parts.netloc,
            prefix=parts.path.strip("/"),
            endpoint=self.s3_endpoint,
            region=self.s3_region,
            access_key_id=self.s3_access_key_id,
            secret_access_key=self.s3_secret_access_key.get_secret_value(),
        )

    def cache_folder(self, state: Path) -> Path:
        """Return the folder for local copies."""
        return self.cache or state / "cache"
