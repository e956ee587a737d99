"""Settings: the addresses of the other services."""

from __future__ import annotations

from pydantic import field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from swath.rpc.addresses import Address, parse_addresses


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
