"""One run per device at a time; the others queue, in one queue for each device that they need."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable


class DeviceQueue:
    """Queues of runs, one per device. The run at the head of a queue has the device."""

    def __init__(self) -> None:
        self._queues: defaultdict[str, list[Ticket]] = defaultdict(list)

    def enter(self, run_id: str, devices: Collection[str]) -> Ticket:
        """Put a run at the end of the queues of all devices that it needs."""
        # In all at once: of two runs that need the same devices one is first in each queue.
        ticket = Ticket(self, run_id, frozenset(devices))
        for device in ticket.devices:
            self._queues[device].append(ticket)
        return ticket

    def idle(self, devices: Iterable[str]) -> set[str]:
        """Return those of some devices that no run has or waits for."""
        return {device for device in devices if not self._queues[device]}

    def waiting(self) -> dict[str, float]:
        """Return how many runs wait for each device that was ever asked for."""
        return {device: max(0.0, len(queue) - 1.0) for device, queue in list(self._queues.items())}

    def _position(self, ticket: Ticket) -> int:
        return max(self._queues[device].index(ticket) for device in ticket.devices)

    def _leave(self, ticket: Ticket) -> None:
        for device in ticket.devices:
            queue = self._queues[device]
            if ticket in queue:
                queue.remove(ticket)
                for other in queue:
                    other.moved.set()


class Ticket:
    """A run's place in the queues.

    Attributes:
        run_id: The run.
        devices: What it waits for, or has.
        moved: Set whenever one of its queues moves; whoever waits on it clears it.
    """

    def __init__(self, queue: DeviceQueue, run_id: str, devices: frozenset[str]) -> None:
        self._queue = queue
        self.run_id = run_id
        self.devices = devices
        self.moved = asyncio.Event()

    @property
    def position(self) -> int:
        """How many runs are before it in the longest of its queues; 0 has the devices."""
        return self._queue._position(self)

    def leave(self) -> None:
        """Leave the queues, and give up the devices."""
        self._queue._leave(self)
