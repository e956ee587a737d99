"""Settings of the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from swath.api import GATEWAY, REGISTRY
from swath.rpc.addresses import Address
from swath.rpc.metadata import MAX_METADATA_BYTES
from swath.runtime.peers import PeerSettings

_PORTS = REGISTRY.process(GATEWAY).ports


class GatewaySettings(PeerSettings):
    """How the gateway listens and forwards. Each field is also an environment variable `SWATH_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="SWATH_", frozen=True, extra="ignore", use_attribute_docstrings=True)

    host: str = "0.0.0.0"
    """Address to listen on: a name, an IP address (`::1` or `[::1]`; `::` takes IPv4 too) or `unix:PATH`. Beside a Unix
    socket the port for probes is on 127.0.0.1."""
    port: int = Field(default=_PORTS.grpc, ge=1, le=65535)
    """Public port: gRPC, and gRPC-Web over HTTP/1.1."""
    health_port: int = Field(default=_PORTS.probe, ge=1, le=65535)
    """Port for probes and Prometheus, plain HTTP, not for clients: `/ready` (the gateway takes calls), `/suite` (every
    service has a replica that takes them), `/stats/prometheus`."""
    public_tls_cert: Path | None = None
    """Certificate chain that clients see, PEM. Without one the public port speaks plain text."""
    public_tls_key: Path | None = None
    """Its private key, PEM."""
    client_ca: Path | None = None
    """CA whose certificates clients may show, PEM. A certificate is asked for then and not required."""
    tls_cert: Path | None = None
    """Certificate that the gateway shows to the services, PEM. Without one they are called in plain text."""
    tls_key: Path | None = None
    """Its private key, PEM."""
    tls_ca: Path | None = None
    """CA of the services' certificates, PEM."""
    unary_timeout_s: float = Field(default=300.0, gt=0)
    """Seconds that a unary call may take once its request has arrived; a shorter deadline of the client counts."""
    retry_bytes: int = Field(default=16 * 1024 * 1024, ge=0)
    """Requests up to this size can be sent to another replica when one fails; larger ones stream through once."""
    max_metadata_bytes: int = Field(default=MAX_METADATA_BYTES, ge=8 * 1024, le=1024 * 1024)
    """Most metadata of a call, in bytes, as in every service. Services refuse what is above, in words; the gateway
    resets calls and answers that have four times as much, and closes the connection at an entry above 64 KiB."""
    max_connections: int = Field(default=10_000, ge=1)
    """Connections of clients at once; more are refused."""
    max_requests: int = Field(default=10_000, ge=1)
    """Calls under way to one service at once; more get UNAVAILABLE."""
    route_by_model: bool = False
    """Send calls that name a published model in the metadata `swath-model` to the replicas that keep that model, so
    that each has a share of them. For more models than fit into the memory of one; where all fit, calls are spread
    better without."""
    model_load_percent: int = Field(default=150, ge=100, le=1000)
    """With `route_by_model`: calls that one replica takes at once, in percent of what each had if all had the same.
    What is above goes to others, which load the model as well."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins whose pages may call by gRPC-Web; as a variable, with commas between. `*` takes all."""
    otlp_address: str = ""
    """HOST:PORT of an OpenTelemetry collector (OTLP over gRPC) that spans go to; empty sends none."""

    threads: int = Field(default=0, ge=0)
    """Envoy's worker threads; 0 has one per core, which in a container counts all cores of the machine."""
    drain_lag_s: float = Field(default=0.0, ge=0)
    """`drain` says that the gateway goes and waits for this time: load balancers must notice."""
    drain_grace_s: float = Field(default=20.0, ge=0)
    """Time that `drain` gives calls in flight after the lag."""

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str) -> str:
        return Address.of(value).host

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _pairs(self) -> GatewaySettings:
        if (self.public_tls_cert is None) != (self.public_tls_key is None):
            raise ValueError("public_tls_cert and public_tls_key go together")
        if len({self.tls_cert is None, self.tls_key is None, self.tls_ca is None}) != 1:
            raise ValueError("tls_cert, tls_key and tls_ca go together")
        if self.client_ca is not None and self.public_tls_cert is None:
            raise ValueError("client_ca needs public_tls_cert and public_tls_key: certificates are shown within TLS")
        return self
