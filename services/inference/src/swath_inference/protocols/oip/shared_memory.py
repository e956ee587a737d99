"""System shared memory: parts of segments that clients of this machine have given names.

A name belongs to the connection over which it was given, and there it is listed and taken back: what one client removes
is its own. Another connection of the same caller may use it, as a client that has several does, or one whose connection
was closed for its age. So a connection that ends takes no names with it; what a client that died has unlinked is freed
after a while.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from swath.errors import Exhausted, FileMissing, InputInvalid, Precondition, Unsupported
from swath_inference.protocols.oip.messages import MemoryReference
from swath_inference.shm.registered import Part, Registered, RegisteredRegions

_CONNECTIONS = 256
"""Connections of a caller whose names are kept; of more, the oldest goes. A connection that ends does not say so."""
_UNUSED_S = 600.0
"""Seconds after which a region that no call names goes, if its client has unlinked the segment."""
_MOST_REGIONS = 4096
"""Of all clients: each holds a file open."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who calls, and from where.

    Attributes:
        caller: Name of who calls; None where nobody is asked.
        connection: Tells the connections of clients apart.
        local: Whether it comes from this machine.
    """

    caller: str | None
    connection: str
    local: bool


class SystemSharedMemory:
    """The regions of all clients.

    Args:
        offered: Whether there is any, as only clients of this machine can use it.
        free: Whether clients may name any segment, as where nobody is asked who calls; otherwise only those whose names
            begin with "swath-" and their own.
        clock: The present, in seconds.
    """

    def __init__(
        self, *, offered: bool = False, free: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.offered = offered
        self._free = free
        self._clock = clock
        # A process may open so many files, of which others need most.
        self._most = min(_MOST_REGIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
        self._timer: asyncio.TimerHandle | None = None
        self._regions: dict[str, RegisteredRegions] = {}
        self._connections: dict[str, OrderedDict[str, None]] = {}

    def register(self, client: Client, region: Registered) -> None:
        """Give part of a segment a name.

        Raises:
            Unsupported: This server has no shared memory with its clients.
            Precondition: The client is on another machine, or may not use that segment.
            Exists: The connection has that name.
            InputInvalid: There is no such segment, or it is shorter.
            Exhausted: The regions of all clients are as many as there may be.
        """
        regions = self._of(client)
        if sum(map(len, self._regions.values())) >= self._most:
            self.forget_unlinked()
            if sum(map(len, self._regions.values())) >= self._most:
                raise Exhausted(
                    f"shared memory region {region.name[:80]!r}: clients have registered {self._most}, as many as "
                    "there may be on this server; take some back"
                )
        try:
            regions.register(client.connection, region)
        except FileMissing as error:
            raise InputInvalid(f"Unable to open shared memory region: {error.message}") from error
        connections = self._connections.setdefault(client.caller or "", OrderedDict())
        connections[client.connection] = None
        connections.move_to_end(client.connection)
        if len(connections) > _CONNECTIONS:
            regions.unregister(connections.popitem(last=False)[0])
        self._look_later()

    def forget_unlinked(self) -> None:
        """Free what clients have unlinked and not used for a while."""
        for regions in self._regions.values():
            regions.forget_unlinked(_UNUSED_S)

    def _look_later(self) -> None:
        if self._timer is None and any(map(len, self._regions.values())):
            self._timer = asyncio.get_running_loop().call_later(_UNUSED_S, self._look)

    def _look(self) -> None:
        self._timer = None
        self.forget_unlinked()
        self._look_later()

    def unregister(self, client: Client, name: str = "") -> None:
        """Take a name of the connection back, or all of them. Calls that use it go on. Errors as of `register`."""
        self._of(client).unregister(client.connection, name)

    def listed(self, client: Client, name: str = "") -> list[Registered]:
        """Return the regions of the connection, or the one of a name.

        Raises:
            FileMissing: There is none of that name.
            Unsupported, Precondition: As of `register`.
        """
        regions = self._of(client)
        return regions.listed(self._owner(client, name) if name else client.connection, name)

    def reader(self, client: Client, reference: MemoryReference, tensor: str) -> Callable[[], memoryview]:
        """Return what reads the place of a tensor: a copy, since its client may shrink the segment.

        Raises:
            FileMissing: There is no such region.
            InputInvalid: The place lies outside of it.
            Unsupported, Precondition: As of `register`.
        """
        return self._part(client, reference).read

    def writer(self, client: Client, reference: MemoryReference, tensor: str) -> Callable[[memoryview], None]:
        """Return what writes the place of a tensor. Errors as of `reader`."""
        return self._part(client, reference).write

    def _part(self, client: Client, reference: MemoryReference) -> Part:
        owner = self._owner(client, reference.region)
        return self._of(client).part(owner, reference.region, reference.offset, reference.size)

    def _owner(self, client: Client, name: str) -> str:
        """Return the connection whose region a name stands for: the client's own first, then the newest."""
        regions = self._of(client)
        return next((each for each in self._candidates(client) if regions.has(each, name)), client.connection)

    def _candidates(self, client: Client) -> Iterator[str]:
        yield client.connection
        yield from reversed(self._connections.get(client.caller or "", ()))

    def _of(self, client: Client) -> RegisteredRegions:
        if not self.offered:
            raise Unsupported("this server shares no memory with its clients: they may be on any machine")
        if not client.local:
            raise Precondition("shared memory is taken only from clients on the same host")
        owner = client.caller or ""
        if owner not in self._regions:
            self._regions[owner] = RegisteredRegions(prefix=None if self._free else f"swath-{owner}", clock=self._clock)
        return self._regions[owner]
