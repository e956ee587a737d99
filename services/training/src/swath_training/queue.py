"""One run a device at a time; the others stand in line."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable


class DeviceQueue:
    """Lines of runs, one a device. The run at the head of a line has the device."""

    def __init__(self) -> None:
        self._lines: defaultdict[str, list[Place]] = defaultdict(list)

    def enter(self, run_id: str, device: str) -> Place:
        """Put a run at the end of a device's line."""
        place = Place(self, run_id, device)
        self._lines[device].append(place)
        return place

    def idle(self, devices: Iterable[str]) -> set[str]:
        """Return those of some devices that no run has or waits for."""
        return {device for device in devices if not self._lines[device]}

    def waiting(self) -> dict[str, float]:
        """Return how many runs wait for each device that was ever asked for."""
        return {device: max(0.0, len(line) - 1.0) for device, line in list(self._lines.items())}

    def _position(self, place: Place) -> int:
        return self._lines[place.device].index(place)

    def _leave(self, place: Place) -> None:
        line = self._lines[place.device]
        if place in line:
            line.remove(place)
            for other in line:
                other.moved.set()


class Place:
    """Where a run stands in line.

    Attributes:
        run_id: The run.
        device: What it waits for, or has.
        moved: Set whenever the line moves; whoever waits on it clears it.
    """

    def __init__(self, queue: DeviceQueue, run_id: str, device: str) -> None:
        self._queue = queue
        self.run_id = run_id
        self.device = device
        self.moved = asyncio.Event()

    @property
    def position(self) -> int:
        """How many runs are before it; 0 has the device."""
        return self._queue._position(self)

    def leave(self) -> None:
        """Give the place up, and the device with it."""
        self._queue._leave(self)
