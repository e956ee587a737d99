"""What a process of a worker trains with: storage, the workspace, and what the run's documents name in them."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from types import TracebackType

import structlog

from swath.documents import TrainRunDocument, parse
from swath.engine import data
from swath.engine.plugins.loading import Plugins
from swath.engine.stored import open_pipeline
from swath.engine.training import (
    Checkpointer,
    Control,
    Event,
    Group,
    LiveControl,
    Outcome,
    PeerLost,
    RunSpec,
    Trainer,
    run,
)
from swath.errors import ArtifactCorrupt, ArtifactMissing, SwathError, Unavailable, system_error
from swath.retry import retry_while_unavailable
from swath.storage.artifacts.store import CHECKPOINTS
from swath.storage.opening import artifacts_from_spec, workspace_from_spec
from swath_training.runs.items import Failure, Welcome

_log = structlog.get_logger("swath.worker")


class WorkerContext:
    """Storage of an attempt, as each of its processes opens it.

    Args:
        welcome: The service's Welcome to the attempt.

    Attributes:
        artifacts: Pipelines and weights.
        checkpoints: What runs go on from.
        workspace: What paths mean.
        outputs: Where nodes write.
    """

    def __init__(self, welcome: Welcome) -> None:
        self._welcome = welcome
        self.artifacts = artifacts_from_spec(welcome.artifacts)
        self.checkpoints = self.artifacts.part(CHECKPOINTS)
        self.workspace = workspace_from_spec(welcome.workspace)
        self.outputs = self.workspace.outputs()

    def __enter__(self) -> WorkerContext:
        self._showing = self.workspace.showing()
        self._showing.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._showing.__exit__(kind, error, trace)
        finally:
            self.outputs.close()
            self.workspace.close()

    def train(
        self,
        emit: Callable[[Event], None],
        control: Control,
        checkpointer: Checkpointer | None,
        group: Group,
        commands: LiveControl | None = None,
    ) -> Outcome:
        """Do this process's part of the attempt; arguments are those of the engine's `run`."""
        welcome = self._welcome
        document: TrainRunDocument = parse("trainrun", welcome.trainrun)
        weights = self._get(welcome.weights_digest) if welcome.weights_digest is not None else None
        pipeline = open_pipeline(self._get(welcome.pipeline_digest), weights)
        spec = RunSpec(
            Trainer[welcome.trainer.name],
            document,
            document.training,
            has_weights=welcome.weights_digest is not None,
            resolve=lambda path: retry_while_unavailable(partial(self.outputs.resolve, path)),
        )
        read = self.workspace.reader()
        module = data.build(
            document.data,
            lambda path: retry_while_unavailable(partial(read, path)),
            seed=spec.seed,
            plugins=Plugins(pipeline.sources),
        )
        snapshot = self._snapshot(welcome.checkpoint_digest)
        return run(
            spec,
            module,
            pipeline,
            emit,
            control,
            checkpointer=checkpointer,
            snapshot=snapshot,
            group=group,
            commands=commands,
        )

    def _snapshot(self, digest: str | None) -> bytes | None:
        """Return what the run goes on from, None if it begins.

        One that is gone (with a database that was restored, for example) costs time and nothing else: events that the
        log holds already are passed over.
        """
        if digest is None:
            return None
        try:
            return retry_while_unavailable(partial(self.checkpoints.get_sync, digest))
        except (ArtifactMissing, ArtifactCorrupt) as error:
            _log.warning("the run begins anew, without its checkpoint", error=error.message)
            return None

    def _get(self, digest: str) -> bytes:
        return retry_while_unavailable(partial(self.artifacts.get_sync, digest))


def failure_of(error: Exception, run_id: str, attempt: int) -> Failure:
    """Return an error of the training of an attempt as the run's end, and log it.

    Raises:
        Unavailable, PeerLost: These are not the run's end: another attempt goes on from the last checkpoint.
    """
    if isinstance(error, Unavailable | PeerLost):
        raise error
    if not isinstance(error, SwathError) and (refusal := system_error(error, "the run")) is not None:
        _log.warning("the system refuses", reason=refusal.reason, exc_info=error)
        error = refusal
    if isinstance(error, SwathError):
        # Where it was raised is in the run's own log.
        traceback.print_exception(error)
        _log.warning("training failed", code=error.code, reason=error.reason, error=error.message)
        return Failure(error.code, error.reason, error.message, error.metadata)
    _log.error("training failed", exc_info=error)
    # Its text goes to the log alone: it may contain anything.
    text = f"Training failed: {type(error).__name__}; the log of run {run_id} has its cause (swath logs {run_id})"
    return Failure("INTERNAL", "TRAINING_FAILED", text, {"run": run_id, "attempt": str(attempt)})
