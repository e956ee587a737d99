"""System shared memory: parts of segments that clients of this machine have given names.

A name belongs to the connection over which it was given, and there it is listed and taken back: what one client removes
is its own. Another connection of the same caller may use it, as a client that has several does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from swath.errors import FileMissing, InputInvalid, Precondition, Unsupported
from swath_inference.protocols.oip.messages import MemoryReference
from swath_inference.shm.registered import Part, Registered, RegisteredRegions

_CONNECTIONS = 256
"""Connections of a caller whose names are kept; of more, the oldest goes. A connection that ends does not say so."""


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
    """

    def __init__(self, *, offered: bool = False, free: bool = False) -> None:
        self.offered = offered
        self._free = free
        self._regions: dict[str, RegisteredRegions] = {}
        self._connections: dict[str, OrderedDict[str, None]] = {}

    def register(self, client: Client, region: Registered) -> None:
        """Give part of a segment a name.

        Raises:
            Unsupported: This server has no shared memory with its clients.
            Precondition: The client is on another machine, or may not use that segment.
            Exists: The connection has that name.
            InputInvalid: There is no such segment, or it is shorter.
        """
        regions = self._of(client)
        try:
            regions.register(client.connection, region)
        except FileMissing as error:
            raise InputInvalid(f"Unable to open shared memory region: {error.message}") from error
        connections = self._connections.setdefault(client.caller or "", OrderedDict())
        connections[client.connection] = None
        connections.move_to_end(client.connection)
        if len(connections) > _CONNECTIONS:
            regions.unregister(connections.popitem(last=False)[0])

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
        return [regions.find(self._owner(client, name), name)] if name else regions.listed(client.connection)

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
            self._regions[owner] = RegisteredRegions(prefix=None if self._free else f"swath-{owner}")
        return self._regions[owner]
