"""What the supervisor needs of whatever starts workers: implemented in `launch`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from swath.documents import TrainingDocument
from swath_training.runs.model import Run, Trainer

Notify = Callable[[str], None]
"""Takes what keeps a worker from starting, as a text for people."""


class Worker(Protocol):
    """The worker of an attempt, wherever it runs."""

    @property
    def record(self) -> tuple[int, str]:
        """What a run's row keeps of it, so that this service finds it again after a restart."""
        ...

    @property
    def begun(self) -> bool:
        """Whether it has started to run: before that it cannot be expected to connect."""
        ...

    @property
    def alive(self) -> bool:
        """Whether it may still run."""
        ...

    def kill(self) -> None:
        """End it, if it still runs."""
        ...

    async def exited(self) -> int | None:
        """Wait until it is gone; return its exit code (negative: the signal), None if nobody can know it."""
        ...


class Launcher(Protocol):
    """Starts workers, keeps their last output, and knows which devices there are for them."""

    def prepare(self) -> None:
        """Get ready to start workers fast. Called before any gRPC object exists."""
        ...

    async def warm_up(self) -> None:
        """Wait until a worker can be started without delay.

        Raises:
            Unavailable: None can be started.
        """
        ...

    def device_of(self, trainer: Trainer, training: TrainingDocument | None) -> str:
        """Return what a run is to run on, as `devices_text` writes it. Blocks: call it in a thread.

        Raises:
            InvalidInput: There is no such device.
        """
        ...

    def devices(self) -> Collection[str] | None:
        """Return what this replica has for runs, None if it can start any run. Blocks: call it in a thread."""
        ...

    def queue_keys(self, run: Run) -> Collection[str]:
        """Return the queues that a run waits in: runs that share one run one after the other."""
        ...

    async def start(self, run: Run, address: str, token: str, notify: Notify) -> Worker:
        """Start the worker of a run's present attempt.

        Args:
            run: The run.
            address: Where the worker connects to.
            token: By which it proves who it is.
            notify: Takes what keeps the worker from starting, until it has begun.

        Raises:
            Unavailable, Exhausted: It cannot be started now.
            Denied, Precondition: It never can until somebody changes the installation.
        """
        ...

    def recall(self, record: tuple[int, str]) -> Worker | None:
        """Return the worker that this service recorded before a restart, None if there is none to find."""
        ...

    async def last_output(self, run: Run) -> str:
        """Return the end of what the worker of a run's present attempt wrote."""
        ...

    def forget(self, run_ids: Iterable[str]) -> None:
        """Remove what workers of these runs wrote."""
        ...

    async def close(self) -> None:
        """Watch workers no more; they go on."""
        ...
