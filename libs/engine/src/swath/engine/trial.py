"""A first forward of a pipeline, over batches that are made of nothing but what it declares."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product

import torch
from torch import Tensor

from swath.engine.error_text import first_line, outcome_text
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import ANY, Kind, Port, Stage
from swath.errors import Precondition, SwathError

_SIDES = (16, 64)
_CHANNELS = (16, 3)
"""Sizes where ports leave them open."""
_MOST_GUESSES = 6
_MOST_CHANNELS = 4096
_MOST_BYTES = 64 * 1024 * 1024

_OF_VALUES = (SwathError, ValueError)
"""What refuses a batch. Others may be taken: what is made here is no scene."""


def try_forward(pipeline: Pipeline) -> str:
    """Run a pipeline once at inference, on the device where it is.

    Sizes that its ports leave open are guessed: channels from its parameters and statistics. What one batch fails with
    is no fault of the pipeline as long as others may be taken.

    Returns:
        Why it could not be tried, in words; empty where a forward went well.

    Raises:
        Precondition: It fails whatever the sizes.
    """
    if pipeline.effect:
        return "it writes files"
    errors: dict[str, Exception] = {}
    for batch in _batches(pipeline):
        try:
            with torch.inference_mode():
                pipeline.forget()
                pipeline(batch)
        except torch.OutOfMemoryError:
            return "the device has not enough memory"
        except Exception as error:
            errors[outcome_text(error)] = error
        else:
            return ""
        finally:
            pipeline.forget()
    if not errors:
        return "no batch for it can be made of what it declares"
    found = next(iter(errors.values()))
    if len(errors) == 1 and not isinstance(found, _OF_VALUES):
        raise Precondition(f"a forward fails on inputs as the pipeline declares them: {_said(found)}") from found
    return f"it did not take made inputs: {_said(found)}"


def _said(error: Exception) -> str:
    return error.message if isinstance(error, SwathError) else f"{type(error).__name__}: {first_line(error)}"


def _batches(pipeline: Pipeline) -> Iterator[Mapping[str, Tensor]]:
    """Iterate over batches, one for each guess of what is open; none where an input is no tensor, or is too large."""
    ports = {name: port for name, port in pipeline.input_specs(Stage.INFERENCE).items() if not port.optional}
    if any(isinstance(port.dtype, Kind) and port.dtype is not ANY for port in ports.values()):
        return
    open_axes = {axis for port in ports.values() for axis, size in _axes(port) if size < 0}
    sides = _SIDES if "side" in open_axes else _SIDES[:1]
    guesses = _guesses(pipeline) if "channels" in open_axes else _CHANNELS[:1]
    for side, channels in product(sides, guesses):
        open_sizes = {"batch": 1, "side": side, "channels": channels}
        shapes = {
            name: [size if size >= 0 else open_sizes[axis] for axis, size in _axes(port)]
            for name, port in ports.items()
        }
        if sum(8 * math.prod(shape) for shape in shapes.values()) <= _MOST_BYTES:
            yield {name: _values(port, shapes[name]) for name, port in ports.items()}


def _axes(port: Port) -> list[tuple[str, int]]:
    """Return what each axis of an input is, with its size: -1 where that is open."""
    rank = len(port.shape)
    # [C], [B, C], [B, H, W], and [B, H, W, C] with whatever else is between.
    names = {0: [], 1: ["channels"], 3: ["batch", "side", "side"]}.get(rank)
    if names is None:
        names = ["batch", *["side"] * (rank - 2), "channels"]
    return list(zip(names, (size if isinstance(size, int) else -1 for size in port.shape), strict=True))


def _guesses(pipeline: Pipeline) -> list[int]:
    sizes = Counter(
        size
        for node in pipeline.nodes.values()
        for tensor in node.state_dict().values()
        if isinstance(tensor, Tensor)
        for size in tensor.shape
        if 1 < size <= _MOST_CHANNELS
    )
    return list(dict.fromkeys((*(size for size, _ in sizes.most_common(_MOST_GUESSES)), *_CHANNELS)))


def _values(port: Port, shape: list[int]) -> Tensor:
    """Return made values: rising ones for a row of numbers, as wavelengths are; between 0 and 1 for pixels."""
    dtype = port.dtype if isinstance(port.dtype, torch.dtype) else torch.float32
    if len(shape) <= 2:
        rising = torch.linspace(400, 1000, shape[-1]) if shape else torch.ones(())
        return rising.expand(shape).to(dtype) if dtype.itemsize > 1 else torch.ones(shape, dtype=dtype)
    if not dtype.is_floating_point:
        return torch.zeros(shape, dtype=dtype)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
