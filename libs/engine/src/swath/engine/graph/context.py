"""Where in a run a forward stands, and what it may reach outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from swath.engine.graph.ports import Stage


@dataclass
class Context:
    """Passed to every node of a forward.

    Attributes:
        stage: Nodes that are not of this stage are left out.
        epoch: 0-based.
        batch: 0-based index within the epoch.
        step: Optimizer steps so far.
        resolve: How nodes that write files turn a path of their configuration into a place. The default takes the path
            as it is; services pass one that refuses places outside the workspace.
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
