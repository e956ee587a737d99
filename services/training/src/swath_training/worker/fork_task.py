"""A forked worker: what the fork server's child runs. Imports nothing heavy, for the service makes it."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass

from swath.runtime.logs import Telemetry, flush_logs
from swath_training.link.endpoint import local

PRELOAD = ("swath_training.worker.preload",)
"""Modules that the fork server imports."""


@dataclass(frozen=True, kw_only=True)
class ForkTask:
    """One worker.

    Attributes:
        telemetry: Form of its log lines, and where its spans go.
        max_message_bytes: Largest message that goes over its link.
        log: File for what it prints.
        address: Where the service listens.
        run_id: The run.
        attempt: Its attempt.
        token: By which the worker proves who it is.
        processes: How many processes it has.
    """

    telemetry: Telemetry
    max_message_bytes: int
    log: str
    address: str
    run_id: str
    attempt: int
    token: str
    processes: int

    def _bootstrap(self, parent_sentinel: int | None = None) -> int:
        # A session of its own: an interrupt from the terminal is for the server, which then asks workers to stop.
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Log lines go where the service's go; what is printed beside them is kept as the worker's last output.
        lines = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace")
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("500")  # when memory runs out, a worker goes before its server
        try:
            from swath_training.worker import attempt, local_ranks, rank_worker

            service = local(self.address, self.max_message_bytes)
            arguments = (service, self.run_id, self.attempt, self.token, self.telemetry, lines)
            # Before there is a thread here: the others are forks of this process as it was forked itself.
            rank_info, others = local_ranks.fork(self.processes)
            if rank_info is not None and rank_info.rank:
                return rank_worker.main(*arguments, rank_info)
            return attempt.main(*arguments, rank_info, others)
        except BaseException:
            traceback.print_exc()
            return 1
        finally:
            flush_logs()
            sys.stdout.flush()
            sys.stderr.flush()
