"""Gradients and optimizer steps of a gradient phase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.pipeline import Pipeline
from swath.engine.training.distributed.group import Group, Share
from swath.engine.training.distributed.parallel import Replicas
from swath.engine.training.distributed.precision import Precision
from swath.engine.training.phases.losses import Losses
from swath.engine.training.phases.optimizers import Schedule, make_optimizer, measure_rates
from swath.engine.training.spec import RunSpec
from swath.errors import InvalidInput


class Optimization:
    """Forward and backward passes over batches, and optimizer steps.

    Args:
        spec: What the run does.
        pipeline: Changed in place.
        parameters: What gradients change.
        device: Where the pipeline is.
        group: The processes that train together.

    Attributes:
        losses: The loss and its parts.
        precision: The number format.
        schedule: The learning rate over epochs.
        replicas: The pipelines of all processes.
    """

    def __init__(
        self,
        spec: RunSpec,
        pipeline: Pipeline,
        parameters: list[torch.nn.Parameter],
        device: torch.device,
        group: Group,
    ) -> None:
        assert spec.training is not None
        self._training, self._parameters, self._device = spec.training, parameters, device
        self.replicas = Replicas(pipeline, group)
        self.precision = Precision(self._training, device)
        self._optimizer = make_optimizer(self._training.optimizer, parameters)
        self.schedule = Schedule(self._training.scheduler, self._optimizer, self._training.max_epochs)
        self.losses = Losses(pipeline, spec.trainrun.loss_nodes)

    def add_gradients(self, batch: dict[str, Any], context: Context, share: Share) -> Tensor:
        """Add the gradients of a batch to those that the next step takes; return its loss and the loss's parts.

        Raises:
            InvalidInput: The loss depends on no trainable parameter.
        """
        every = self._training.accumulate_grad_batches
        self.replicas.mark()
        with self.precision.forward_context():
            outputs = self.replicas.forward(batch, context, self.losses.keys)
            total, parts = self.losses.sum(outputs)
        self.replicas.average_buffers(share.weight)
        if not total.requires_grad:
            raise InvalidInput("The loss depends on no trainable parameter; name its nodes in unfreeze_nodes")
        if share.own < share.all:
            total = total * share.weight
        self.precision.backward(total / every if every > 1 else total)
        return parts

    def step(self) -> None:
        """Step by the gradients of all processes, and start them afresh."""
        self.replicas.add_gradients(self._parameters)
        clip = self._training.gradient_clip_val
        if clip:
            self.precision.unscale_gradients(self._optimizer)
            torch.nn.utils.clip_grad_norm_(self._parameters, clip)
        self.precision.optimizer_step(self._optimizer)
        for parameter in self._parameters:
            parameter.grad = None

    def rates(self, *, momentum: bool, weight_decay: bool) -> dict[str, float]:
        """As `measure_rates`."""
        return measure_rates(self._optimizer, momentum=momentum, weight_decay=weight_decay)

    def set_learning_rate(self, rate: float) -> None:
        """Step with another learning rate from now on; a schedule goes on from it."""
        self.schedule.rescale(rate)

    def set_weight_decay(self, decay: float) -> None:
        """Step with another weight decay from now on."""
        for group in self._optimizer.param_groups:
            group["weight_decay"] = decay

    def gradients(self) -> list[Tensor | None]:
        """Return the gradients that wait for a step; empty if there are none."""
        gradients = [parameter.grad for parameter in self._parameters]
        return gradients if any(gradient is not None for gradient in gradients) else []

    def restore_gradients(self, gradients: list[Tensor | None]) -> None:
        """Put back what `gradients` returned."""
        for parameter, gradient in zip(self._parameters, gradients, strict=False):
            parameter.grad = None if gradient is None else gradient.to(self._device)

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return {
            "optimizer": self._optimizer.state_dict(),
            "schedule": self.schedule.state(),
            "precision": self.precision.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from the state of another process."""
        self._optimizer.load_state_dict(state["optimizer"])
        self.schedule.restore(state["schedule"])
        self.precision.load_state_dict(state["precision"])
