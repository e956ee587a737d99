"""The process that runs one attempt at a run. Everything that it imports is imported once, in the fork server."""

from __future__ import annotations

import faulthandler
import logging
import sys
import threading
import traceback
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import partial
from typing import Any, TextIO, cast

import structlog

from swath.documents import TrainRunDocument, canonical, parse
from swath.engine import data, weights
from swath.engine.pipeline import Pipeline
from swath.engine.training import Event as EngineEvent
from swath.engine.training import Job, Status, run
from swath.engine.training import Trainer as EngineTrainer
from swath.errors import ArtifactCorrupt, ArtifactMissing, SwathError, Unavailable
from swath.service.logs import Telemetry, configure_logs
from swath.service.tracing import configure_tracing, span, trace_of, traceparent
from swath.storage import ArtifactStore, Workspace
from swath.storage.artifacts import CHECKPOINTS
from swath.storage.patience import patiently
from swath_training.adapters.events import response
from swath_training.items import Body, Checkpoint, Event, Failure, Result, Stopped, Welcome
from swath_training.phases import PhaseSpans
from swath_training.printed import Printed
from swath_training.runs import StopCause
from swath_training.shelf import Shelf
from swath_training.worker_link import Connect, WorkerLink

AWAY = 77
"""Exit code of a worker that could not reach storage for longer than it waits."""

_LAST_SPANS_S = 0.5

_log = structlog.get_logger("swath.worker")


def main(connect: Connect, run_id: str, attempt: int, token: str, telemetry: Telemetry, lines: TextIO) -> int:
    """Run an attempt to its end and return the exit code.

    Args:
        connect: Opens a channel to the training service.
        run_id: The run.
        attempt: Its attempt.
        token: Proves to the service that this is the worker of that attempt.
        telemetry: Form of log lines, and where spans go.
        lines: Where log lines go.
    """
    faulthandler.enable()
    facts: dict[str, Any] = {"run": run_id, "attempt": attempt}
    configure_logs(telemetry, lines, facts)
    logging.captureWarnings(True)
    link = WorkerLink(connect, run_id, attempt, token)
    logging.getLogger().addHandler(link.log)
    welcome = link.connect()
    # All of this process is part of the one call.
    facts |= {"session": welcome.session_id, "trace": trace_of(welcome.traceparent)}
    send_last_spans = configure_tracing("training-worker", telemetry.otlp_address)
    _log.info("attempt begins")
    try:
        with (
            redirect_stdout(cast(TextIO, Printed(sys.stdout, "stdout", link.log))),
            redirect_stderr(cast(TextIO, Printed(sys.stderr, "stderr", link.log))),
        ):
            body = _attempt(link, welcome, run_id, attempt)
    except Unavailable as error:
        # Not the run's end: the next attempt goes on from the last checkpoint.
        _log.warning("attempt breaks off", text=error.message)
        print(error.message, file=sys.stderr, flush=True)
        link.leave()
        return AWAY
    _log.info("attempt ends", end=type(body).__name__.lower())
    sys.stderr.flush()
    link.put(body)
    # While the service writes the end down. A collector that is away must not keep the device from the next run.
    sending = threading.Thread(target=send_last_spans, name="last spans", daemon=True)
    sending.start()
    link.finish()
    sending.join(_LAST_SPANS_S)
    return 0


def _attempt(link: WorkerLink, welcome: Welcome, run_id: str, attempt: int) -> Body:
    """Run an attempt in a span of its own and return its end.

    Raises:
        Unavailable: Storage was away for too long. Another attempt may find it.
    """
    facts = {"swath.run.id": run_id, "swath.run.attempt": attempt, "session.id": welcome.session_id}
    try:
        with span("attempt", welcome.traceparent, **facts):
            return _Attempt(link, welcome).run()
    except Unavailable:
        raise
    except SwathError as error:
        # Where it was raised is in the run's own log, for those who ask.
        traceback.print_exc()
        _log.warning("training failed", code=error.code, reason=error.reason, text=error.message)
        return Failure(error.code, error.reason, error.message, error.metadata)
    except Exception as error:
        _log.exception("training failed")
        # What it says is for those who read the log: nobody knows what is in it.
        text = f"Training failed: {type(error).__name__}; the log of run {run_id} has its cause (swath logs {run_id})"
        return Failure("INTERNAL", "TRAINING_FAILED", text, {"run": run_id, "attempt": str(attempt)})


class _Attempt:
    """One attempt: the engine's callbacks, on the link."""

    def __init__(self, link: WorkerLink, welcome: Welcome) -> None:
        self._link = link
        self._welcome = welcome
        self._artifacts = ArtifactStore.from_spec(welcome.artifacts)
        self._checkpoints = self._artifacts.part(CHECKPOINTS)
        self._workspace = Workspace.from_spec(welcome.workspace)
        link.log.shown = self._workspace.shown_in
        self._outputs = self._workspace.outputs()
        self._final: Event | None = None
        self._phases = PhaseSpans()
        self._traceparent = traceparent()
        self._shelf = Shelf(self._keep)

    def run(self) -> Result | Stopped:
        try:
            with self._workspace.showing(), self._phases:
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
        snapshot = self._snapshot(welcome.checkpoint_digest)
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
        self._phases.take(event)
        item = Event(event.ordinal + 1, response(event, self._workspace.shown_in).SerializeToString())
        if event.status is Status.RUNNING:
            self._link.put(item)
        else:
            self._final = item  # it goes with the result

    def stop_requested(self) -> bool:
        """Whether the service has asked for a stop (the engine's `Control`)."""
        return self._link.stop_cause is not None

    def _keep(self, snapshot: bytes, events: int) -> None:
        # In the shelf's thread, beside the phases.
        with span("checkpoint", self._traceparent, **{"swath.bytes": len(snapshot)}):
            # A run that goes on from here finds the files that it had written.
            patiently(partial(self._outputs.publish, final=False))
            self._link.put(Checkpoint(patiently(partial(self._checkpoints.put_sync, snapshot)), events))

    def _snapshot(self, digest: str | None) -> bytes | None:
        """Return what the run goes on from, None if it begins.

        One that is gone (of a database that was restored, say) costs time and nothing else: events that the log holds
        already are passed over.
        """
        if digest is None:
            return None
        try:
            return patiently(partial(self._checkpoints.get_sync, digest))
        except (ArtifactMissing, ArtifactCorrupt) as error:
            _log.warning("the run begins anew, without its checkpoint", error=error.message)
            return None

    def _get(self, digest: str) -> bytes:
        return patiently(partial(self._artifacts.get_sync, digest))

    def _put(self, data: bytes) -> str:
        return patiently(partial(self._artifacts.put_sync, data))
