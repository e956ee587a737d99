"""Options of deployments, one truth for the decorator, `.options()` and the config file."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from swath.serve.config.base import Options, nearest, said
from swath.serve.config.scaling import AUTO, AutoscalingConfig

_LOG = logging.getLogger("swath.serve")

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


class DeploymentOptions(Options):
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
