"""Names that clients give to parts of their segments, as protocols with `system shared memory` have them."""

from __future__ import annotations

from dataclasses import dataclass

from swath.errors import Exists, FileMissing, InputInvalid
from swath_inference.shm.segments import read_segment, size_of, write_segment


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


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a region, for who has found it: that its name is taken back meanwhile does not matter.

    Attributes:
        region: The region.
        offset: Where in the region it begins, in bytes.
        size: Its bytes.
        prefix: What the segment's name must begin with; None for anything.
    """

    region: Registered
    offset: int
    size: int
    prefix: str | None

    def read(self) -> memoryview:
        """Return a copy of it.

        Raises:
            FileMissing: Its segment is gone.
            InputInvalid: Its segment has shrunk.
        """
        region = self.region
        return read_segment(region.key, region.offset + self.offset, self.size, name=region.name, prefix=self.prefix)

    def write(self, data: memoryview) -> None:
        """Write to its begin, and nothing beside it. Errors as of `read`.

        Args:
            data: No more than it holds.
        """
        region = self.region
        write_segment(region.key, region.offset + self.offset, data, name=region.name, prefix=self.prefix)


class RegisteredRegions:
    """The names of each owner; nobody sees, uses or removes those of another.

    Args:
        limit: Names that an owner may have.
        prefix: What segments' names begin with; None where clients may name any.
    """

    def __init__(self, limit: int = 1024, prefix: str | None = None) -> None:
        self._limit = limit
        self._prefix = prefix
        self._regions: dict[str, dict[str, Registered]] = {}

    def register(self, owner: str, region: Registered) -> None:
        """Give a part of a segment a name.

        Raises:
            Exists: The owner has that name.
            InputInvalid: It lies outside of the segment, has no name or no bytes, or the owner has too many.
            FileMissing: There is no such segment.
        """
        mine = self._regions.setdefault(owner, {})
        if not region.name or region.size <= 0 or region.offset < 0:
            raise InputInvalid(
                f"a shared memory region needs a name, bytes and no negative offset, got {region.name!r}, "
                f"{region.size} bytes at {region.offset}"
            )
        if region.name in mine:
            raise Exists(f"shared memory region {region.name!r} is registered already")
        if len(mine) >= self._limit:
            raise InputInvalid(f"{len(mine)} shared memory regions are registered, as many as there may be")
        size = size_of(region.key, name=region.name, prefix=self._prefix)
        if region.offset + region.size > size:
            raise InputInvalid(
                f"{region.name}: the segment {region.key!r} has {size} bytes, expected {region.offset + region.size}"
            )
        mine[region.name] = region

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
        return [self.find(owner, name)] if name else list(self._regions.get(owner, {}).values())

    def has(self, owner: str, name: str) -> bool:
        """Whether an owner has a region of that name."""
        return name in self._regions.get(owner, {})

    def find(self, owner: str, name: str) -> Registered:
        """Return an owner's region.

        Raises:
            FileMissing: There is none of that name.
        """
        region = self._regions.get(owner, {}).get(name)
        if region is None:
            raise FileMissing(f"Unable to find shared memory region: {name!r}")
        return region

    def part(self, owner: str, name: str, offset: int, size: int) -> Part:
        """Return part of an owner's region.

        Raises:
            FileMissing: There is no such region.
            InputInvalid: The part lies outside of it.
        """
        region = self.find(owner, name)
        if offset < 0 or size < 0 or offset + size > region.size:
            raise InputInvalid(
                f"Invalid offset + byte size for shared memory region: {name!r} has {region.size} bytes, expected "
                f"{offset + size}"
            )
        return Part(region, offset, size, self._prefix)

    def read(self, owner: str, name: str, offset: int, size: int) -> memoryview:
        """Return a copy of part of a region. Errors as of `part` and `Part.read`."""
        return self.part(owner, name, offset, size).read()

    def write(self, owner: str, name: str, offset: int, data: memoryview) -> None:
        """Write part of a region, and nothing beside it. Errors as of `read`."""
        self.part(owner, name, offset, len(data)).write(data)
