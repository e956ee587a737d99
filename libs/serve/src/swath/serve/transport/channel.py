"""A socket between two processes, over which both open calls of one another."""

from __future__ import annotations

import asyncio
import marshal
import socket
from collections.abc import Callable, Sequence
from typing import Any

from swath.serve.transport import segments
from swath.serve.transport.call import Call
from swath.serve.transport.frames import HEADER, IN_FILE, NAME, SCRATCH, Buffer, Kind, encode

_ALONE = 64 * 1024
"""Parts of so many bytes are written by themselves; smaller ones are joined first."""


_SOCKET = 4 * 1024 * 1024
"""Bytes that the system is asked to hold between both ends: large bodies go over in few turns."""


class Channel(asyncio.BufferedProtocol):
    """One end of a socket. Belongs to the event loop that connected it.

    Args:
        on_call: Told of each call that the other end opens, before any message of it.
        on_event: Told of each event that the other end sends.
        on_lost: Told once when the other end has gone, before the calls on it are.
    """

    def __init__(
        self, on_call: Callable[[Call], None], on_event: Callable[[Any], None], on_lost: Callable[[], None]
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._on_call = on_call
        self._on_event = on_event
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._segments: segments.Segments | None = None
        self._opened: dict[int, Call] = {}
        self._taken: dict[int, Call] = {}
        self._number = 0
        self._out: list[Buffer] = []
        self._scratch = bytearray(SCRATCH)
        self._view = memoryview(self._scratch)
        self._end = 0
        self._large: bytearray | None = None
        self._filled = 0
        self._about: tuple[Kind, int, int, Any] | None = None

    @classmethod
    async def connect(
        cls,
        sock: socket.socket,
        on_call: Callable[[Call], None],
        on_event: Callable[[Any], None],
        on_lost: Callable[[], None],
    ) -> Channel:
        """Take a connected socket."""
        channel = cls(on_call, on_event, on_lost)
        if sock.family == socket.AF_UNIX and segments.usable():
            channel._segments = segments.Segments()
        sock.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, _SOCKET)
        await channel.loop.create_unix_connection(lambda: channel, sock=sock)
        return channel

    # Sending.

    def open(self, about: Any, payload: Sequence[Buffer] = ()) -> Call:
        """Open a call.

        Args:
            about: What the other end must know; what marshal takes.
            payload: Parts of its first message.
        """
        self._number = (self._number + 1) & 0xFFFFFFFF
        call = Call(self, self._number, True, None, b"")
        if self._transport is None:
            call.gone()
            return call
        self._opened[call.number] = call
        self.write(Kind.CALL, call, about, payload)
        return call

    def tell(self, event: Any) -> None:
        """Send an event, which belongs to no call."""
        self._queue(encode(Kind.EVENT, 0, True, event, ()))

    def write(self, kind: Kind, call: Call, about: Any = None, payload: Sequence[Buffer] = ()) -> None:
        """Send a frame of a call."""
        self._queue(encode(kind, call.number, call.opener, about, payload, self._segments))

    def _queue(self, parts: list[Buffer]) -> None:
        # What one turn of the loop has to say is written at once.
        if not self._out:
            self.loop.call_soon(self._flush)
        self._out.extend(parts)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is None:
            return
        small: list[Buffer] = []
        for part in out:
            if len(part) < _ALONE:
                small.append(part)
                continue
            if small:
                self._transport.write(b"".join(small))
                small = []
            self._transport.write(part)
        if small:
            self._transport.write(small[0] if len(small) == 1 else b"".join(small))

    def forget(self, call: Call) -> None:
        """Drop what comes for a call from now on."""
        (self._opened if call.opener else self._taken).pop(call.number, None)

    def close(self) -> None:
        """Close the socket; the calls on it are lost."""
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=2**62)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go: straight into a large payload, if one is under way."""
        if self._large is not None:
            return memoryview(self._large)[self._filled :]
        return self._view[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has come."""
        if self._large is not None:
            self._filled += nbytes
            if self._filled == len(self._large):
                payload, self._large = self._large, None
                assert self._about is not None
                self._dispatch(*self._about, payload)
            return
        self._end += nbytes
        start, end = 0, self._end
        while end - start >= HEADER.size:
            size, number, said, kind, opener = HEADER.unpack_from(self._scratch, start)
            begin = start + HEADER.size + said
            if end < begin + size:
                if HEADER.size + said + size > SCRATCH:
                    self._begin_large(start, end, size, number, said, kind, opener)
                    return
                break
            about = marshal.loads(self._view[start + HEADER.size : begin]) if said else None
            payload: Buffer = bytes(self._view[begin : begin + size])
            if kind & IN_FILE:
                length, name = NAME.unpack(payload)
                found = segments.read(name.rstrip(b"\0").decode("ascii", "replace"), length)
                if found is None:  # the other end is not what it should be
                    self.close()
                    return
                payload = found
            self._dispatch(Kind(kind & ~IN_FILE), number, opener, about, payload)
            start = begin + size
        self._keep(start, end)

    def _keep(self, start: int, end: int) -> None:
        if start:
            self._scratch[: end - start] = self._scratch[start:end]
        self._end = end - start

    def _begin_large(self, start: int, end: int, size: int, number: int, said: int, kind: int, opener: int) -> None:
        begin = start + HEADER.size + said
        if end < begin:  # What it is about is not all here yet.
            self._keep(start, end)
            if HEADER.size + said > len(self._scratch):
                grown = bytearray(HEADER.size + said)
                grown[: self._end] = self._view[: self._end]
                self._scratch, self._view = grown, memoryview(grown)
            return
        about = marshal.loads(self._view[start + HEADER.size : begin]) if said else None
        self._about = (Kind(kind), number, opener, about)
        self._large = bytearray(size)
        self._filled = end - begin
        self._large[: self._filled] = self._view[begin:end]
        self._end = 0

    def eof_received(self) -> bool:
        """Close: nobody writes any more."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every call that the other end has gone."""
        self._transport = None
        if self._segments is not None:
            self._segments.clear()
        self._on_lost()
        for calls in (self._opened, self._taken):
            for call in list(calls.values()):
                call.gone()
            calls.clear()

    def _dispatch(self, kind: Kind, number: int, opener: int, about: Any, payload: Buffer) -> None:
        if kind is Kind.EVENT:
            self._on_event(about)
            return
        if kind is Kind.CALL:
            call = Call(self, number, False, about, payload)
            self._taken[number] = call
            self._on_call(call)
            return
        call = (self._taken if opener else self._opened).get(number)
        if call is not None:
            call.arrived(kind, about, payload)
