"""Where the other services are."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from pydantic import field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


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


class PeerSettings(BaseSettings):
    """Addresses of the services. Each field is also an environment variable `SWATH_<FIELD>`.

    An address is `HOST:PORT`, where a name may stand for many replicas, or a list of `IP:PORT` with commas between.
    """

    model_config = SettingsConfigDict(env_prefix="SWATH_", frozen=True, extra="ignore", use_attribute_docstrings=True)

    session_address: str = "session:50051"
    """The session service."""
    config_address: str = "config:50051"
    """The config service."""
    pipeline_address: str = "pipeline:50051"
    """The pipeline service."""
    training_address: str = "training:50051"
    """The training service."""
    inference_address: str = "inference:50051"
    """The inference service. Its name must stand for each replica (in Kubernetes a headless service)."""

    @field_validator("session_address", "config_address", "pipeline_address", "training_address", "inference_address")
    @classmethod
    def _check(cls, value: str) -> str:
        parse_addresses(value)
        return value

    def addresses(self, part: str) -> tuple[Address, ...]:
        """Return the addresses of a service, such as "session"."""
        return parse_addresses(getattr(self, f"{part}_address"))


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Return what an address setting says.

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
