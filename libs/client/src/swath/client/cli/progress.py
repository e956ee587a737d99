"""Progress bars for training and transfers (rich)."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from swath.client.runs import RunSummary
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

_STEPS: dict[int, str] = {
    pb.TRAIN_HOOK_TRAIN_PROGRESS: "train",
    pb.TRAIN_HOOK_VALIDATION_START: "validate",
    pb.TRAIN_HOOK_VALIDATION_PROGRESS: "validate",
    pb.TRAIN_HOOK_CALIBRATION_START: "calibrate",
    pb.TRAIN_HOOK_CALIBRATION_PROGRESS: "calibrate",
    pb.TRAIN_HOOK_EVALUATION_START: "evaluate",
    pb.TRAIN_HOOK_EVALUATION_PROGRESS: "evaluate",
}
_BARLESS = {pb.TRAIN_HOOK_FIT_START, pb.TRAIN_HOOK_FIT_END, pb.TRAIN_HOOK_POST_FIT_END}


def bars(console: Console) -> Progress:
    """Bars in the house style; none where the output is no terminal."""
    return Progress(
        SpinnerColumn(style="cyan"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24, complete_style="cyan", finished_style="green"),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


class TrainView:
    """Shows one Train stream: a bar for the run, one for the step under way, losses and metrics beside them.

        with TrainView("gradient", console) as view:
            summary = view.follow(session.train("gradient"))

    Args:
        title: Shown before the bar.
        console: Where to show it.
    """

    def __init__(self, title: str, console: Console | None = None) -> None:
        self._title = title
        self._console = console or Console()
        self._bars = bars(self._console)
        self._run: TaskID | None = None
        self._step: TaskID | None = None
        self.summary = RunSummary()

    def __enter__(self) -> TrainView:
        self._bars.start()
        self._run = self._bars.add_task(self._title, total=None, note="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bars.stop()

    def follow(self, stream: Iterable[pb.TrainResponse]) -> RunSummary:
        """Show a stream to its end and return what it came to."""
        for progress in stream:
            self.show(progress)
        return self.summary

    def show(self, progress: pb.TrainResponse) -> None:
        """Show one message."""
        self.summary.add(progress)
        if self._run is None:
            return
        self._bars.update(self._run, note=note(self.summary))
        if not progress.HasField("event"):
            self._bars.update(self._run, description=f"{self._title} [dim]{progress.message}")
            return
        event = progress.event
        if event.HasField("epochs"):
            done = event.epochs.current - (event.hook != pb.TRAIN_HOOK_EPOCH_END)
            title = f"{self._title} [dim]epoch {event.epochs.current}/{event.epochs.total}"
            self._bars.update(self._run, description=title, completed=max(done, 0), total=event.epochs.total or None)
        if event.hook not in _BARLESS and event.HasField("progress"):
            self._show_step(event)

    def _show_step(self, event: pb.TrainEvent) -> None:
        name = f"  fit {event.node}" if event.node else f"  {_STEPS.get(event.hook, 'epoch')}"
        if event.split and not event.node and _STEPS.get(event.hook) in ("evaluate", "calibrate"):
            name += " " + pb.ExecutionStage.Name(event.split).removeprefix("EXECUTION_STAGE_").lower()
        if self._step is None:
            self._step = self._bars.add_task(name, total=None, note="")
        total = event.progress.total or None
        self._bars.update(self._step, description=name, completed=event.progress.done, total=total)


def note(summary: RunSummary, limit: int = 4) -> str:
    """Losses, then metrics, as short text."""
    numbers = [*sorted(summary.losses.items()), *sorted(summary.metrics.items())]
    return "  ".join(f"{name} {value:.4g}" for name, value in numbers[:limit])
