"""Settings: the addresses of the other services."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, create_model
from pydantic_settings import BaseSettings, SettingsConfigDict

from swath.api import SERVICES, Service
from swath.rpc.addresses import Address, parse_addresses

S = TypeVar("S", bound=BaseSettings)


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
