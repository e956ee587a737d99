"""The config file of applications, as Ray Serve has it, and what Swath adds: who may call an application."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from swath.serve.config import DeploymentOptions, gRPCOptions

Access = Literal["private", "authenticated", "public"]
"""Who may call an application: its owner; whoever proves who they are; anybody."""


class Document(BaseModel):
    """Part of a config file."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class LoggingConfig(Document):
    """How an application logs. Accepted; the log of the server that runs it is set up by its own settings."""

    encoding: Literal["TEXT", "JSON"] = "TEXT"
    """Form of the lines."""
    log_level: str | int = "INFO"
    """Least severe lines."""
    logs_dir: str | None = None
    """Folder of log files."""
    enable_access_log: bool = True
    """Whether each call leaves a line."""
    additional_log_standard_attrs: list[str] = Field(default_factory=list)
    """More attributes of Python's log records."""


class RuntimeEnv(Document):
    """What surrounds the code of an application. What would come from elsewhere is refused or said to be unused."""

    working_dir: str | None = None
    """Folder with the code: a path, or `local://` and a path."""
    py_modules: list[str] = Field(default_factory=list)
    """More folders with packages, in the same form."""
    env_vars: dict[str, str] = Field(default_factory=dict)
    """Environment variables of its processes."""
    excludes: list[str] = Field(default_factory=list)
    """Accepted; `.swathignore` says what a bundle leaves out."""
    image_uri: str | None = None
    """Container image of its replicas, where each has a container; unused elsewhere."""
    container: dict[str, Any] | None = None
    """The same as older files have it: `{image: NAME}`."""
    pip: Any = None
    """Accepted and unused: nothing is installed; what the code imports must be there."""
    conda: Any = None
    """As `pip`."""
    uv: Any = None
    """As `pip`."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Accepted and unused."""

    @property
    def image(self) -> str:
        """The container image, empty for none."""
        return self.image_uri or str((self.container or {}).get("image") or "")


class HTTPConfig(Document):
    """Accepted and unused: HTTP is not served."""

    host: str | None = None
    port: int | None = None
    root_path: str = ""
    root_url: str | None = None
    request_timeout_s: float | None = None
    keep_alive_timeout_s: float | None = None
    ssl_keyfile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile_password: str | None = None
    ssl_ca_certs: str | None = None
    location: str | None = None
    num_cpus: float | None = None
    middlewares: list[Any] = Field(default_factory=list)


class DeploymentOverride(DeploymentOptions):
    """Options of a deployment that count more than those in the code; those that are not named stay as there."""

    name: str = Field(min_length=1)
    """The deployment."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> DeploymentOverride:
        DeploymentOptions().changed(self.given)
        return self

    @property
    def given(self) -> dict[str, Any]:
        """The options that are named."""
        return {key: getattr(self, key) for key in self.model_fields_set if key != "name"}


class ApplicationConfig(Document):
    """An application."""

    name: str = Field(default="default", min_length=1)
    """Its name, by which calls choose it."""
    route_prefix: str | None = "/"
    """Accepted and unused: HTTP is not served. Two applications may not have the same."""
    import_path: str = Field(min_length=1)
    """Where it is in Python: `module:attribute` or `module.attribute`, an application or a function that builds one."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Given to that function."""
    runtime_env: RuntimeEnv = RuntimeEnv()
    """What surrounds its code."""
    host: str | None = None
    """Accepted and unused, as older files have it."""
    port: int | None = None
    """As `host`."""
    deployments: list[DeploymentOverride] = Field(default_factory=list)
    """Options of its deployments that count more than those in the code."""
    autoscaling_policy: Any = None
    """Accepted and unused."""
    logging_config: LoggingConfig | None = None
    """How it logs."""
    external_scaler_enabled: bool = False
    """Accepted and unused."""
    access: Access = "authenticated"
    """Who may call it: `private`, `authenticated` or `public`."""

    @model_validator(mode="after")
    def _check(self) -> ApplicationConfig:
        if self.route_prefix is not None and not self.route_prefix.startswith("/"):
            raise ValueError(
                f"route_prefix: expected a forward slash ('/') at the beginning, or null; got {self.route_prefix!r}"
            )
        names = Counter(each.name for each in self.deployments)
        if twice := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"deployments: {twice[0]!r} is named twice")
        return self


class ServeConfig(Document):
    """A config file: the complete set of applications."""

    proxy_location: Literal["EveryNode", "HeadOnly", "Disabled"] = "EveryNode"
    """Accepted and unused: the front is one with the process that routes."""
    http_options: HTTPConfig | None = None
    """Accepted and unused: HTTP is not served."""
    grpc_options: gRPCOptions = Field(default_factory=gRPCOptions)
    """Where and how applications answer."""
    logging_config: LoggingConfig | None = None
    """How all applications log."""
    tracing_config: dict[str, Any] | None = None
    """Accepted and unused."""
    controller_options: dict[str, Any] | None = None
    """Accepted and unused."""
    target_capacity: float | None = Field(default=None, ge=0, le=100)
    """Accepted and unused."""
    applications: list[ApplicationConfig]
    """All applications: whoever deploys the file has these then, and no others."""
