"""Ports and sockets that a server takes: all of what it was asked for, or none."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Callable

from swath.errors import Unavailable
from swath.rpc.addresses import Address


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
