"""Settings that every serving process has."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServerSettings(BaseSettings):
    """How a process listens, limits, logs and goes away. Each field is also an environment variable `SWATH_<FIELD>`."""

    model_config = SettingsConfigDict(
        env_prefix="SWATH_",
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=50051, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    max_message_bytes: int = Field(default=300 * 1024 * 1024, ge=1024, le=2**31 - 1)
    """Largest message received or sent, in bytes; protobuf itself ends at 2 GiB."""
    slow_call_s: float = Field(default=2.0, gt=0)
    """Unary calls that take longer leave a warning in the log."""
    max_connection_age_s: float = Field(default=1800.0, ge=0)
    """Connections are asked to reconnect after this time, so that clients spread over replicas; 0 never asks.

    Calls in flight go on."""
    drain_lag_s: float = Field(default=0.0, ge=0)
    """After SIGTERM health says NOT_SERVING and calls are still taken for this time: load balancers must notice."""
    drain_grace_s: float = Field(default=20.0, ge=0)
    """Time that calls in flight get to end after the lag."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe lines that are written."""
    log_format: Literal["text", "json"] = "text"
    """Lines for people or for machines."""
