"""The address that clients are told to open a stream at, and the one that they come from."""

from __future__ import annotations

import ipaddress
import socket

from swath.rpc.addresses import Address
from swath.rpc.metadata import Metadata

_EVERYWHERE = ("0.0.0.0", "::")


class Reachable:
    """Knows an address that a client can reach.

    Args:
        address: HOST:PORT that is told to everybody; empty tells each client one that it has reached.
        behind_gateway: Whether clients come by the gateway, which says how they named it.

    Attributes:
        listening: Where this process listens, once it does.
    """

    def __init__(self, address: str, *, behind_gateway: bool) -> None:
        self._address = address
        self._behind_gateway = behind_gateway
        self.listening: Address | None = None

    def told(self, metadata: Metadata, peer: str) -> str:
        """Return HOST:PORT.

        Args:
            metadata: Of the call.
            peer: Address of who calls, as gRPC has it.
        """
        if self._address:
            return self._address
        if self._behind_gateway and (named := _last(metadata, "x-forwarded-host")):
            return named if _has_port(named) else f"{named}:{_usual_port(metadata)}"
        here = self.listening or Address("localhost", 0)
        if here.host in _EVERYWHERE:
            # The address of this machine that lies on the way to the client.
            here = Address(_on_the_way(host_of(peer)) or socket.gethostname(), here.port)
        return str(here)

    def client(self, metadata: Metadata, peer: str) -> str:
        """Return the address that a client comes from, without its port: to count it by."""
        forwarded = _last(metadata, "x-forwarded-for") if self._behind_gateway else ""
        # What a client claims itself stands before what the gateway has seen.
        return forwarded.rpartition(",")[2].strip() or host_of(peer)


def host_of(peer: str) -> str:
    """Return the address in gRPC's name of the other end, such as "ipv4:127.0.0.1:4711", without the port."""
    kind, _, rest = peer.replace("%5B", "[").replace("%5D", "]").partition(":")
    return rest.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else peer


def _last(metadata: Metadata, key: str) -> str:
    found = [value for name, value in metadata if name == key and isinstance(value, str)]
    return found[-1] if found else ""


def _has_port(named: str) -> bool:
    return named.rpartition("]")[2].rpartition(":")[2].isdecimal() and ":" in named.rpartition("]")[2]


def _usual_port(metadata: Metadata) -> int:
    return 443 if _last(metadata, "x-forwarded-proto") == "https" else 80


def _on_the_way(host: str) -> str:
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as way:
            # Sends nothing.
            way.connect((host, 9))
            return way.getsockname()[0].removeprefix("::ffff:")
    except (OSError, ValueError):
        return ""
