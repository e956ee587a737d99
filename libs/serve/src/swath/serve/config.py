"""Options of deployments and of the host, checked in one place for decorator, `.options()`, `start` and config file.

Names and defaults are Ray Serve's. An option that Ray has and that means nothing here is taken and said to be unused.
"""

from __future__ import annotations

import difflib
import logging
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

_LOG = logging.getLogger("swath.serve")

LOOPBACK = "127.0.0.1"

_ACTOR_OPTIONS = (
    "num_cpus",
    "num_gpus",
    "memory",
    "object_store_memory",
    "resources",
    "accelerator_type",
    "runtime_env",
    "label_selector",
    "fallback_strategy",
)

UNUSED = frozenset(
    {
        "backpressure_config",
        "graceful_shutdown_wait_loop_s",
        "logging_config",
        "max_replicas_per_node",
        "max_surge_percent",
        "placement_group_bundle_label_selector",
        "placement_group_bundles",
        "placement_group_fallback_strategy",
        "placement_group_strategy",
        "request_router_config",
        "rolling_update_percentage",
    }
)
"""Options of deployments that are taken so that code runs as it is, and change nothing: they are Ray's machinery."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ", did you mean 'x'?" for an unknown name, or nothing where no known name is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, validate_default=False)

    @classmethod
    def read(cls, given: Self | Mapping[str, Any] | None, what: str) -> Self:
        """Return options given as an object, a dict or None (all defaults).

        Args:
            given: The options.
            what: What they are, for errors: "grpc_options".

        Raises:
            ValueError: One is unknown or has a value that it cannot have.
        """
        if isinstance(given, cls):
            return given
        if given is None:
            return cls()
        if not isinstance(given, Mapping):
            raise ValueError(f"{what}: expected {cls.__name__} or a dict, got {type(given).__name__}")
        for name in given:
            if name not in cls.model_fields:
                raise ValueError(f"{what}: unknown option {name!r}{nearest(str(name), cls.model_fields)}")
        try:
            return cls(**given)
        except ValidationError as error:
            raise ValueError(f"{what}: {said(error)}") from None


def said(error: ValidationError) -> str:
    """Return what a validation found, in one line: option, what it must be, what it was."""
    lines: list[str] = []
    for each in error.errors():
        where = ".".join(str(part) for part in each["loc"] if not str(part).startswith(("function-", "int", "literal")))
        text = each["msg"].removeprefix("Value error, ")
        got = "" if each["type"] == "value_error" else f", got {each['input']!r}"
        lines.append(f"{where}: {text}{got}" if where else f"{text}{got}")
    return "; ".join(dict.fromkeys(lines))


class gRPCOptions(_Options):  # noqa: N801 - the name that users' code has
    """Where and how applications are served over gRPC.

    Unlike Ray's, it listens on loopback unless `host` says otherwise, has TLS, and a servicer function that cannot be
    imported fails the start.

    Attributes:
        port: TCP port; 0 takes a free one.
        host: Address to listen on.
        grpc_servicer_functions: Import paths of the generated functions that add a service to a server:
            "user_pb2_grpc.add_UserServiceServicer_to_server". Without one, `serve.start` opens no port.
        request_timeout_s: Seconds that a call may take from its arrival to its end, a stream's whole life included.
        enable_reflection: Whether gRPC reflection (v1 and v1alpha) tells of the users' services.
        tls_cert: File with the server's certificate chain, PEM.
        tls_key: File with its private key, PEM.
        tls_ca: File with the authorities of clients' certificates, PEM.
        client_certificates: Whether clients show a certificate of those: "required" or "ignored".
        max_message_bytes: Largest request and answer.
        max_metadata_bytes: Largest metadata of a call.
        metrics_port: TCP port for Prometheus; 0 for none.
        slow_call_s: Seconds from which on a call is logged as slow.
        access_log: Whether each call is logged.
        drain_lag_s: Seconds between "not healthy any more" and the end of listening.
        send_tracebacks: Whether a failed call tells the client the whole traceback, as Ray does, and not `Type: text`.
    """

    port: int = Field(default=9000, ge=0, le=65535)
    host: str = LOOPBACK
    grpc_servicer_functions: tuple[str, ...] = ()
    request_timeout_s: float | None = Field(default=None, gt=0)
    enable_reflection: bool = True
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None
    client_certificates: Literal["required", "ignored"] = "ignored"
    max_message_bytes: int = Field(default=2**31 - 1, gt=0)
    max_metadata_bytes: int = Field(default=32768, gt=0)
    metrics_port: int = Field(default=0, ge=0, le=65535)
    slow_call_s: float = Field(default=2.0, gt=0)
    access_log: bool = True
    drain_lag_s: float = Field(default=0.0, ge=0)
    send_tracebacks: bool = False

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together: one is missing")
        if self.client_certificates == "required" and self.tls_ca is None:
            raise ValueError("client_certificates is 'required': tls_ca is missing, which says whose")
        return self


class HTTPOptions(BaseModel):
    """Options of Ray's HTTP proxy. Applications are not served over HTTP here: they are read and not used."""

    model_config = ConfigDict(frozen=True, extra="allow")

    host: str | None = LOOPBACK
    port: int | None = 8000


class AutoscalingConfig(_Options):
    """How many replicas a deployment has, by how many calls are there: running and queued ones.

    Attributes:
        min_replicas: At least so many; 0 lets a deployment go that nobody calls. The next call waits for one to start.
        initial_replicas: So many at first; the minimum if None.
        max_replicas: At most so many.
        target_ongoing_requests: Calls per replica to aim at.
        look_back_period_s: Seconds over which calls are averaged.
        upscale_delay_s: Seconds that more are needed before they start. From zero there is no delay.
        downscale_delay_s: Seconds that fewer are enough before the others stop.
        downscale_to_zero_delay_s: The same for the last one; `downscale_delay_s` if None.
        upscaling_factor: Scales each step up; 1 if None.
        downscaling_factor: Scales each step down; 1 if None.
        aggregation_function: How calls over the period become one number: "mean", "max" or "min".
        metrics_interval_s: Ray's own; not used, since the host counts calls itself.
        policy: Ray's own; not used.
    """

    min_replicas: int = Field(default=1, ge=0)
    initial_replicas: int | None = Field(default=None, ge=0)
    max_replicas: int = Field(default=1, ge=1)
    target_ongoing_requests: float = Field(default=2, gt=0)
    look_back_period_s: float = Field(default=30.0, gt=0)
    upscale_delay_s: float = Field(default=30.0, ge=0)
    downscale_delay_s: float = Field(default=600.0, ge=0)
    downscale_to_zero_delay_s: float | None = Field(default=None, ge=0)
    upscaling_factor: float | None = Field(default=None, gt=0)
    downscaling_factor: float | None = Field(default=None, gt=0)
    aggregation_function: Literal["mean", "max", "min"] = "mean"
    metrics_interval_s: float = 10.0
    policy: Any = None

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.max_replicas < self.min_replicas:
            raise ValueError(f"max_replicas ({self.max_replicas}) is below min_replicas ({self.min_replicas})")
        if self.initial_replicas is not None and not self.min_replicas <= self.initial_replicas <= self.max_replicas:
            raise ValueError(
                f"initial_replicas ({self.initial_replicas}) is not between min_replicas ({self.min_replicas}) "
                f"and max_replicas ({self.max_replicas})"
            )
        return self

    @property
    def first(self) -> int:
        """Replicas at first."""
        return self.min_replicas if self.initial_replicas is None else self.initial_replicas


AUTO = AutoscalingConfig(min_replicas=1, max_replicas=100, target_ongoing_requests=2)
"""What `num_replicas="auto"` stands for."""


class DeploymentOptions(_Options):
    """Options of a deployment, as `@deployment`, `.options()` and the config file's `deployments` have them.

    Attributes:
        num_replicas: Replicas; None where `autoscaling_config` says.
        ray_actor_options: Resources of a replica, and its environment. Here `runtime_env.env_vars` are set, and a
            replica that has more than `memory` bytes is replaced; a cluster's launcher reads the others.
        max_ongoing_requests: Calls that a replica runs at a time.
        max_queued_requests: Calls that may wait for a replica, -1 for any number. One queue per deployment; Ray has one
            per caller.
        user_config: Given to the object's `reconfigure`; a change of it alone restarts nothing.
        autoscaling_config: Replicas by calls.
        health_check_period_s: Seconds between two checks of a replica.
        health_check_timeout_s: Seconds without an answer after which a replica is replaced.
        graceful_shutdown_timeout_s: Seconds that running calls have when a replica is to stop.
        max_constructor_retry_count: Failed constructors after which a version is given up, at most three per replica.
    """

    num_replicas: int | Literal["auto"] | None = None
    ray_actor_options: dict[str, Any] = Field(default_factory=dict)
    max_ongoing_requests: int = Field(default=5, ge=1)
    max_queued_requests: int = Field(default=-1, ge=-1)
    user_config: Any = None
    autoscaling_config: AutoscalingConfig | None = None
    health_check_period_s: float = Field(default=10.0, gt=0)
    health_check_timeout_s: float = Field(default=30.0, gt=0)
    graceful_shutdown_timeout_s: float = Field(default=20.0, ge=0)
    max_constructor_retry_count: int = Field(default=20, ge=1)
    graceful_shutdown_wait_loop_s: float = Field(default=2.0, ge=0)
    backpressure_config: Any = None
    logging_config: Any = None
    max_replicas_per_node: int | None = None
    max_surge_percent: float = 0.0
    placement_group_bundle_label_selector: Any = None
    placement_group_bundles: Any = None
    placement_group_fallback_strategy: Any = None
    placement_group_strategy: str | None = None
    request_router_config: Any = None
    rolling_update_percentage: float = 0.2

    @field_validator("num_replicas")
    @classmethod
    def _check_number(cls, value: int | str | None) -> int | str | None:
        if isinstance(value, int) and value < 1:
            raise ValueError(
                f"must be a positive number, got {value}; to let a deployment go to zero, use autoscaling_config"
            )
        return value

    @field_validator("ray_actor_options")
    @classmethod
    def _check_resources(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, amount in value.items():
            if name not in _ACTOR_OPTIONS:
                raise ValueError(f"unknown key {name!r}{nearest(name, _ACTOR_OPTIONS)}")
            if name in ("num_cpus", "num_gpus", "memory") and amount is not None:
                number = isinstance(amount, (int, float)) and not isinstance(amount, bool)
                if not number or not math.isfinite(amount) or amount < 0:
                    raise ValueError(f"{name} must be a number from 0 on, got {amount!r}")
        return value

    @property
    def scaling(self) -> AutoscalingConfig | None:
        """How it scales by calls; None for a fixed number."""
        if self.num_replicas == "auto":
            given = self.autoscaling_config.model_dump(exclude_unset=True) if self.autoscaling_config else {}
            return AutoscalingConfig(**{**AUTO.model_dump(exclude_unset=True), **given})
        return self.autoscaling_config

    @property
    def replicas(self) -> int:
        """The fixed number of replicas; meaningless where it scales."""
        return self.num_replicas if isinstance(self.num_replicas, int) else 1

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of its replicas."""
        given = (self.ray_actor_options.get("runtime_env") or {}).get("env_vars") or {}
        return {str(name): str(value) for name, value in given.items()}

    def changed(self, given: Mapping[str, Any]) -> DeploymentOptions:
        """Return the options with some changed; what is not given stays.

        Raises:
            TypeError: An option is unknown.
            ValueError: One has a value that it cannot have, or two contradict one another.
        """
        if given.get("version") is not None:
            raise ValueError("deployment option version: versions are told apart by themselves; leave it out")
        given = {name: value for name, value in given.items() if name != "version"}
        for name in given:
            if name not in type(self).model_fields:
                raise TypeError(f"unknown deployment option {name!r}{nearest(name, type(self).model_fields)}")
        for name in UNUSED.intersection(given):
            _LOG.info("deployment option %s is Ray's own and not used", name)
        scales = given.get("autoscaling_config") is not None
        if scales and given.get("num_replicas") not in (None, "auto"):
            raise ValueError(
                "deployment options num_replicas and autoscaling_config contradict one another: give one of them"
            )
        kept = {name: getattr(self, name) for name in self.model_fields_set}
        if scales and "num_replicas" not in given:
            kept.pop("num_replicas", None)
        if given.get("num_replicas") not in (None, "auto"):
            kept.pop("autoscaling_config", None)
        if isinstance(given.get("autoscaling_config"), Mapping):
            read = AutoscalingConfig.read(given["autoscaling_config"], "deployment option autoscaling_config")
            given = {**given, "autoscaling_config": read}
        if given.get("ray_actor_options", ...) is None:
            given = {**given, "ray_actor_options": {}}
        try:
            return type(self)(**{**kept, **given})
        except ValidationError as error:
            raise ValueError(f"deployment option {said(error)}") from None
