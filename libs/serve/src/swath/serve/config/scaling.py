"""Options of deployments that have as many replicas as their calls want."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from swath.serve.config.base import Options


class AutoscalingConfig(Options):
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
