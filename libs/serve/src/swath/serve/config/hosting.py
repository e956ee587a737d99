"""Options of the host: where and how applications are served."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from swath.serve.config.base import LOOPBACK, Options


class gRPCOptions(Options):  # noqa: N801 - the name that users' code has
    """Where and how applications are served over gRPC.

    Unlike Ray's, it listens on loopback unless `host` says otherwise, has TLS, and a servicer function that cannot be
    imported fails the start.

    Attributes:
        port: TCP port; 0 takes a free one.
        host: Address to listen on.
        grpc_servicer_functions: Import paths of the generated functions that add a service to a server:
            "user_pb2_grpc.add_UserServiceServicer_to_server". Without one, `serve.start` opens no port.
        request_timeout_s: Seconds that a call may take from its arrival to its end, a stream's whole life included.
        enable_reflection: Whether gRPC reflection (v1 and v1alpha) tells of the users' services.
        tls_cert: File with the server's certificate chain, PEM.
        tls_key: File with its private key, PEM.
        tls_ca: File with the authorities of clients' certificates, PEM.
        client_certificates: Whether clients show a certificate of those: "required" or "ignored".
        max_message_bytes: Largest request and answer.
        max_metadata_bytes: Largest metadata of a call.
        metrics_port: TCP port for Prometheus; 0 for none.
        slow_call_s: Seconds from which on a call is logged as slow.
        access_log: Whether each call is logged.
        drain_lag_s: Seconds between "not healthy any more" and the end of listening.
        send_tracebacks: Whether a failed call tells the client the whole traceback, as Ray does, and not `Type: text`.
    """

    port: int = Field(default=9000, ge=0, le=65535)
    host: str = LOOPBACK
    grpc_servicer_functions: tuple[str, ...] = ()
    request_timeout_s: float | None = Field(default=None, gt=0)
    enable_reflection: bool = True
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None
    client_certificates: Literal["required", "ignored"] = "ignored"
    max_message_bytes: int = Field(default=2**31 - 1, gt=0)
    max_metadata_bytes: int = Field(default=32768, gt=0)
    metrics_port: int = Field(default=0, ge=0, le=65535)
    slow_call_s: float = Field(default=2.0, gt=0)
    access_log: bool = True
    drain_lag_s: float = Field(default=0.0, ge=0)
    send_tracebacks: bool = False

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together: one is missing")
        if self.client_certificates == "required" and self.tls_ca is None:
            raise ValueError("client_certificates is 'required': tls_ca is missing, which says whose")
        return self


class HTTPOptions(BaseModel):
    """Options of Ray's HTTP proxy. Applications are not served over HTTP here: they are read and not used."""

    model_config = ConfigDict(frozen=True, extra="allow")

    host: str | None = LOOPBACK
    port: int | None = 8000
