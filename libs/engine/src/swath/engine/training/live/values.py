"""What commands have changed about a gradient phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(slots=True)
class LiveValues:
    """What commands have changed, as snapshots hold it.

    Attributes:
        changed: Hyper-parameters that were changed, by name.
        batch_size: Frames per batch and process that the epoch under way has; 0 as configured.
        saved_step: Optimizer steps at the last checkpoint that the frequency asked for.
        paused: Whether the run waits.
        pause_at: Optimizer steps at which it pauses by itself; 0 for none.
    """

    changed: dict[str, float] = field(default_factory=dict)
    batch_size: int = 0
    saved_step: int = 0
    paused: bool = False
    pause_at: int = 0

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return asdict(self)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from the state of another process."""
        for each in fields(self):
            if each.name in state:
                setattr(self, each.name, state[each.name])
