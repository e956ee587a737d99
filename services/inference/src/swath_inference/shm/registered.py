"""Names that clients give to parts of their segments, as protocols with `system shared memory` have them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from swath.errors import Exists, FileMissing, InputInvalid
from swath_inference.shm.segments import Segment


@dataclass(frozen=True, slots=True)
class Registered:
    """A part of a segment that has a name.

    Attributes:
        name: Its name.
        key: Name of the segment.
        offset: Where in the segment it begins, in bytes.
        size: Its bytes.
    """

    name: str
    key: str
    offset: int
    size: int


@dataclass(slots=True)
class _Entry:
    """A region, and the segment that its key has named when it was registered."""

    region: Registered
    segment: Segment
    used_at: float


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a region, for who has found it: that its name is taken back meanwhile does not matter.

    Attributes:
        region: The region.
        segment: What it lies in.
        offset: Where in the region it begins, in bytes.
        size: Its bytes.
    """

    region: Registered
    segment: Segment
    offset: int
    size: int

    def read(self) -> memoryview:
        """Return a copy of it.

        Raises:
            InputInvalid: Its segment has shrunk.
        """
        return self.segment.read(self.region.offset + self.offset, self.size, name=self.region.name)

    def write(self, data: memoryview) -> None:
        """Write to its begin, and nothing beside it.

        Args:
            data: No more than it holds.

        Raises:
            InputInvalid: Its segment has shrunk, or may only be read.
        """
        self.segment.write(self.region.offset + self.offset, data, name=self.region.name)


class RegisteredRegions:
    """The names of each owner; nobody sees, uses or removes those of another.

    A region is of the segment that its key has named when it was registered, as for who maps it: it outlives that name.

    Args:
        limit: Names that an owner may have.
        prefix: What segments' names begin with; None where clients may name any.
        clock: The present, in seconds.
    """

    def __init__(
        self, limit: int = 1024, prefix: str | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._prefix = prefix
        self._clock = clock
        self._regions: dict[str, dict[str, _Entry]] = {}

    def __len__(self) -> int:
        """Return how many names there are."""
        return sum(map(len, self._regions.values()))

    def register(self, owner: str, region: Registered) -> None:
        """Give a part of a segment a name.

        Raises:
            Exists: The owner has that name.
            InputInvalid: It lies outside of the segment, has no name or no bytes, or the owner has too many.
            FileMissing: There is no such segment.
        """
        mine = self._regions.get(owner, {})
        if not region.name or region.size <= 0 or region.offset < 0:
            raise InputInvalid(
                f"a shared memory region needs a name, bytes and no negative offset, got {region.name!r}, "
                f"{region.size} bytes at {region.offset}"
            )
        if region.name in mine:
            raise Exists(f"shared memory region {region.name!r} is registered already")
        if len(mine) >= self._limit:
            raise InputInvalid(f"{len(mine)} shared memory regions are registered, as many as there may be")
        segment = Segment(
            region.key, name=region.name, prefix=self._prefix, write=True, end=region.offset + region.size
        )
        if region.offset + region.size > (size := segment.size):
            raise InputInvalid(
                f"{region.name}: the segment {region.key!r} has {size} bytes, expected {region.offset + region.size}"
            )
        self._regions.setdefault(owner, mine)[region.name] = _Entry(region, segment, self._clock())

    def unregister(self, owner: str, name: str = "") -> None:
        """Take a name back, or all names of an owner; one that there is not is none of anybody's."""
        if name:
            self._regions.get(owner, {}).pop(name, None)
        if not name or not self._regions.get(owner):
            self._regions.pop(owner, None)

    def listed(self, owner: str, name: str = "") -> list[Registered]:
        """Return an owner's regions, or the one of a name.

        Raises:
            FileMissing: There is none of that name.
        """
        if name:
            return [self._entry(owner, name).region]
        return [each.region for each in self._regions.get(owner, {}).values()]

    def has(self, owner: str, name: str) -> bool:
        """Whether an owner has a region of that name."""
        return name in self._regions.get(owner, {})

    def part(self, owner: str, name: str, offset: int, size: int) -> Part:
        """Return part of an owner's region.

        Raises:
            FileMissing: There is no such region.
            InputInvalid: The part lies outside of it.
        """
        entry = self._entry(owner, name)
        region = entry.region
        if offset < 0 or size < 0 or offset + size > region.size:
            raise InputInvalid(
                f"Invalid offset + byte size for shared memory region: {name!r} has {region.size} bytes, expected "
                f"{offset + size}"
            )
        entry.used_at = self._clock()
        return Part(region, entry.segment, offset, size)

    def read(self, owner: str, name: str, offset: int, size: int) -> memoryview:
        """Return a copy of part of a region. Errors as of `part` and `Part.read`."""
        return self.part(owner, name, offset, size).read()

    def write(self, owner: str, name: str, offset: int, data: memoryview) -> None:
        """Write part of a region, and nothing beside it. Errors as of `read`."""
        self.part(owner, name, offset, len(data)).write(data)

    def forget_unlinked(self, idle_s: float) -> None:
        """Take back the names of segments that have none of their own any more, and that nobody has used for a time.

        What their clients have unlinked is theirs alone: of those who died nobody else would ever free it.

        Args:
            idle_s: How long, in seconds.
        """
        until = self._clock() - idle_s
        for owner, mine in list(self._regions.items()):
            for name, entry in list(mine.items()):
                if entry.used_at <= until and entry.segment.unlinked:
                    self.unregister(owner, name)

    def _entry(self, owner: str, name: str) -> _Entry:
        entry = self._regions.get(owner, {}).get(name)
        if entry is None:
            raise FileMissing(f"Unable to find shared memory region: {name!r}")
        return entry
