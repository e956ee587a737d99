"""Options of servers, and the ports and sockets that they take: all of what they were asked for, or none."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Callable

import grpc

from swath.errors import Unavailable
from swath.rpc.addresses import Address
from swath.rpc.metadata import ROOM_BYTES, metadata_options
from swath.rpc.tls import Material, server_credentials
from swath.rpc.watched_files import Watched


def server_options(
    max_message_bytes: int, max_metadata_bytes: int, max_connection_age_s: float = 0.0
) -> list[tuple[str, int]]:
    """Return the channel arguments of a server.

    Args:
        max_message_bytes: Largest message either way.
        max_metadata_bytes: Most metadata of a client. A little more is let through, for `Calls` to say what is wrong.
        max_connection_age_s: When connections are asked to reconnect; 0 never.
    """
    options = [
        # Otherwise two servers share a port silently, and calls go to either.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        *metadata_options(max_metadata_bytes + ROOM_BYTES),
        # Clients of long streams ping to notice a dead peer, the gateway every three seconds; by default gRPC ends
        # connections that ping so often.
        ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    if max_connection_age_s:
        options.append(("grpc.max_connection_age_ms", int(max_connection_age_s * 1000)))
    return options


def bind(take: Callable[[str], int], address: Address, setting: str) -> int:
    """Have a server listen on an address; return the port.

    Args:
        take: gRPC's function that does.
        address: Where.
        setting: What sets the port, for people.

    Raises:
        Unavailable: The address is taken, wholly or in part, or not to be had.
    """
    try:
        _look(address)
        return take(str(address))
    except OSError as error:
        raise Unavailable(
            f"cannot listen on {address}: {os.strerror(error.errno or 0)}; {_remedy(address, setting)}"
        ) from error
    except RuntimeError as error:
        raise Unavailable(
            f"cannot listen on {address}: it is taken, or not of this machine; {_remedy(address, setting)}"
        ) from error


def listen(
    server: grpc.aio.Server, address: Address, tls: Watched[Material] | None, *, certificates: bool, setting: str
) -> Address:
    """Have a server listen on an address, by TLS where there are files for it; return the address with its port.

    Args:
        server: Listens.
        address: Where.
        tls: Keys and certificates.
        certificates: Whether clients must show a certificate.
        setting: What sets the port, for people.

    Raises:
        Unavailable: As of `bind`.
    """
    if tls is None:
        port = bind(server.add_insecure_port, address, setting)
    else:
        credentials = server_credentials(tls, require=certificates)
        port = bind(lambda target: server.add_secure_port(target, credentials), address, setting)
    return address if address.is_unix else address.at(port)


def _remedy(address: Address, setting: str) -> str:
    return "choose another path" if address.is_unix else f"choose another {setting}"


def _look(address: Address) -> None:
    """Raise what gRPC would pass over in silence.

    It replaces the socket of another server, and where all addresses are asked for it takes those that it gets.
    """
    if address.is_unix:
        with socket.socket(socket.AF_UNIX) as trial:
            try:
                trial.connect(address.path)
            except (FileNotFoundError, ConnectionRefusedError):
                return
        raise OSError(errno.EADDRINUSE, "")
    if address.literal and ipaddress.ip_address(address.host) == ipaddress.IPv6Address("::"):
        with socket.socket(socket.AF_INET6) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            trial.bind((address.host, address.port))
