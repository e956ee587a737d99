"""The context of a forward: its position in the run, and access to the outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from swath.engine.graph.ports import Stage


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
    """

    stage: Stage = Stage.INFERENCE
    epoch: int = 0
    batch: int = 0
    step: int = 0
    resolve: Callable[[str], Path] = Path
    observe: Callable[[str, float], None] | None = None
    synchronize: bool = False
