"""Addresses of servers: a name or an IP address, and a port."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple


class Address(NamedTuple):
    """Where something listens: a name or an IP address, and a port."""

    host: str
    port: int

    @property
    def literal(self) -> bool:
        """Whether the host is an IP address and no name."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Return the addresses in a setting such as `HOST:PORT` or `IP:PORT,IP:PORT`.

    Raises:
        ValueError: It is no `HOST:PORT`, or a list that holds anything but IP addresses.
    """
    found = []
    for each in text.split(","):
        host, separator, port = each.strip().rpartition(":")
        if not (separator and host and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError(f"expected HOST:PORT, or IP:PORT with commas between, got {text!r}")
        found.append(Address(host.removeprefix("[").removesuffix("]"), int(port)))
    if len(found) > 1 and not all(address.literal for address in found):
        raise ValueError(f"a list of addresses takes IP:PORT only, got {text!r}")
    return tuple(found)
