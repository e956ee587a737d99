"""The processes of one worker, as the first sees them: it starts those of its machine, and watches how all end."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict

from swath.engine.training import Group, PeerLost, Rank, Rendezvous, listen
from swath_training.link.worker_log import WorkerLog
from swath_training.runs.exit_reason import exit_reason
from swath_training.runs.items import Failure

LINES = "lines"
FAILURE = "failure"
DONE = "done"
POLL_INTERVAL_S = 0.25

_SILENT_S = 30.0
_GRACE_S = 10.0
_LAST_OUTPUT_S = 2.0
_EXIT_S = 5.0


def fork(count: int) -> tuple[Rank | None, list[int]]:
    """Fork this process, which must have no thread, and return in each its rank; None where it stays alone.

    They meet on this machine's loopback.

    Args:
        count: How many processes there are then.

    Returns:
        The rank, and in process 0 the ids of the others.
    """
    if count == 1:
        return None, []
    for _, name in socket.if_nameindex():
        if name in ("lo", "lo0"):
            os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = name
    listener = listen()
    host, port = listener.getsockname()
    others: list[int] = []
    for rank in range(1, count):
        pid = os.fork()
        if not pid:
            listener.close()
            return Rank(rank, count, rank, count, host, port), []
        others.append(pid)
    return Rank(0, count, 0, count, host, port, listener.detach()), others


class LocalRanks:
    """Process 0's view of the others. A thread takes what they log, and watches how they end.

    Args:
        rank_info: Process 0's rank.
        others: Ids of those that it has forked, by rank from 1; none where they run elsewhere.
        log: Takes their log lines.
        stuck: Called, in the thread, with how another process failed or died, where process 0 has not ended some time
            after that: an exchange on a GPU may wait forever for a process that is gone.

    Raises:
        PeerLost: The port where they meet cannot be opened.
    """

    def __init__(
        self, rank_info: Rank, others: Sequence[int], log: WorkerLog, stuck: Callable[[Failure | str], None]
    ) -> None:
        self._rank = rank_info
        self._alive = dict(enumerate(others, start=1))
        self._log = log
        self._stuck = stuck
        self._rendezvous = Rendezvous(rank_info)
        self._store = self._rendezvous.clone()
        self._heartbeats: dict[int, tuple[int, float]] = {}
        self._done: set[int] = set()
        self._trouble: Failure | str | None = None
        self._troubled = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="local-ranks", daemon=True)
        self._thread.start()

    def meet(self, give_up: Callable[[], bool]) -> Group | None:
        """Wait for the others and return the group of all, None if `give_up` returns true before.

        Raises:
            PeerLost: One of them has died.
        """
        group = self._rendezvous.meet(lambda: give_up() or self._troubled.is_set())
        if group is None and self._troubled.is_set():
            raise PeerLost(str(self._trouble))
        return group

    def trouble(self) -> Failure | str | None:
        """Return how another process failed or died, as soon as that is known; None if it is not."""
        self._troubled.wait(_LAST_OUTPUT_S)
        return self._trouble

    def close(self) -> None:
        """Wait for the others to exit; their last lines are in the log then."""
        self._closing.set()
        self._thread.join(_EXIT_S + _LAST_OUTPUT_S)
        for pid in self._alive.values():
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    def _watch(self) -> None:
        troubled_at, closing_at = 0.0, 0.0
        while not closing_at or (self._any_left and time.monotonic() - closing_at < _EXIT_S):
            closing_at = closing_at or (time.monotonic() if self._closing.wait(POLL_INTERVAL_S) else 0.0)
            if closing_at:
                time.sleep(POLL_INTERVAL_S)
            for rank in range(1, self._rank.size):
                try:
                    self._look_at(rank)
                except PeerLost as error:
                    self._trouble = self._trouble or str(error)
            if self._trouble is not None and not closing_at:
                self._troubled.set()
                troubled_at = troubled_at or time.monotonic()
                if time.monotonic() - troubled_at > _GRACE_S:
                    self._stuck(self._trouble)

    @property
    def _any_left(self) -> bool:
        return bool(self._alive) or (self._trouble is None and len(self._done) < self._rank.size - 1)

    def _look_at(self, rank: int) -> None:
        for line in self._store.receive(LINES, rank):
            self._log.take(line)
        self._done |= {rank} if self._store.receive(DONE, rank) else set()
        for failure in self._store.receive(FAILURE, rank):
            self._trouble = Failure(**json.loads(failure))
        count, now = self._store.heartbeats(rank), time.monotonic()
        if self._heartbeats.get(rank, (-1, 0.0))[0] != count:
            self._heartbeats[rank] = count, now
        if count and rank not in self._done and now - self._heartbeats[rank][1] > _SILENT_S:
            text = f"process {rank} of {self._rank.size} has sent nothing for {_SILENT_S:g} s"
            self._trouble = self._trouble or text
        if rank in self._alive:
            pid, status = os.waitpid(self._alive[rank], os.WNOHANG)
            if pid:
                del self._alive[rank]
                code = os.waitstatus_to_exitcode(status)
                if code:
                    how = f"process {rank} of {self._rank.size} died: {exit_reason(code, '')}"
                    self._trouble = self._trouble or how


def report(failure: Failure, rank: int) -> bytes:
    """Return for process 0 how another process failed."""
    return json.dumps({**asdict(failure), "message": f"process {rank}: {failure.message}"}).encode()
