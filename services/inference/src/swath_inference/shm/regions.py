"""Regions of shared memory that the server makes and its clients map: read and written in place.

A region is a file in memory that is sealed: nobody can shrink it, so nothing that a client does to it ends the server,
and nobody can grow it. Whoever may open another's files in /proc, which is the same user on the same machine, maps it
from there. All of its pages are taken when it is made, so that none is missing later.
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from swath.errors import InputInvalid, Precondition, QuotaExceeded, Unavailable
from swath.errors.system import system_error

_ALIGNMENT = 64
"""Tensors in a region begin at multiples of it, which suits every element type and vector instruction."""
_SEALS = (fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL) if hasattr(fcntl, "F_SEAL_SEAL") else 0


@dataclass(eq=False)
class Region:
    """A region.

    Attributes:
        name: What requests call it.
        session_id: The session whose requests may name it.
        size: Its bytes.
        path: Where clients of this machine open it.
        inode: Number of the file: what is found at the path must have the same.
        gone: Set when it has ended.
        used_at: When a request named it last, on the monotonic clock.
    """

    name: str
    session_id: str
    size: int
    path: str
    inode: int
    memory: memoryview = field(repr=False)
    used_at: float
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def part(self, offset: int, size: int, *, name: str) -> memoryview:
        """Return part of the memory itself.

        Raises:
            InputInvalid: It lies outside.
        """
        if offset + size > self.size:
            raise InputInvalid(f"{name}: the region {self.name!r} has {self.size} bytes, expected {offset + size}")
        return self.memory[offset : offset + size]


class Regions:
    """All regions of this server.

    Args:
        limit: Bytes of all of them.
        session_limit: Bytes of one session's.
        idle_s: Seconds after which one that no request names ends.
    """

    def __init__(self, limit: int, session_limit: int, idle_s: float) -> None:
        self._limit = limit
        self._session_limit = session_limit
        self._idle_s = idle_s
        self._regions: dict[str, Region] = {}
        self._handles: dict[str, int] = {}
        # Bytes of each session, those of regions that are being made included.
        self._taken: Counter[str] = Counter()
        self._ended = False

    def __len__(self) -> int:
        return len(self._regions)

    @property
    def size(self) -> int:
        """Bytes of all regions."""
        return self._taken.total()

    @property
    def sessions(self) -> set[str]:
        """Ids of the sessions that have some."""
        return set(self._taken)

    async def make(self, session_id: str, size: int) -> Region:
        """Make a region; it is there until `end`.

        Raises:
            InputInvalid: A region needs bytes.
            QuotaExceeded: The session, or all of them, would have more than they may.
            Precondition: This machine has no sealed memory.
            Exhausted: It has not as much memory.
            Unavailable: This replica drains.
        """
        if self._ended:
            raise Unavailable("this replica goes away: ask again, and another one answers")
        if size <= 0:
            raise InputInvalid(f"byte_size: a region of shared memory needs bytes, got {size}")
        if not _SEALS or not hasattr(os, "memfd_create"):
            raise Precondition("this server's machine has no sealed memory: send tensors in the message")
        taken = self._taken
        for what, present, most in (
            ("bytes of shared memory in this session", taken[session_id], self._session_limit),
            ("bytes of shared memory on this server", taken.total(), self._limit),
        ):
            if present + size > most:
                remedy = "end a region, or send tensors in the message"
                raise QuotaExceeded.of("", what, present=present, limit=most, remedy=remedy, wanted=size)
        taken[session_id] += size
        # Thousands of pages are taken and zeroed.
        making = asyncio.ensure_future(asyncio.to_thread(_sealed, size))
        try:
            handle, memory = await asyncio.shield(making)
        except asyncio.CancelledError:
            # A thread goes on whatever becomes of its call: its pages count until they are given back.
            making.add_done_callback(partial(self._unwanted, session_id, size))
            raise
        except BaseException:
            self._give_back(session_id, size)
            raise
        region = Region(
            name=f"swath-{session_id}-{secrets.token_hex(8)}",
            session_id=session_id,
            size=size,
            path=f"/proc/{os.getpid()}/fd/{handle}",
            inode=os.fstat(handle).st_ino,
            memory=memory,
            used_at=time.monotonic(),
        )
        self._regions[region.name] = region
        self._handles[region.name] = handle
        return region

    async def expire(self, region: Region) -> None:
        """Return when a region has ended, or no request has named it for long."""
        while (left := region.used_at + self._idle_s - time.monotonic()) > 0:
            try:
                await asyncio.wait_for(region.gone.wait(), left)
            except TimeoutError:
                continue
            return

    def end(self, region: Region) -> None:
        """Free a region; its memory is there as long as a call or a client holds on to it."""
        if self._regions.pop(region.name, None) is not None:
            os.close(self._handles.pop(region.name))
            region.gone.set()
            self._give_back(region.session_id, region.size)

    def _unwanted(self, session_id: str, size: int, made: asyncio.Future[tuple[int, memoryview]]) -> None:
        if not made.cancelled() and made.exception() is None:
            os.close(made.result()[0])
        self._give_back(session_id, size)

    def _give_back(self, session_id: str, size: int) -> None:
        self._taken[session_id] -= size
        if not self._taken[session_id]:
            del self._taken[session_id]

    def end_session(self, session_id: str) -> None:
        """Free all regions of a session."""
        for region in [each for each in self._regions.values() if each.session_id == session_id]:
            self.end(region)

    def end_all(self) -> None:
        """Free all regions, and make no more."""
        self._ended = True
        for region in list(self._regions.values()):
            self.end(region)

    def find(self, name: str, session_id: str) -> Region | None:
        """Return the region of a name, None if there is none; it counts as used.

        Raises:
            Precondition: It is another session's.
        """
        region = self._regions.get(name.removeprefix("/"))
        if region is None:
            return None
        if region.session_id != session_id:
            raise Precondition(f"the region {name!r} is another session's")
        region.used_at = time.monotonic()
        return region


def _sealed(size: int) -> tuple[int, memoryview]:
    """Return a file in memory that nobody can shrink or grow, and all of it mapped."""
    try:
        handle = os.memfd_create("swath-region", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.posix_fallocate(handle, 0, size)
            fcntl.fcntl(handle, fcntl.F_ADD_SEALS, _SEALS)
            return handle, memoryview(mmap.mmap(handle, size, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE))
        except BaseException:
            os.close(handle)
            raise
    except OSError as error:
        raise system_error(error, "a region of shared memory") or error from error


class OutputPlace:
    """Where in a region the outputs of one call go, one after another.

    Args:
        region: Of the call's session.
        offset: Where the place begins.
        size: Its bytes.

    Raises:
        InputInvalid: It lies outside of the region.
    """

    def __init__(self, region: Region, offset: int, size: int) -> None:
        self.name = region.name
        self._memory = region.part(offset, size, name="outputs")
        self._offset = offset
        self._next = -offset % _ALIGNMENT

    def put(self, data: memoryview) -> int | None:
        """Write an output; return where in the region it lies, None if there is no room left for it."""
        start, end = self._next, self._next + len(data)
        if end > len(self._memory):
            return None
        self._memory[start:end] = data
        self._next = end + -(self._offset + end) % _ALIGNMENT
        return self._offset + start
