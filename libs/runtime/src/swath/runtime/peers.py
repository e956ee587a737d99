"""Where the other services are."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import AfterValidator, Field, create_model
from pydantic_settings import BaseSettings, SettingsConfigDict

from swath.api import SERVICES, Service

S = TypeVar("S", bound=BaseSettings)


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


def _checked(text: str) -> str:
    parse_addresses(text)
    return text


def _described(service: Service) -> str:
    text = f"The {service.name} service."
    if service.calls_itself:
        text += " Its name must stand for each replica (in Kubernetes a headless service)."
    return text


def with_addresses(services: Iterable[Service]) -> Callable[[type[S]], type[S]]:
    """Return a decorator that adds the setting `<service>_address` for each service to a class of settings.

    An address that is no `HOST:PORT`, or a list that holds anything but IP addresses, is refused.

    Args:
        services: The services.
    """
    fields: dict[str, Any] = {
        f"{each.name}_address": (
            Annotated[str, AfterValidator(_checked)],
            Field(default=each.address, description=_described(each)),
        )
        for each in services
    }

    def add(kind: type[S]) -> type[S]:
        return create_model(kind.__name__, __base__=kind, __module__=kind.__module__, __doc__=kind.__doc__, **fields)

    return add


@with_addresses(SERVICES)
class PeerSettings(BaseSettings):
    """Addresses of the services. Each field is also an environment variable `SWATH_<FIELD>`.

    An address is `HOST:PORT`, where a name may stand for many replicas, or a list of `IP:PORT` with commas between.
    """

    model_config = SettingsConfigDict(env_prefix="SWATH_", frozen=True, extra="ignore", use_attribute_docstrings=True)

    def addresses(self, part: str) -> tuple[Address, ...]:
        """Return the addresses of a service, such as "session"."""
        return parse_addresses(getattr(self, f"{part}_address"))
