"""A few processes for work that must not share this one: bounded in time, memory, answers and queue."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from typing import Any, Final, TypeVar

import structlog

from swath.errors import Exhausted, SwathError, TimedOut, TooLarge, Unavailable, system_error
from swath.rpc.tracing import call_facts
from swath.runtime.logs import Telemetry, configure_logs, flush_logs

Result = TypeVar("Result")

_LAST_LINES_S = 0.2
"""Longest that an answer waits for somebody to read the log lines of its call."""
_log = structlog.get_logger("swath.config")

_PRELOAD: Final = ["swath_config.composition.compose", "swath_config.pool"]
"""What the forkserver imports once for all processes, which takes most of a second."""


class Pool:
    """Runs functions in processes of their own, one call per process at a time.

    Processes come from multiprocessing's forkserver, start with the first calls, and die with the process that made
    them. A call that takes too long, is cancelled or takes its process down costs that process alone.

    Args:
        size: Processes at most.
        time_limit_s: Seconds that a call may run; waiting for a process is not counted.
        result_limit: Bytes that a result may have, pickled.
        memory_limit: Bytes that a process may take beyond what it has at its start; where the system can enforce it.
        queue_limit: Calls that may wait for a process.
        telemetry: Form of the processes' log lines, which carry the trace and session of the call that they work for.
    """

    def __init__(
        self,
        size: int,
        *,
        time_limit_s: float = 10.0,
        result_limit: int = 8 * 1024 * 1024,
        memory_limit: int = 1024 * 1024 * 1024,
        queue_limit: int = 256,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._size = size
        self._time_limit_s = time_limit_s
        self._terms = (result_limit, memory_limit, telemetry or Telemetry())
        self._queue_limit = queue_limit
        self._waiting = 0
        self._slots: asyncio.Semaphore = asyncio.Semaphore(size)
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._threads: ThreadPoolExecutor | None = None
        self._closed = False

    async def call(self, function: Callable[..., Result], *args: Any) -> Result:
        """Run a module's function in a worker and return its result, or raise what it raised.

        Raises:
            TimedOut: It ran longer than the limit; its process was killed.
            TooLarge: Its result, or the memory it took, is beyond the limit.
            Exhausted: Too many calls wait already.
            Unavailable: Its process died, or the pool is closed.
        """
        if self._closed:
            raise Unavailable("the process pool is closed")
        if self._slots.locked() and self._waiting >= self._queue_limit:
            raise Exhausted(f"{self._waiting} calls wait already", retry_after=1.0)
        payload = pickle.dumps((function, args, call_facts()))
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._run(payload)
        finally:
            self._slots.release()

    async def close(self) -> None:
        """End all processes; calls under way are given up. Idempotent."""
        self._closed = True
        workers = [*self._idle, *self._busy]
        self._idle.clear()
        for worker in workers:
            worker.kill()
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown)

    async def _run(self, payload: bytes) -> Any:
        if self._closed:
            raise Unavailable("the process pool is closed")
        worker = self._idle.pop() if self._idle else _Worker(self._terms)
        self._busy.add(worker)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._size, thread_name_prefix="pool")
        # A thread waits for the process, because starting one and reading from it block.
        answer = self._threads.submit(worker.ask, payload, self._time_limit_s)
        try:
            ok, value = await asyncio.wrap_future(_shielded(answer))
        except asyncio.CancelledError:
            worker.kill()
            raise
        finally:
            self._busy.discard(worker)
            if worker.alive and not self._closed:
                self._idle.append(worker)
            else:
                worker.kill()
        if ok:
            return value
        raise value


def _shielded(answer: Future[Any]) -> Future[Any]:
    """Return a future that may be cancelled without the thread's own being touched."""
    copy: Future[Any] = Future()

    def done(finished: Future[Any]) -> None:
        if copy.set_running_or_notify_cancel():
            error = finished.exception()
            if error is None:
                copy.set_result(finished.result())
            else:
                copy.set_exception(error)

    answer.add_done_callback(done)
    return copy


class _Worker:
    """One process and the pipe to it. `ask` blocks and is called in a thread; `kill` may be called from anywhere."""

    def __init__(self, terms: tuple[int, int, Telemetry]) -> None:
        self._terms = terms
        self._process: Any = None
        self._pipe: Connection | None = None
        self._lock = threading.Lock()
        self._killed = False

    @property
    def alive(self) -> bool:
        """Whether another call can be given to it."""
        return not self._killed and self._process is not None and self._process.is_alive()

    def ask(self, payload: bytes, time_limit_s: float) -> tuple[bool, Any]:
        """Run a call and return (True, result) or (False, what it raised)."""
        pipe = self._started()
        try:
            pipe.send_bytes(payload)
            if not pipe.poll(time_limit_s):
                self.kill()
                raise TimedOut(f"the call took longer than {time_limit_s:g} s and was stopped")
            return pickle.loads(pipe.recv_bytes())
        except (EOFError, OSError) as error:
            code = self._gone()
            raise Unavailable(f"the process that ran the call has died (exit code {code})") from error

    def kill(self) -> None:
        """End the process. Idempotent."""
        with self._lock:
            self._killed = True
            # One that has died by itself is reaped by the forkserver: its id may be another process's by now.
            if self._process is not None and self._process.is_alive():
                self._process.kill()

    def _started(self) -> Connection:
        with self._lock:
            if self._killed:
                raise Unavailable("the call was given up")
            if self._pipe is None:
                context = get_context("forkserver")
                context.set_forkserver_preload(_PRELOAD)
                self._pipe, theirs = context.Pipe()
                self._process = context.Process(
                    target=_serve, args=(theirs, *self._terms), name="swath-pool", daemon=True
                )
                self._process.start()
                theirs.close()
            return self._pipe

    def _gone(self) -> int | None:
        self.kill()
        self._process.join(5)
        return self._process.exitcode


def _serve(pipe: Connection, result_limit: int, memory_limit: int, telemetry: Telemetry) -> None:
    """Answer calls until the other end is gone."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    configure_logs(telemetry)
    _limit_memory(memory_limit)
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            payload = pipe.recv_bytes()
            answer = _answer(payload, result_limit)
            # Once the answer is out this process may be ended at any time.
            flush_logs(_LAST_LINES_S)
            pipe.send_bytes(answer)


def _answer(payload: bytes, result_limit: int) -> bytes:
    try:
        function, args, facts = pickle.loads(payload)
        with structlog.contextvars.bound_contextvars(**facts):
            answer = pickle.dumps((True, _run(function, args)))
    except MemoryError:
        return _failure(TooLarge("the call took more memory than it may"))
    except SwathError as error:
        return _failure(error)
    except Exception as error:
        if (refusal := system_error(error)) is not None:
            return _failure(refusal)
        # The type may not exist on the other side; the text is for the server's log alone.
        return _failure(RuntimeError(f"{type(error).__name__}: {error}"))
    if len(answer) > result_limit:
        return _failure(TooLarge(f"the result has {len(answer)} bytes, more than {result_limit}"))
    return answer


def _run(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    try:
        return function(*args)
    except (SwathError, MemoryError):
        raise
    except Exception:
        # Only here is it known where it was raised.
        _log.exception("a function failed in its process", function=getattr(function, "__name__", ""))
        raise


def _failure(error: Exception) -> bytes:
    return pickle.dumps((False, error))


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _limit_memory(limit: int) -> None:
    if sys.platform != "linux":
        return
    import resource

    with open("/proc/self/statm") as statm:
        present = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(ValueError, OSError):  # a lower limit is set from outside
        resource.setrlimit(resource.RLIMIT_AS, (present + limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
