"""An event loop of which another thread may run some callbacks as well, in turn with its own."""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any


class TurnLoop(asyncio.SelectorEventLoop):
    """An event loop that lends itself: while it sleeps, a guest, another thread, may take the turn.

    Exactly one thread has the turn. The loop's own thread has it, but for the time in which it waits for sockets and
    timers. Whoever has the turn may do all that a callback of the loop may do: code that belongs to the loop sees one
    thread at a time and needs no locks. So a thread that brings work, such as calls that came over gRPC, does it at
    once; waking the loop's thread for it takes longer than a small call does.

    A guest runs the tasks that it has begun with `start`, as far as its own events carry them. All else is run by the
    loop's own thread: other tasks, and those very tasks where a timer, a socket or another thread has woken them. What
    must stay on one thread over several awaits, such as SQLAlchemy's greenlets, begins with `come_home`.

    Outside `run_forever` and `run_until_complete` nobody else gets the turn.
    """

    def __init__(self) -> None:
        self._turn = _Turn()
        self._turn.take()
        self._lent = False
        # Second of the loop's clock until which its thread sleeps; it is awake until it was.
        self._asleep_until = -math.inf
        self._failure: BaseException | None = None
        # What the guest is to run. What the loop's own thread is to run is in `_ready`, as in other loops.
        self._guests: deque[asyncio.Handle] = deque()
        super().__init__(_LendingSelector(self))

    if TYPE_CHECKING:  # what of the base class has no public name
        _ready: deque[asyncio.Handle]

        def _write_to_self(self) -> None: ...
        def _check_closed(self) -> None: ...

    def take_turn(self) -> bool:
        """Wait for the turn; return whether there is one, which is not so once the loop is closed."""
        self._turn.take()
        if self.is_closed():
            self._turn.give()
            return False
        self._lent = True
        return True

    def give_turn(self) -> None:
        """Give the turn back."""
        self._lent = False
        if self._ready:
            self._write_to_self()
        self._turn.give()

    def run_guests(self) -> bool:
        """Run what the guest, who has the turn, is to run now; return whether there was something."""
        count = len(self._guests)
        for _ in range(count):
            handle = self._guests.popleft()
            if not handle.cancelled():
                handle._run()
        return count > 0

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Make a task of a coroutine and run it as far as it gets without waiting. Called by the guest."""
        task = self.create_task(coroutine, context=_GUESTS.copy())
        # Its first step is what was made ready last.
        self._guests.pop()._run()
        return task

    async def come_home(self) -> None:
        """Go on in the loop's own thread, and stay there until the guest's events wake the task again."""
        if self._lent:
            home = self.create_future()
            self.call_home(_resolve, home)
            await home

    def call_home(self, callback: Callable[..., object], *args: Any) -> None:
        """Have the loop's own thread call something soon."""
        self._ready.append(asyncio.Handle(callback, args, self))

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        if not self._lent:
            return super().call_soon(callback, *args, context=context)
        self._check_closed()
        if context is None:
            context = copy_context()
        handle = asyncio.Handle(callback, args, self, context)
        (self._guests if context.get(_BY_GUEST) else self._ready).append(handle)
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        self._check_closed()
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        self._write_to_self()
        return handle

    def call_at(self, when: float, *args: Any, **options: Any) -> asyncio.TimerHandle:
        timer = super().call_at(when, *args, **options)
        if when < self._asleep_until:
            self._write_to_self()  # by the guest, and sooner than the loop's own thread would look
        return timer

    def fail(self, error: BaseException) -> None:
        """End the loop with what a callback, run by the guest, has raised."""
        self._failure = error
        self.stop()

    def stop(self) -> None:
        super().stop()
        if self._lent:
            self._write_to_self()

    def run_forever(self) -> None:
        super().run_forever()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def close(self) -> None:
        closed = self.is_closed()
        super().close()
        if not closed:
            self._turn.give()

    def lend(self, seconds: float | None) -> None:
        """Give the turn away for as long as the loop's own thread sleeps."""
        self._asleep_until = math.inf if seconds is None else time.monotonic() + seconds
        self._turn.give()

    def resume(self) -> None:
        """Take the turn back."""
        self._turn.take()
        self._asleep_until = -math.inf

    def _check_thread(self) -> None:
        """Debug mode asks here whether a callback runs in the loop's own thread; whoever has the turn may."""


class _Turn:
    """A lock that nobody takes twice while another thread waits for it."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._lock = threading.Lock()

    def take(self) -> None:
        with self._gate:
            self._lock.acquire()

    def give(self) -> None:
        self._lock.release()


class _LendingSelector(selectors.DefaultSelector):
    """Lends the turn of its loop while it waits."""

    def __init__(self, loop: TurnLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        self._loop.lend(timeout)
        try:
            return super().select(timeout)
        finally:
            self._loop.resume()


def _resolve(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


_BY_GUEST: ContextVar[bool] = ContextVar("swath_by_guest", default=False)
_GUESTS = Context()
_GUESTS.run(_BY_GUEST.set, True)
