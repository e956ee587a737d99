"""The state of a gradient phase, as the user's checkpoints and snapshots hold it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.pipeline import Pipeline
from swath.engine.training import randomness
from swath.engine.training.checkpoints import Checkpoints
from swath.engine.training.distributed.group import Group
from swath.engine.training.distributed.parallel import dump, load
from swath.engine.training.finite import require_finite_state
from swath.engine.training.live.values import LiveValues
from swath.engine.training.phases.early_stopping import EarlyStopping
from swath.engine.training.phases.loop_state import LoopState
from swath.engine.training.phases.optimization import Optimization
from swath.engine.training.reporting.stream import EventStream
from swath.engine.training.reporting.values import Values
from swath.engine.training.snapshots import Phase, SnapshotWriter


@dataclass(frozen=True, kw_only=True)
class GradientState:
    """All parts of a gradient phase that have a state.

    Attributes:
        pipeline, optimization, values, stoppers, checkpoints, loop, live: These parts.
        device: Whose random state counts.
        stream: Numbers the events.
        snapshots: Takes the snapshots.
        group: The processes that train together; each has random state and gradients of its own.
    """

    pipeline: Pipeline
    optimization: Optimization
    values: Values
    stoppers: Sequence[EarlyStopping]
    checkpoints: Checkpoints | None
    loop: LoopState
    live: LiveValues
    device: torch.device
    stream: EventStream
    snapshots: SnapshotWriter
    group: Group

    def checkpoint(self, weights_only: bool) -> dict[str, Any]:
        """Return the content of a user's checkpoint."""
        epoch, step = self.loop.epoch, self.loop.step
        require_finite_state(self.pipeline, self.pipeline.order, f"in epoch {epoch + 1} at step {step}")
        content: dict[str, Any] = {
            "state_dict": _on_cpu(self.pipeline.state()),
            "metadata": {"epoch": epoch, "global_step": step},
            "epoch": epoch,
            "global_step": step,
        }
        if not weights_only:
            state = self.optimization.state()
            content |= {"optimizer": state["optimizer"], "scheduler": state["schedule"]}
        return content

    def before_validation(self) -> dict[str, Any]:
        """Return a copy of what a validation may change: a run stopped during one resumes before it."""
        buffers = {
            name: {key: value.detach().clone() for key, value in node.named_buffers()}
            for name, node in self.pipeline.nodes.items()
        }
        return {
            "random": randomness.collect(self.device),
            "events": self.stream.count,
            "buffers": buffers,
            "values": self.values.state(),
        }

    def write_snapshot(self, before: dict[str, Any] | None = None) -> None:
        """Write a snapshot of now, or of the moment that `before_validation` copied."""
        self.snapshots.write(Phase.GRADIENT, before["events"] if before else self.stream.count, self.content(before))

    def content(self, before: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the content of a snapshot; all processes call it."""
        state = self.pipeline.state()
        for name, buffers in (before or {}).get("buffers", {}).items():
            state[name] |= {key: value for key, value in buffers.items() if key in state[name]}
        own = {
            "gradients": self.optimization.gradients(),
            "random": before["random"] if before else randomness.collect(self.device),
        }
        others = [load(each) for each in self.group.gather(dump(own))[1:]] if self.group.size > 1 else []
        return {
            **own,
            "others": others,
            "state": state,
            **self.optimization.state(),
            "values": before["values"] if before else self.values.state(),
            "stoppers": [stopper.state() for stopper in self.stoppers],
            "checkpoints": self.checkpoints.state() if self.checkpoints is not None else {},
            "live": self.live.state(),
            **self.loop.state(),
        }

    def restore(self, content: dict[str, Any]) -> None:
        """Continue from the content of a snapshot."""
        self.pipeline.load_state(content["state"], strict=True)
        self.optimization.restore(content)
        own = content if self.group.is_leader else content["others"][self.group.rank - 1]
        self.optimization.restore_gradients(own["gradients"])
        self.values.restore(content["values"])
        for stopper, state in zip(self.stoppers, content["stoppers"], strict=True):
            stopper.restore(state)
        if self.checkpoints is not None:
            self.checkpoints.restore(content["checkpoints"])
        self.live.restore(content.get("live", {}))
        self.loop.restore(content)
        randomness.restore(own["random"], self.device)


def _on_cpu(state: dict[str, dict[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    return {name: {key: value.cpu() for key, value in entry.items()} for name, entry in state.items()}
