"""Runs in a table, and curves in a line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

_COLOURS = {"running": "green", "paused": "yellow", "failed": "red", "queued": "cyan", "stopping": "yellow"}
_BARS = "▁▂▃▄▅▆▇█"
_TRAINERS = {1: "statistical", 2: "gradient", 3: "calibration"}


def state_of(run: Any) -> str:
    """The state of a run as a word: "paused" where it waits between two steps."""
    from swath.training.v1 import runs_pb2

    state = runs_pb2.RunState.Name(run.state).removeprefix("RUN_STATE_").lower()
    return "paused" if run.paused and state == "running" else state


def runs_table(runs: Iterable[Any]) -> Table:
    """A table of runs."""
    from datetime import datetime

    from rich.markup import escape

    from swath.client.cli.nodes import plain_table

    table = plain_table("run", "experiment", "kind", "state", "step", "started", "hash", "name")
    for run in runs:
        state = state_of(run)
        colour = _COLOURS.get(state, "dim")
        when = (
            datetime.fromtimestamp(run.created_at.seconds).strftime("%Y-%m-%d %H:%M") if run.created_at.seconds else ""
        )
        table.add_row(
            run.run_id,
            escape(run.experiment),
            _TRAINERS.get(run.trainer, ""),
            f"[{colour}]{state}[/]",
            str(run.step),
            when,
            run.hash,
            escape(run.name or run.message),
        )
    return table


def spark(values: Sequence[float], width: int = 24) -> str:
    """A curve in one line of characters; what is not a number leaves a gap."""
    if not values:
        return ""
    count = min(width, len(values))
    shown = [values[round(place * (len(values) - 1) / max(count - 1, 1))] for place in range(count)]
    finite = [value for value in shown if math.isfinite(value)]
    if not finite:
        return " " * count
    low, high = min(finite), max(finite)
    top = len(_BARS) - 1
    return "".join(
        _BARS[round((value - low) / (high - low) * top) if high > low else 0] if math.isfinite(value) else " "
        for value in shown
    )
