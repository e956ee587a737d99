"""The process that runs one attempt at a run. Everything that it imports is imported once, in the fork server."""

from __future__ import annotations

import faulthandler
import sys
import traceback
from contextlib import suppress
from functools import partial

from swath.documents import TrainRunDocument, canonical, parse
from swath.engine import data, weights
from swath.engine.pipeline import Pipeline
from swath.engine.training import Event as EngineEvent
from swath.engine.training import Job, Status, run
from swath.engine.training import Trainer as EngineTrainer
from swath.errors import SwathError
from swath.storage import ArtifactStore, Workspace
from swath.storage.patience import patiently
from swath_training.adapters.events import response
from swath_training.items import Checkpoint, Event, Failure, Result, Stopped, Welcome
from swath_training.runs import StopCause
from swath_training.shelf import Shelf
from swath_training.worker_link import WorkerLink


def main(address: str, run_id: str, attempt: int, token: str) -> int:
    """Run an attempt to its end and return the exit code.

    Args:
        address: Where the training service listens for workers.
        run_id: The run.
        attempt: Its attempt.
        token: Proves to the service that this is the worker of that attempt.
    """
    faulthandler.enable()
    link = WorkerLink(address, run_id, attempt, token)
    welcome = link.connect()
    try:
        body = _Attempt(link, welcome).run()
    except SwathError as error:
        traceback.print_exc()
        body = Failure(error.code, error.reason, error.message, error.metadata)
    except Exception as error:
        traceback.print_exc()
        body = Failure("INTERNAL", "TRAINING_FAILED", f"Training failed: {type(error).__name__}: {error}")
    sys.stderr.flush()
    link.put(body)
    link.finish()
    return 0


class _Attempt:
    """One attempt: the engine's callbacks, on the link."""

    def __init__(self, link: WorkerLink, welcome: Welcome) -> None:
        self._link = link
        self._welcome = welcome
        self._artifacts = ArtifactStore.from_spec(welcome.artifacts)
        self._workspace = Workspace.from_spec(welcome.workspace)
        self._outputs = self._workspace.outputs()
        self._final: Event | None = None
        self._shelf = Shelf(self._keep)

    def run(self) -> Result | Stopped:
        try:
            with self._workspace.showing():
                return self._run()
        finally:
            self._outputs.close()
            self._workspace.close()

    def _run(self) -> Result | Stopped:
        welcome = self._welcome
        document: TrainRunDocument = parse("trainrun", welcome.trainrun)
        pipeline = Pipeline.from_document(parse("pipeline", self._get(welcome.pipeline_digest)))
        if welcome.weights_digest is not None:
            state, _ = weights.load(self._get(welcome.weights_digest))
            pipeline.load_state(state, strict=True)
        job = Job(
            EngineTrainer[welcome.trainer.name],
            document,
            document.training,
            has_weights=welcome.weights_digest is not None,
            resolve=lambda path: patiently(partial(self._outputs.resolve, path)),
        )
        read = self._workspace.reader()
        module = data.build(document.data, lambda path: patiently(partial(read, path)), seed=job.seed)
        checkpoint = welcome.checkpoint_digest
        snapshot = self._get(checkpoint) if checkpoint is not None else None
        try:
            outcome = run(job, module, pipeline, self._emit, self, checkpointer=self._shelf, snapshot=snapshot)
        except Exception:
            # What a run wrote before it failed is what people look at.
            with suppress(SwathError):
                patiently(self._outputs.publish)
            raise
        self._shelf.flush()
        patiently(self._outputs.publish)
        cause = self._link.stop_cause or StopCause.CLIENT
        if outcome.status is Status.CANCELLED:
            if cause is StopCause.DRAIN:
                return Stopped(cause)
            if outcome.snapshot is None:  # stopped before it did anything
                return Stopped(cause, final=self._final)
        metadata = outcome.document.metadata.model_dump(mode="json") if outcome.document.metadata is not None else {}
        weights_digest = self._put(weights.dump(outcome.state, metadata))
        pipeline_digest = self._put(canonical(outcome.document))
        if outcome.status is Status.CANCELLED:
            return Stopped(cause, weights_digest, pipeline_digest, self._final)
        assert self._final is not None
        return Result(weights_digest, pipeline_digest, self._final)

    def _emit(self, event: EngineEvent) -> None:
        item = Event(event.ordinal + 1, response(event, self._workspace.shown_in).SerializeToString())
        if event.status is Status.RUNNING:
            self._link.put(item)
        else:
            self._final = item  # it goes with the result

    def stop_requested(self) -> bool:
        """Whether the service has asked for a stop (the engine's `Control`)."""
        return self._link.stop_cause is not None

    def _keep(self, snapshot: bytes, events: int) -> None:
        # A run that goes on from here finds the files that it had written.
        patiently(partial(self._outputs.publish, final=False))
        self._link.put(Checkpoint(self._put(snapshot), events))

    def _get(self, digest: str) -> bytes:
        return patiently(partial(self._artifacts.get_sync, digest))

    def _put(self, data: bytes) -> str:
        return patiently(partial(self._artifacts.put_sync, data))
