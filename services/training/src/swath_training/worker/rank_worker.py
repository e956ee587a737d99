"""A process of a worker other than its first: it trains too, and reports to the first what it logs and how it fails."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast

import structlog

from swath.engine.training import Event, PeerLost, Rank, Rendezvous, StopFlag
from swath.errors import Unavailable
from swath.runtime.logs import Telemetry, configure_logs
from swath_training.link.client import WorkerLink
from swath_training.link.endpoint import Endpoint
from swath_training.link.exit_codes import AWAY, LOST
from swath_training.link.worker_log import WorkerLog
from swath_training.worker.local_ranks import DONE, FAILURE, LINES, POLL_INTERVAL_S, report
from swath_training.worker.memory import tune_memory
from swath_training.worker.stdio_capture import StdioCapture
from swath_training.worker.worker_context import WorkerContext, failure_of

_log = structlog.get_logger("swath.worker")


def main(
    service: Endpoint, run_id: str, attempt: int, token: str, telemetry: Telemetry, lines: TextIO, rank_info: Rank
) -> int:
    """Run a process's part of an attempt to its end and return the exit code.

    Args:
        service, run_id, attempt, token, telemetry, lines: As for `attempt.main`.
        rank_info: Its rank among the processes.
    """
    faulthandler.enable()
    tune_memory()
    parent = os.getppid()
    facts: dict[str, Any] = {"run": run_id, "attempt": attempt, "process": rank_info.rank}
    configure_logs(telemetry, lines, facts)
    logging.captureWarnings(True)
    log = WorkerLog({"process": str(rank_info.rank)})
    log.begin(0)
    logging.getLogger().addHandler(log)
    link = WorkerLink(service, run_id, attempt, token, rank_info.rank)
    welcome = link.connect()
    link.leave()
    facts |= {"session": welcome.session_id}
    # Process 0 may have died before it had a store.
    rendezvous = Rendezvous(rank_info, lambda: os.getppid() != parent)
    forwarder = _LogForwarder(rendezvous.clone(), log)
    try:
        with (
            redirect_stdout(cast(TextIO, StdioCapture(sys.stdout, "stdout", log))),
            redirect_stderr(cast(TextIO, StdioCapture(sys.stderr, "stderr", log))),
            WorkerContext(welcome) as context,
        ):
            log.shown = context.workspace.shown_in
            group = rendezvous.meet(lambda: False)
            if group is not None:
                _log.info("process begins", process=rank_info.rank)
                context.train(_no_one, StopFlag(), None, group)
    except (PeerLost, Unavailable) as error:
        _log.warning("process breaks off", error=str(error))
        forwarder.close()
        return LOST if isinstance(error, PeerLost) else AWAY
    except Exception as error:
        rendezvous.publish(FAILURE, report(failure_of(error, run_id, attempt), rank_info.rank))
        forwarder.close()
        return 1
    forwarder.close()
    # The last message: process 0 may be gone right after.
    rendezvous.publish(DONE, b"")
    return 0


def _no_one(event: Event) -> None:
    """Process 0 reports events."""


class _LogForwarder:
    """Reports in a thread that this process is alive, and what it logs. It exits when process 0 is gone."""

    def __init__(self, rendezvous: Rendezvous, log: WorkerLog) -> None:
        self._rendezvous, self._log = rendezvous, log
        self._sent = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._forward, name="log-forwarder", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send what is left to be sent."""
        self._closing.set()
        self._thread.join()

    def _forward(self) -> None:
        try:
            while True:
                last = self._closing.wait(POLL_INTERVAL_S)
                self._rendezvous.heartbeat()
                for line in self._log.after(self._sent):
                    self._rendezvous.publish(LINES, line.payload)
                    self._sent = line.number
                if last:
                    return
        except PeerLost:
            os._exit(LOST)
