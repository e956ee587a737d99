"""What the engine does for a node about pixels with a band that is not finite (docs/explanation/invalid-pixels.md).

A node says by `Invalid` what it needs. All of this runs only in forwards whose batch holds such a pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.ops import validity
from swath.engine.ops.validity import Valid

if TYPE_CHECKING:
    from swath.engine.graph.node import Node

LinAlgError = torch.linalg.LinAlgError  # pyright: ignore[reportPrivateImportUsage]
"""What torch raises for matrices that it cannot invert or decompose."""

Values = dict[str, Any]


class Invalid(Enum):
    """How a node is kept from invalid pixels. In its outputs they are marked: NaN, False, or the label of the port.

    Attributes:
        FILLED: It sees the mean of the frame's valid pixels instead. For nodes that look at each pixel, or around it.
        FRAMES: It sees the valid pixels of one frame at a time, as a cube ``[1, N, 1, C]``. For statistics of frames.
        BATCH: It sees the valid pixels of the batch, as a cube ``[1, N, 1, C]``. For statistics of batches.
        LOSS: As BATCH, and without a valid pixel the loss is 0. A pixel that was valid in the batch and is not finite
            any more stays: training has diverged, and the loss has to show it.
        SEEN: It sees them, and leaves them out by itself: `Context.valid_at` says which they are.
        DRAWN: It sees black instead, and nothing is marked. For pictures.
        PASSED: It sees them, and nothing is marked. For nodes that move pixels, or look for invalid ones.
    """

    FILLED = auto()
    FRAMES = auto()
    BATCH = auto()
    LOSS = auto()
    SEEN = auto()
    DRAWN = auto()
    PASSED = auto()


def run_on_valid(node: Node, inputs: Values, context: Context) -> Values:
    """Run a node on inputs that may hold invalid pixels."""
    if node.invalid is Invalid.PASSED:
        return node.run(inputs, context)
    found: Valid = {}
    for port, value in inputs.items():
        if port not in node.spectra:
            validity.join(found, value)
    if node.invalid is Invalid.LOSS:
        found = _declared(found, context.valid or {})
    clean = replace(context, valid=None)
    if not found:
        return node.run(inputs, clean)
    match node.invalid:
        case Invalid.DRAWN:
            return node.run(_replaced(node, inputs, found, black=True), clean)
        case Invalid.FRAMES:
            return _by_frames(node, inputs, found, clean)
        case Invalid.BATCH | Invalid.LOSS:
            return _whole(node, inputs, found, clean)
        case Invalid.SEEN:
            outputs = node.run(inputs, replace(context, valid=found))
        case _:
            outputs = node.run(_replaced(node, inputs, found), clean)
    return {port: _marked(node, port, value, found) for port, value in outputs.items()}


def _declared(found: Valid, given: Valid) -> Valid:
    """Return `found` without the pixels that were valid in the batch."""
    joined = {shape: mask | given[shape] if shape in given else mask for shape, mask in found.items()}
    return {shape: mask for shape, mask in joined.items() if not bool(mask.all())}


def _replaced(node: Node, inputs: Values, found: Valid, *, black: bool = False) -> Values:
    def replaced(value: Any) -> Any:
        if isinstance(value, list):
            return [replaced(each) for each in value]
        valid = _mask_of(value, found)
        if valid is None or value.dim() != 4 or not value.is_floating_point():
            return value
        return torch.where(valid.unsqueeze(-1), value, 0) if black else validity.fill(value, valid)

    return {port: value if port in node.spectra else replaced(value) for port, value in inputs.items()}


def _mask_of(value: Any, found: Valid) -> Tensor | None:
    return found.get(tuple(value.shape[:3])) if isinstance(value, Tensor) and value.dim() >= 3 else None


def _marked(node: Node, port: str, value: Any, found: Valid) -> Any:
    valid = _mask_of(value, found)
    if valid is None or (value.dim() != 4 and value.is_floating_point()):
        return value
    return validity.mark(value, valid, node.outputs[port].invalid)


def _chosen(node: Node, inputs: Values, found: Valid) -> Values:
    """Return the inputs with the valid pixels of each frame or batch as cubes ``[1, N, 1, C]``."""

    def chosen(value: Any) -> Any:
        if isinstance(value, list):
            return [chosen(each) for each in value]
        valid = _mask_of(value, found)
        if valid is None:
            return value
        rows = value[valid]
        return rows.reshape(1, rows.shape[0], 1, *rows.shape[1:])

    return {port: value if port in node.spectra else chosen(value) for port, value in inputs.items()}


def _scattered(node: Node, port: str, value: Any, valid: Tensor) -> Any:
    """Bring values of valid pixels, ``[1, N, 1, ...]``, back to their places ``[B, H, W, ...]``."""
    count = int(valid.sum())
    if not isinstance(value, Tensor) or len(node.outputs[port].shape) < 3 or value.shape[:3] != (1, count, 1):
        return value
    whole = _nothing(value, (*valid.shape, *value.shape[3:]), node.outputs[port].invalid)
    return whole.index_put((valid,), value.reshape(count, *value.shape[3:]))


def _nothing(like: Tensor, shape: tuple[int, ...], label: int | None) -> Tensor:
    return like.new_full(shape, torch.nan if like.is_floating_point() else label or 0)


def _whole(node: Node, inputs: Values, found: Valid, context: Context) -> Values:
    valid = next(iter(found.values()))
    chosen = _chosen(node, inputs, found)
    if bool(valid.any()):
        outputs = node.run(chosen, context)
        return {port: _scattered(node, port, value, valid) for port, value in outputs.items()}
    if node.invalid is Invalid.LOSS:
        # A sum over no pixel: 0, and still a part of the graph that gradients are taken of.
        pixels = [port for port, value in inputs.items() if _mask_of(value, found) is not None]
        zero = sum(chosen[port].sum() for port in pixels if chosen[port].is_floating_point())
        return dict.fromkeys(node.outputs, zero)
    return _blank(node, inputs, found, context)


def _by_frames(node: Node, inputs: Values, found: Valid, context: Context) -> Values:
    first = next(iter(found.values()))
    frames: list[tuple[Values, bool]] = []
    for index in range(first.shape[0]):
        of_frame = {port: _frame(node, port, value, index) for port, value in inputs.items()}
        masks = {(1, *shape[1:]): mask[index : index + 1] for shape, mask in found.items()}
        valid = first[index : index + 1]
        partly = {shape: mask for shape, mask in masks.items() if not bool(mask.all())}
        known = all(bool(mask.any()) for mask in partly.values())
        if not known:
            outputs = _blank(node, of_frame, masks, context)
        elif partly:
            outputs = node.run(_chosen(node, of_frame, partly), context)
            outputs = {port: _scattered(node, port, value, valid) for port, value in outputs.items()}
        else:
            outputs = node.run(of_frame, context)
        frames.append((outputs, known))
    return dict(_joined(node, frames))


def _frame(node: Node, port: str, value: Any, index: int) -> Any:
    if isinstance(value, list):
        return [_frame(node, port, each, index) for each in value]
    pixels = isinstance(value, Tensor) and value.dim() >= 3 and port not in node.spectra
    return value[index : index + 1] if pixels else value


def _joined(node: Node, frames: list[tuple[Values, bool]]) -> Iterator[tuple[str, Any]]:
    """Join the outputs of frames; what a node has one of for all frames is that of the last one with a valid pixel."""
    last = next((outputs for outputs, known in reversed(frames) if known), frames[-1][0])
    for port, value in last.items():
        if isinstance(value, Tensor) and node.outputs[port].shape[:1] == (-1,):
            yield port, torch.cat([outputs[port] for outputs, _ in frames])
        else:
            yield port, value


def _blank(node: Node, inputs: Values, found: Valid, context: Context) -> Values:
    """Return what a node puts out for frames without a valid pixel: nothing in its maps.

    It sees the frames as they are, which leave no trace in a memory, and noise where it cannot compute with them.
    """
    noise = torch.Generator().manual_seed(0)
    training = node.training

    def stand_in(value: Any) -> Any:
        if isinstance(value, list):
            return [stand_in(each) for each in value]
        if _mask_of(value, found) is None or not value.is_floating_point():
            return value
        return torch.rand(value.shape, generator=noise).to(value) + 1

    try:
        node.train(False)
        outputs = node.run(inputs, context)
    except LinAlgError:
        outputs = node.run({port: stand_in(value) for port, value in inputs.items()}, context)
    finally:
        node.train(training)

    def emptied(port: str, value: Any) -> Any:
        of_frame = not isinstance(value, Tensor) or len(node.outputs[port].shape) < 3
        return value if of_frame else _nothing(value, tuple(value.shape), node.outputs[port].invalid)

    return {port: emptied(port, value) for port, value in outputs.items()}
