"""Channels between machines: TCP, TLS with certificates on both sides, and a token that is checked before any frame."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from swath.rpc.tls import TlsSettings, tls_files
from swath.serve.transport.call import Call
from swath.serve.transport.channel import Channel

_HELLO_S = 10.0
_TCP_KEEPALIVE = ((socket.TCP_KEEPIDLE, 5), (socket.TCP_KEEPINTVL, 3), (socket.TCP_KEEPCNT, 3))

_SCHEME = b"swath.serve.1\0"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is expected at the other end.

    Attributes:
        name: DNS name in its certificate.
        uri: URI in its certificate.
    """

    name: str
    uri: str


HOST = Identity("apps.swath", "spiffe://swath/apps")
"""The process that routes calls."""

REPLICA = Identity("replica.swath", "spiffe://swath/replica")
"""A process that runs users' code."""


def proof(token: str) -> bytes:
    """Return the bytes that a host sends first."""
    return hashlib.sha256(_SCHEME + token.encode()).digest()


async def dial(
    address: tuple[str, int],
    token: str,
    settings: TlsSettings,
    on_call: Callable[[Call], None],
    on_event: Callable[[Any], None],
    on_lost: Callable[[], None],
) -> Channel:
    """Connect to a replica.

    Args:
        address: Where it listens.
        token: Of the version of its application.
        settings: TLS files of this process; plain text without.
        on_call: As of `Channel`.
        on_event: As of `Channel`.
        on_lost: As of `Channel`.

    Raises:
        OSError: Nobody listens there, or somebody who is no replica.
    """
    channel = Channel(on_call, on_event, on_lost)
    # Files that have changed are read for the next connection: it is made seldom.
    context = _context(ssl.PROTOCOL_TLS_CLIENT, settings)
    transport, _ = await channel.loop.create_connection(
        lambda: channel, *address, ssl=context, server_hostname=REPLICA.name if context else None
    )
    if context and not _is(transport, REPLICA):
        transport.abort()
        raise ConnectionError(f"{address[0]} shows a certificate that is not that of a replica ({REPLICA.uri})")
    _watch(transport)
    transport.write(proof(token))
    return channel


async def listen(
    address: tuple[str | None, int], token: str, settings: TlsSettings, enter: Callable[[], Channel]
) -> asyncio.Server:
    """Take connections of hosts.

    Args:
        address: Where: an address of this machine, or None for all, and a port.
        token: What hosts have to know.
        settings: TLS files of this process; plain text without.
        enter: Makes the channel of a host that has proved who it is.
    """
    files = tls_files(settings)
    context = _context(ssl.PROTOCOL_TLS_SERVER, settings)
    seen = files.get() if files is not None else None

    def door() -> _Door:
        nonlocal seen
        if files is not None and context is not None and files.get() is not seen:
            seen = files.get()
            _load(context, settings)
        return _Door(proof(token), HOST if context else None, enter)

    return await asyncio.get_running_loop().create_server(door, *address, ssl=context)


def _context(kind: int, settings: TlsSettings) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    context = ssl.SSLContext(kind)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    _load(context, settings)
    return context


def _load(context: ssl.SSLContext, settings: TlsSettings) -> None:
    assert settings.tls_cert is not None
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    context.load_verify_locations(settings.tls_ca)


def _is(transport: asyncio.BaseTransport, who: Identity) -> bool:
    names = (transport.get_extra_info("peercert") or {}).get("subjectAltName", ())
    return ("URI", who.uri) in names


def _watch(transport: asyncio.BaseTransport) -> None:
    """Have a machine that is gone found out within some seconds."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option, value in _TCP_KEEPALIVE:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


class _Door(asyncio.Protocol):
    """Reads the proof of a connection, and nothing that comes after it.

    Args:
        expected: The proof.
        who: Who may come; None without TLS.
        enter: Makes the channel.
    """

    def __init__(self, expected: bytes, who: Identity | None, enter: Callable[[], Channel]) -> None:
        self._expected = expected
        self._who = who
        self._enter = enter
        self._data = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._who is not None and not _is(transport, self._who):
            transport.abort()
            return
        _watch(transport)
        self._timer = asyncio.get_running_loop().call_later(_HELLO_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._data += data
        size = len(self._expected)
        if len(self._data) < size:
            return
        if self._timer is not None:
            self._timer.cancel()
        if not hmac.compare_digest(self._data[:size], self._expected):
            self._transport.abort()
            return
        channel = self._enter()
        self._transport.set_protocol(channel)
        channel.connection_made(self._transport)
        rest = self._data[size:]
        while rest:
            buffer = channel.get_buffer(len(rest))
            taken = min(len(buffer), len(rest))
            buffer[:taken] = rest[:taken]
            channel.buffer_updated(taken)
            rest = rest[taken:]

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
