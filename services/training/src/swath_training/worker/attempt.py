"""The process that runs one attempt, or the first of several. The fork server has imported all that it imports."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import partial
from typing import Any, TextIO, cast

import structlog

from swath.documents import canonical
from swath.engine.graph import weights
from swath.engine.training import Event as EngineEvent
from swath.engine.training import Group, PeerLost, Rank, Status
from swath.errors import SwathError, Unavailable
from swath.retry import retry_while_unavailable
from swath.rpc.tracing import span, trace_of, traceparent
from swath.runtime.logs import Telemetry, configure_logs, flush_logs, tell
from swath.runtime.tracing import configure_tracing
from swath_training.link.client import WorkerLink
from swath_training.link.endpoint import Endpoint
from swath_training.link.exit_codes import ALONE, AWAY, REFUSED
from swath_training.link.run_events import run_event
from swath_training.runs.items import Body, Checkpoint, Event, Failure, Result, Stopped, Welcome
from swath_training.runs.model import StopCause
from swath_training.worker.checkpoint_writer import CheckpointWriter
from swath_training.worker.live_control import RunCommands
from swath_training.worker.local_ranks import LocalRanks
from swath_training.worker.memory import tune_memory
from swath_training.worker.phase_spans import PhaseSpans
from swath_training.worker.stdio_capture import StdioCapture
from swath_training.worker.worker_context import WorkerContext, failure_of

_LAST_SPANS_S = 0.5

_log = structlog.get_logger("swath.worker")


def main(
    service: Endpoint,
    run_id: str,
    attempt: int,
    token: str,
    telemetry: Telemetry,
    lines: TextIO,
    rank_info: Rank | None = None,
    others: Sequence[int] = (),
) -> int:
    """Run an attempt to its end and return the exit code.

    Args:
        service: Where the training service is.
        run_id: The run.
        attempt: Its attempt.
        token: Proves to the service that this is the worker of that attempt.
        telemetry: Form of log lines, and where spans go.
        lines: Where log lines go.
        rank_info: The rank of process 0 among several, None where there is one.
        others: Ids of those others that run on this machine as its children.
    """
    faulthandler.enable()
    tune_memory()
    facts: dict[str, Any] = {"run": run_id, "attempt": attempt}
    configure_logs(telemetry, lines, facts)
    logging.captureWarnings(True)
    link = WorkerLink(service, run_id, attempt, token)
    logging.getLogger().addHandler(link.log)
    welcome = link.connect()
    if not welcome.run_events:
        tell("the training service is of an older release than this worker", sys.stderr)
        link.leave()
        return REFUSED
    # All of this process is part of one call.
    facts |= {"session": welcome.session_id, "trace": trace_of(welcome.traceparent)}
    send_last_spans = configure_tracing("training-worker", telemetry.otlp_address)
    _log.info("attempt begins")
    ranks = None
    try:
        with (
            redirect_stdout(cast(TextIO, StdioCapture(sys.stdout, "stdout", link.log))),
            redirect_stderr(cast(TextIO, StdioCapture(sys.stderr, "stderr", link.log))),
        ):
            if rank_info is not None:
                ranks = LocalRanks(rank_info, others, link.log, partial(_end_without, link))
            body = _attempt(link, welcome, run_id, attempt, ranks)
    except (Unavailable, PeerLost) as error:
        # Not the run's end: the next attempt goes on from the last checkpoint.
        text = _text(error, ranks)
        _log.warning("attempt breaks off", error=text)
        if ranks is not None:
            ranks.close()
        tell(text, sys.stderr)
        link.leave()
        return ALONE if isinstance(error, PeerLost) else AWAY
    if ranks is not None:
        ranks.close()
    _log.info("attempt ends", end=type(body).__name__.lower())
    sys.stderr.flush()
    link.put(body)
    # While the service writes the end. A collector that is away must not keep the device from the next run.
    sending = threading.Thread(target=send_last_spans, name="last-spans", daemon=True)
    sending.start()
    link.finish()
    sending.join(_LAST_SPANS_S)
    return 0


def _text(error: Exception, ranks: LocalRanks | None) -> str:
    trouble = ranks.trouble() if ranks is not None and isinstance(error, PeerLost) else None
    return trouble if isinstance(trouble, str) else str(error)


def _end_without(link: WorkerLink, trouble: Failure | str) -> None:
    """End the process from the thread of `LocalRanks`: the run's thread waits for another process that is gone."""
    if isinstance(trouble, str):
        tell(trouble, sys.stderr)
        link.leave()
        flush_logs()
        os._exit(ALONE)
    link.put(trouble)
    link.finish()
    flush_logs()
    os._exit(0)


def _attempt(link: WorkerLink, welcome: Welcome, run_id: str, attempt: int, ranks: LocalRanks | None) -> Body:
    """Run an attempt in a span of its own and return its end.

    Raises:
        Unavailable: Storage was away for too long. Another attempt may find it.
        PeerLost: Another process of the attempt has died.
    """
    facts = {"swath.run.id": run_id, "swath.run.attempt": attempt, "session.id": welcome.session_id}
    try:
        with span("attempt", welcome.traceparent, **facts):
            return _Attempt(link, welcome, ranks).run()
    except PeerLost:
        # It may have failed rather than died: that is the run's end.
        trouble = ranks.trouble() if ranks is not None else None
        if isinstance(trouble, Failure):
            return trouble
        raise
    except Exception as error:
        return failure_of(error, run_id, attempt)


class _Attempt:
    """One attempt: the engine's callbacks, on the link."""

    def __init__(self, link: WorkerLink, welcome: Welcome, ranks: LocalRanks | None) -> None:
        self._link = link
        self._ranks = ranks
        self._context = WorkerContext(welcome)
        link.log.shown = self._context.workspace.shown_in
        self._final: Event | None = None
        self._phases = PhaseSpans()
        # Steps and epochs by the number of events before, since the last checkpoint.
        self._places: dict[int, tuple[int, int]] = {}
        self._traceparent = traceparent()
        self._checkpoint_writer = CheckpointWriter(self._keep)
        self._commands = RunCommands(link, welcome, self._context.checkpoints)

    def run(self) -> Result | Stopped:
        with self._context, self._phases:
            group = self._ranks.meet(self.stop_requested) if self._ranks is not None else Group()
            if group is None:
                return Stopped(self._link.stop_cause or StopCause.CLIENT)
            return self._run(group)

    def _run(self, group: Group) -> Result | Stopped:
        outputs = self._context.outputs
        try:
            outcome = self._context.train(self._emit, self, self._checkpoint_writer, group, self._commands)
        except Exception:
            # What a run wrote before it failed is what people look at.
            with suppress(SwathError):
                retry_while_unavailable(outputs.publish)
            raise
        self._checkpoint_writer.flush()
        retry_while_unavailable(outputs.publish)
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
        self._places[event.ordinal + 1] = event.context.global_step, event.context.epoch
        item = Event(event.ordinal + 1, run_event(event, self._context.workspace.shown_in).SerializeToString())
        if event.status is Status.RUNNING:
            self._link.put(item)
        else:
            self._final = item  # it goes with the result

    def stop_requested(self) -> bool:
        """Whether the service has asked for a stop (the engine's `Control`)."""
        return self._link.stop_cause is not None

    def _keep(self, snapshot: bytes, events: int) -> None:
        # In the checkpoint writer's thread, beside the phases.
        with span("checkpoint", self._traceparent, **{"swath.bytes": len(snapshot)}):
            # A run that goes on from here finds the files that it had written.
            retry_while_unavailable(partial(self._context.outputs.publish, final=False))
            digest = retry_while_unavailable(partial(self._context.checkpoints.put_sync, snapshot))
            step, epoch = self._places.get(events, (0, 0))
            self._link.put(Checkpoint(digest, events, step=step, epoch=epoch))
            for count in [count for count in list(self._places) if count < events]:
                del self._places[count]

    def _put(self, data: bytes) -> str:
        return retry_while_unavailable(partial(self._context.artifacts.put_sync, data))
