"""The context of a forward: its position in the run, and access to the outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from swath.engine.graph.ports import Stage
from swath.engine.ops.validity import Valid


@dataclass
class Context:
    """Passed to every node of a forward.

    Attributes:
        stage: Nodes that do not take part in this stage are skipped.
        epoch: 0-based.
        batch: 0-based index within the epoch.
        step: Optimizer steps so far.
        resolve: Turns a path of a node's configuration into a real path. The default takes it as it is; services pass
            one that refuses paths outside the workspace.
        observe: Called after each node with its name and the seconds of its forward, when set.
        synchronize: Whether accelerators are synchronised around each node so that `observe` sees the work itself.
        valid: Valid pixels by shape, None where all are. A forward sets it for its batch; a node sees those of its own
            inputs.
    """

    stage: Stage = Stage.INFERENCE
    epoch: int = 0
    batch: int = 0
    step: int = 0
    resolve: Callable[[str], Path] = Path
    observe: Callable[[str, float], None] | None = None
    synchronize: bool = False
    valid: Valid | None = None

    def valid_at(self, values: Tensor) -> Tensor | None:
        """Return the valid pixels of a cube ``[B, H, W, ...]``, bool ``[B, H, W]``; None where all are."""
        return None if self.valid is None else self.valid.get(tuple(values.shape[:3]))
