"""Number formats of gradient training: full precision, or mixed with a half format by torch's autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from swath.documents import TrainingDocument
from swath.errors import InvalidInput

_FORMATS = {
    "32-true": None,
    "32": None,
    "16-mixed": torch.float16,
    "16": torch.float16,
    "bf16-mixed": torch.bfloat16,
    "bf16": torch.bfloat16,
}
_ELSEWHERE = ("64", "64-true", "16-true", "bf16-true", "transformer-engine", "transformer-engine-float16")


class Precision:
    """The number format of a run on one device.

    float16 loses small gradients, so losses are scaled up before the backward pass and gradients down again before the
    step; bfloat16 needs no scaling. CPUs cannot train in float16: bfloat16 is used instead.

    Args:
        training: The document, whose `precision` is read.
        device: Where the run computes.

    Raises:
        InvalidInput: There is no such format, or pipelines cannot run in it.
    """

    def __init__(self, training: TrainingDocument, device: torch.device) -> None:
        half = format_of(training)
        if device.type == "cpu" and half is torch.float16:
            half = torch.bfloat16
        self._half = half
        self._device = device.type
        self._scaler = torch.amp.GradScaler(device.type) if half is torch.float16 else None

    @property
    def mixed(self) -> bool:
        """Whether forwards compute in a half format."""
        return self._half is not None

    def forward_context(self) -> AbstractContextManager[Any]:
        """Return the context that forwards run in."""
        return nullcontext() if self._half is None else torch.autocast(self._device, dtype=self._half)

    def backward(self, loss: Tensor) -> None:
        """Compute gradients of a loss."""
        (loss if self._scaler is None else self._scaler.scale(loss)).backward()

    def unscale_gradients(self, optimizer: torch.optim.Optimizer) -> None:
        """Undo the scaling of gradients, before they are clipped."""
        if self._scaler is not None:
            self._scaler.unscale_(optimizer)

    def optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Step, unless scaled gradients overflowed."""
        if self._scaler is None:
            optimizer.step()
        else:
            self._scaler.step(optimizer)
            self._scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the scaling."""
        return self._scaler.state_dict() if self._scaler is not None else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the state of the scaling."""
        if self._scaler is not None and state:
            self._scaler.load_state_dict(state)


def format_of(training: TrainingDocument) -> torch.dtype | None:
    """Return the half format that a document asks for, None for full precision.

    Raises:
        InvalidInput: There is no such format, or pipelines cannot run in it.
    """
    given = str(training.precision)
    if given in _FORMATS:
        return _FORMATS[given]
    if given in _ELSEWHERE:
        raise InvalidInput(
            f"training.precision '{given}' is not supported: ports carry float32; use 32-true, 16-mixed or bf16-mixed"
        )
    raise InvalidInput(f"training.precision '{given}' is not one of 32-true, 16-mixed, bf16-mixed")
