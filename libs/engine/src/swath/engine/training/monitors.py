"""Names of the values that a gradient run reports, and the check of those that its settings watch."""

from __future__ import annotations

from collections.abc import Iterator

from swath.documents import TrainingDocument, TrainRunDocument
from swath.engine.graph.pipeline import Pipeline
from swath.engine.training import checkpoints
from swath.engine.training.reporting.names import loss_parts
from swath.errors import InvalidInput


class Reported:
    """The values that a run will report.

    Args:
        run: Its loss and metric nodes.
        training: Its settings.
        pipeline: Whose nodes.
        validates: Whether it has any validation.
    """

    def __init__(self, run: TrainRunDocument, training: TrainingDocument, pipeline: Pipeline, *, validates: bool):
        losses = loss_parts(pipeline, run.loss_nodes).values()
        self._validates = validates
        self._names = {"train_loss", *(f"train/{name}" for name in losses)}
        self._open: list[str] = []
        if validates:
            self._names |= {"val_loss", *(f"val/{name}" for name in losses)}
            for node in run.metric_nodes:
                self._add_metrics(node, pipeline)
        if training.callbacks is not None and training.callbacks.learning_rate_monitor is not None:
            self._open.append("lr-")

    def _add_metrics(self, node: str, pipeline: Pipeline) -> None:
        given = {edge.input for edge in pipeline.edges if edge.target == node}
        names = pipeline.nodes[node].metric_names(given)
        if names is None:
            self._open.append(f"{node}/")
        else:
            self._names |= {f"{node}/{name}" for name in names}

    def require(self, field: str, name: str) -> None:
        """Refuse a name that the run cannot report.

        Raises:
            InvalidInput: With the names that there are.
        """
        if name in self._names or name.startswith(tuple(self._open)):
            return
        known = ", ".join([*sorted(self._names), *(f"{prefix}..." for prefix in self._open)])
        without = "" if self._validates else "; without validation there are none of val and of the metric_nodes"
        raise InvalidInput(f"training {field} '{name}' is not a value of this run; there are {known}{without}")


def check_monitors(run: TrainRunDocument, training: TrainingDocument, pipeline: Pipeline, *, validates: bool) -> None:
    """Refuse to watch a value that the run cannot report, before it trains an epoch.

    Args:
        run: Its loss and metric nodes.
        training: Its settings.
        pipeline: Whose nodes.
        validates: Whether it has any validation.

    Raises:
        InvalidInput: A callback or the schedule names such a value.
    """
    reported = Reported(run, training, pipeline, validates=validates)
    for field, name in _watched(training):
        reported.require(field, name)


def _watched(training: TrainingDocument) -> Iterator[tuple[str, str]]:
    callbacks, scheduler = training.callbacks, training.scheduler
    if callbacks is not None:
        yield from (("early_stopping: monitor", entry.monitor) for entry in callbacks.early_stopping if entry.strict)
        if callbacks.checkpoint is not None:
            yield "checkpoint: monitor", callbacks.checkpoint.monitor
            for name in checkpoints.names_in(callbacks.checkpoint.filename or ""):
                yield "checkpoint: filename names", name
    if scheduler is not None and (scheduler.name or "").lower() in ("plateau", "reduce_on_plateau"):
        yield "scheduler: monitor", scheduler.monitor or "val_loss"
