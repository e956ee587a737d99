"""Addresses of servers: a name or an IP address with a port, or a Unix socket. Read and written here alone."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

_UNIX = ("unix:", "unix-abstract:")
_HERE = "127.0.0.1"


class Address(NamedTuple):
    """Where something listens.

    As text it is what a gRPC client takes: `HOST:PORT`, `[IPv6]:PORT` or `unix:PATH`.

    Attributes:
        host: A name, an IP address without brackets, or `unix:PATH` (`unix-abstract:NAME`).
        port: 0 of a Unix socket, and where any free one will do.
    """

    host: str
    port: int

    @classmethod
    def of(cls, host: str, port: int = 0) -> Address:
        """Return the address of a host as people write it, IPv6 with brackets or without.

        Raises:
            ValueError: It is no host: empty, or with a port.
        """
        bare = host.strip()
        if bare.startswith(_UNIX):
            if not bare.partition(":")[2]:
                raise ValueError(f"expected unix:PATH, got {host!r}")
            return cls(bare, 0)
        if bare.startswith("[") and bare.endswith("]"):
            bare = bare[1:-1]
        if not bare or "/" in bare or (":" in bare and not _is_ip(bare)):
            raise ValueError(
                f"expected a name, an IP address (::1 or [::1]) or unix:PATH, and the port apart from it, got {host!r}"
            )
        return cls(bare, port)

    def __str__(self) -> str:
        if self.is_unix:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def at(self, port: int) -> Address:
        """Return the address of another port of the same machine; that of a Unix socket is on 127.0.0.1."""
        return Address(_HERE if self.is_unix else self.host, port)

    @property
    def is_unix(self) -> bool:
        """Whether it is a Unix socket."""
        return self.host.startswith(_UNIX)

    @property
    def path(self) -> str:
        """Path of the Unix socket, as Python's sockets take it: a name without a file begins with a null."""
        kind, _, name = self.host.partition(":")
        return f"\0{name}" if kind == "unix-abstract" else name.removeprefix("//")

    @property
    def literal(self) -> bool:
        """Whether the host is an IP address and no name."""
        return _is_ip(self.host)

    @property
    def loopback(self) -> bool:
        """Whether only programs of the same machine reach it."""
        if self.is_unix or self.host == "localhost":
            return True
        return self.literal and ipaddress.ip_address(self.host).is_loopback


def parse_address(text: str) -> Address:
    """Return the address in `HOST:PORT`, `[IPv6]:PORT` or `unix:PATH`.

    Raises:
        ValueError: It is none.
    """
    bare = text.strip()
    if bare.startswith(_UNIX):
        return Address.of(bare)
    host, separator, port = bare.rpartition(":")
    if not (separator and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"expected HOST:PORT or unix:PATH, got {text!r}")
    if ":" in host and not host.startswith("["):
        raise ValueError(f"an IPv6 address goes into brackets: expected [HOST]:PORT, got {text!r}")
    return Address.of(host, int(port))


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Return the addresses in a setting such as `HOST:PORT` or `IP:PORT,IP:PORT`.

    Raises:
        ValueError: It is no `HOST:PORT`, or a list that holds anything but IP addresses.
    """
    found = tuple(parse_address(each) for each in text.split(","))
    if len(found) > 1 and not all(address.literal for address in found):
        raise ValueError(f"a list of addresses takes IP:PORT only, got {text!r}")
    return found


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
