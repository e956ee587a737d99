"""One run a device at a time; the others stand in line, in as many lines as they need devices."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable


class DeviceQueue:
    """Lines of runs, one a device. The run at the head of a line has the device."""

    def __init__(self) -> None:
        self._lines: defaultdict[str, list[Ticket]] = defaultdict(list)

    def enter(self, run_id: str, devices: Collection[str]) -> Ticket:
        """Put a run at the end of the lines of all devices that it needs."""
        # In all at once: of two runs that need the same devices one is first in each line.
        ticket = Ticket(self, run_id, frozenset(devices))
        for device in ticket.devices:
            self._lines[device].append(ticket)
        return ticket

    def idle(self, devices: Iterable[str]) -> set[str]:
        """Return those of some devices that no run has or waits for."""
        return {device for device in devices if not self._lines[device]}

    def waiting(self) -> dict[str, float]:
        """Return how many runs wait for each device that was ever asked for."""
        return {device: max(0.0, len(line) - 1.0) for device, line in list(self._lines.items())}

    def _position(self, ticket: Ticket) -> int:
        return max(self._lines[device].index(ticket) for device in ticket.devices)

    def _leave(self, ticket: Ticket) -> None:
        for device in ticket.devices:
            line = self._lines[device]
            if ticket in line:
                line.remove(ticket)
                for other in line:
                    other.moved.set()


class Ticket:
    """Where a run stands in line.

    Attributes:
        run_id: The run.
        devices: What it waits for, or has.
        moved: Set whenever one of its lines moves; whoever waits on it clears it.
    """

    def __init__(self, queue: DeviceQueue, run_id: str, devices: frozenset[str]) -> None:
        self._queue = queue
        self.run_id = run_id
        self.devices = devices
        self.moved = asyncio.Event()

    @property
    def position(self) -> int:
        """How many runs are before it in the longest of its lines; 0 has the devices."""
        return self._queue._position(self)

    def leave(self) -> None:
        """Give the place up, and the devices with it."""
        self._queue._leave(self)
