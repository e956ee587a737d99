"""Optimizers and learning rate schedules as documents describe them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

from swath.documents import OptimizerDocument, SchedulerDocument
from swath.engine.training.reporting.values import missing_value
from swath.errors import InvalidInput

log = logging.getLogger(__name__)

_PLATEAU = ("plateau", "reduce_on_plateau")


def make_optimizer(document: OptimizerDocument, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimizer that a document describes, over the given parameters.

    Raises:
        InvalidInput: No optimizer has that name.
    """
    parameters = list(parameters)
    common: dict[str, Any] = {"lr": document.lr, "weight_decay": document.weight_decay}
    match document.name.lower():
        case "adam":
            return torch.optim.Adam(parameters, betas=document.betas or (0.9, 0.999), **common)
        case "adamw":
            return torch.optim.AdamW(parameters, betas=document.betas or (0.9, 0.999), **common)
        case "sgd":
            return torch.optim.SGD(parameters, momentum=document.momentum or 0.0, **common)
        case _:
            raise InvalidInput(f"Unsupported optimizer: {document.name}. Supported optimizers: adam, adamw, sgd")


class Schedule:
    """The learning rate over the epochs of a run; stepped at the end of each epoch.

    Cosine, step and exponential follow torch's schedulers of these names, after a linear warm-up from
    ``lr / (warmup_epochs + 1)`` to ``lr``. Plateau monitors a value that the run reports. No schedule decays below
    `min_lr`.
    """

    def __init__(self, document: SchedulerDocument | None, optimizer: torch.optim.Optimizer, max_epochs: int) -> None:
        self._optimizer = optimizer
        self._verbose = document is not None and document.verbose
        self.monitor: str | None = None
        self._warmup = 0
        self._floors: list[float] = []
        self._scheduler: LRScheduler | None = None
        name = (document.name or "none").lower() if document is not None else "none"
        if document is None or name == "none":
            return
        if name in _PLATEAU:
            if document.warmup_epochs:
                raise InvalidInput(f"warmup_epochs is not supported with {name}: it steps on a monitored value")
            if document.factor >= 1.0:
                raise InvalidInput(f"training.scheduler.factor must be below 1 with {name}, got {document.factor}")
            self.monitor = document.monitor or "val_loss"
            self._scheduler = ReduceLROnPlateau(
                optimizer,
                mode=document.mode,
                factor=document.factor,
                patience=document.patience,
                threshold=document.threshold,
                threshold_mode=document.threshold_mode,
                cooldown=document.cooldown,
                min_lr=document.min_lr,
                eps=document.eps,
            )
            return
        warmup = document.warmup_epochs
        if warmup >= max_epochs:
            raise InvalidInput(f"warmup_epochs ({warmup}) must be smaller than max_epochs ({max_epochs})")
        self._warmup = warmup
        # A configured rate below the floor is kept.
        self._floors = [min(document.min_lr, group["lr"]) for group in optimizer.param_groups]
        main: LRScheduler
        match name:
            case "cosine":
                main = CosineAnnealingLR(optimizer, document.t_max or max_epochs - warmup, document.min_lr)
            case "step":
                gamma = 0.1 if document.gamma is None else document.gamma
                main = StepLR(optimizer, document.step_size or 1, gamma)
            case "exponential":
                main = ExponentialLR(optimizer, 0.99 if document.gamma is None else document.gamma)
            case _:
                raise InvalidInput(
                    f"Unsupported scheduler: {document.name}. Supported schedulers: reduce_on_plateau, plateau, "
                    "cosine, step, exponential, none"
                )
        if warmup:
            ramp = LinearLR(optimizer, 1.0 / (warmup + 1), 1.0, warmup)
            self._scheduler = SequentialLR(optimizer, [ramp, main], [warmup])
        else:
            self._scheduler = main

    def step(self, values: dict[str, float]) -> None:
        """Advance by one epoch.

        Args:
            values: Values reported so far, by name.

        Raises:
            InvalidInput: A plateau schedule monitors a value that is not among them.
        """
        if self._scheduler is None:
            return
        before = self.rates()
        if isinstance(self._scheduler, ReduceLROnPlateau):
            monitor = self.monitor or "val_loss"
            if monitor not in values:
                raise missing_value("training.scheduler.monitor", monitor, values)
            self._scheduler.step(values[monitor])
        else:
            with warnings.catch_warnings():
                # torch checks the order of calls by flags of this process, which a resumed run does not have.
                warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step", UserWarning)
                self._scheduler.step()
            if self._scheduler.last_epoch > self._warmup:
                self._keep_above_floors()
        if self._verbose and before != self.rates():
            log.info("learning rate %s -> %s", before, self.rates())

    def _keep_above_floors(self) -> None:
        for group, floor in zip(self._optimizer.param_groups, self._floors, strict=True):
            group["lr"] = max(group["lr"], floor)

    def rescale(self, rate: float) -> None:
        """Have another learning rate now, and the same course from there: what is to come grows or shrinks with it."""
        for index, group in enumerate(self._optimizer.param_groups):
            factor = rate / group["lr"] if group["lr"] else 1.0
            group["lr"] = rate
            if "initial_lr" in group:
                group["initial_lr"] *= factor
            for scheduler in self._courses():
                scheduler.base_lrs[index] *= factor

    def _courses(self) -> list[Any]:
        """Return torch's schedulers that compute a rate from the one that they began with."""
        if isinstance(self._scheduler, SequentialLR):
            return list(self._scheduler._schedulers)
        return [self._scheduler] if hasattr(self._scheduler, "base_lrs") else []

    def rates(self) -> list[float]:
        """Return the learning rate of each parameter group."""
        return [float(group["lr"]) for group in self._optimizer.param_groups]

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return {} if self._scheduler is None else self._scheduler.state_dict()

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        if self._scheduler is not None:
            self._scheduler.load_state_dict(state)


def measure_rates(optimizer: torch.optim.Optimizer, *, momentum: bool, weight_decay: bool) -> dict[str, float]:
    """Return learning rates, keyed ``lr-<Optimizer>``, with momentum and weight decay if wanted."""
    values: dict[str, float] = {}
    name = type(optimizer).__name__
    for index, group in enumerate(optimizer.param_groups):
        key = f"lr-{name}" if len(optimizer.param_groups) == 1 else f"lr-{name}/pg{index + 1}"
        values[key] = float(group["lr"])
        if momentum:
            values[f"{key}-momentum"] = float(group["betas"][0] if "betas" in group else group.get("momentum", 0.0))
        if weight_decay:
            values[f"{key}-weight_decay"] = float(group.get("weight_decay", 0.0))
    return values
