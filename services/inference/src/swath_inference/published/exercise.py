"""The first forward of a model that is to be ready before its first call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import structlog

from swath.published.model import TensorSpec
from swath_inference.dataplane.models import Model
from swath_inference.dataplane.runner import Runner, Target

if TYPE_CHECKING:
    import torch

_log = structlog.get_logger("swath.inference")

_BATCH, _SIDE = 1, 16
"""Sizes where a model takes any."""


def sample(inputs: Iterable[TensorSpec]) -> dict[str, torch.Tensor] | None:
    """Return a batch of zeros for a model; None where it takes what is no tensor. Imports torch.

    Args:
        inputs: What it takes; what may be left out is.
    """
    import torch

    batch = {}
    for spec in inputs:
        if spec.optional:
            continue
        dtype: Any = getattr(torch, "float32" if spec.dtype == "tensor" else spec.dtype, None)
        if not isinstance(dtype, torch.dtype):
            return None
        sizes = (_BATCH if place == 0 else _SIDE for place in range(len(spec.shape)))
        shape = [size if given < 0 else given for given, size in zip(spec.shape, sizes, strict=True)]
        batch[spec.name] = torch.zeros(shape, dtype=dtype)
    return batch


async def exercise(runner: Runner, target: Target, model: Model, inputs: Iterable[TensorSpec]) -> None:
    """Run a model once over zeros, so that kernels are chosen, loaded and compiled before the first call.

    What that fails with is of no account: a model may refuse zeros, or want other sizes. Nodes that write files are not
    run.

    Args:
        runner: Runs it.
        target: The model, for the runner.
        model: As it is loaded.
        inputs: What it takes.
    """
    batch = None if model.pipeline.effect else sample(inputs)
    if batch is None:
        return
    try:
        await runner.infer(target, lambda: batch, (), lambda outputs: None)
    except Exception as error:
        _log.debug("a model did not take a batch of zeros", holder=target.holder, error=str(error))
