"""Data parallelism: gradients, moving statistics and measurements over all processes of a run."""

from __future__ import annotations

import io
import pickle
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.graph.pipeline import Pipeline
from swath.engine.training.distributed.device import Run, rerun
from swath.engine.training.distributed.group import Group, Share
from swath.errors import InvalidInput


class Replicas:
    """The same pipeline in each process of a group.

    Args:
        pipeline: This process's.
        group: The processes.
    """

    def __init__(self, pipeline: Pipeline, group: Group) -> None:
        self._pipeline, self._group = pipeline, group
        self._marks: dict[str, tuple[int, int]] = {}

    def start(self) -> None:
        """Load the state of process 0."""
        if self._group.size > 1:
            self._pipeline.load_state(load(self._group.broadcast(dump(self._pipeline.state()))), strict=True)

    def forward(self, batch: dict[str, Any], context: Context, keys: Collection[str]) -> dict[str, Any]:
        """Run the pipeline for some of its outputs. Nodes that write files run at process 0 only."""
        if self._group.is_leader:
            return self._pipeline(batch, context, only=keys)
        return self._pipeline(batch, context, upto={key.partition(".")[0] for key in keys})

    def mean(self, parts: Tensor, share: Share) -> list[float]:
        """Return the means of some numbers over the frames of all processes, given those over this one's frames."""
        if self._group.size == 1:
            return parts.tolist()
        return self._group.all_reduce(
            parts.double() * share.weight if share.own else torch.zeros_like(parts).double()
        ).tolist()

    def add_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Replace each gradient by its sum over all processes; None where no process has one."""
        if self._group.size == 1:
            return
        present = torch.tensor([float(parameter.grad is not None) for parameter in parameters])
        parts = [
            torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.detach()
            for parameter in parameters
        ]
        flat = torch.cat([part.flatten().float() for part in parts] + [present.to(parts[0].device)])
        *sums, held = self._group.all_reduce(flat).split([part.numel() for part in parts] + [len(parts)])
        for parameter, total, count in zip(parameters, sums, held.tolist(), strict=True):
            parameter.grad = total.view_as(parameter).to(parameter.dtype).clone() if count else None

    def mark(self) -> None:
        """Note the versions of buffers before a batch."""
        if self._group.size > 1:
            self._marks = {name: (id(buffer), buffer._version) for name, _, _, buffer in self._buffers()}

    def average_buffers(self, weight: float) -> None:
        """Replace each buffer that the batch has changed by its weighted mean over all processes.

        Moving means then equal those of one process with the whole batch. Whole numbers, such as counts of batches, are
        taken from process 0.

        Args:
            weight: Fraction of the batch's frames that this process had; all fractions sum to 1.
        """
        if self._group.size == 1:
            return
        buffers = list(self._buffers())
        changed = torch.tensor(
            [float(self._marks.get(name) != (id(buffer), buffer._version)) for name, _, _, buffer in buffers]
        )
        if not self._group.all_reduce(changed).any():
            return
        moved = [found for found, flag in zip(buffers, changed.tolist(), strict=True) if flag]
        shares = [weight if buffer.is_floating_point() else float(self._group.is_leader) for *_, buffer in moved]
        parts = [
            (buffer.detach().double() * share if share else torch.zeros_like(buffer, dtype=torch.float64)).flatten()
            for (*_, buffer), share in zip(moved, shares, strict=True)
        ]
        sums = self._group.all_reduce(torch.cat(parts)).split([part.numel() for part in parts])
        with torch.no_grad():
            for (_, _, _, buffer), total in zip(moved, sums, strict=True):
                buffer.copy_(total.view_as(buffer))
        for node in {id(node): node for _, node, _, _ in moved}.values():
            node.state_changed()

    def _buffers(self) -> Iterator[tuple[str, Node, str, Tensor]]:
        for name, node in self._pipeline.nodes.items():
            for key, buffer in node.named_buffers():
                yield f"{name}.{key}", node, key, buffer


class GatheredInputs:
    """Gathers the inputs of measuring nodes from all processes at process 0, as one batch.

    Args:
        pipeline: Whose nodes.
        group: The processes.
    """

    def __init__(self, pipeline: Pipeline, group: Group) -> None:
        self._pipeline, self._group = pipeline, group

    @contextmanager
    def over(self, names: Collection[str], frames: int) -> Iterator[None]:
        """Gather the inputs of these nodes for a batch of which this process has `frames` frames."""
        nodes = [self._pipeline.nodes[name] for name in names] if self._group.size > 1 else []
        with rerun({node: self._pooled(node, node.run, frames) for node in nodes}):
            yield

    def _pooled(self, node: Node, run: Run, frames: int) -> Run:
        def pooled(inputs: dict[str, Any], context: Context) -> dict[str, Any]:
            own = {name: _own(value, frames) for name, value in inputs.items()}
            try:
                given = [load(data) for data in self._group.gather(dump(own))]
            except pickle.UnpicklingError:
                raise InvalidInput(
                    f"Node '{node.name}' measures what cannot be sent from one process to another; train on one device"
                ) from None
            # Nobody uses what the other processes compute here.
            return run(_joined(given) if self._group.is_leader else inputs, context)

        return pooled


def dump(content: Any) -> bytes:
    """Return plain data with tensors in it as bytes."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def load(data: bytes) -> Any:
    """Return what `dump` was given, with tensors on the CPU."""
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _own(value: Any, frames: int) -> Any:
    if isinstance(value, Tensor):
        return value.detach()[:frames] if value.dim() else value.detach()
    return value[:frames] if isinstance(value, list) else value


def _joined(given: list[dict[str, Any]]) -> dict[str, Any]:
    def joined(name: str) -> Any:
        first = given[0][name]
        if isinstance(first, Tensor) and first.dim():
            return torch.cat([each[name] for each in given])
        return [item for each in given for item in each[name]] if isinstance(first, list) else first

    return {name: joined(name) for name in given[0]}
