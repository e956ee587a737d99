"""Settings of the config service."""

from __future__ import annotations

import os

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ConfigSettings(BaseSettings):
    """What a composition may cost. Each field is also an environment variable `SWATH_CONFIG_<FIELD>`."""

    model_config = SettingsConfigDict(
        env_prefix="SWATH_CONFIG_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    workers: int = Field(default_factory=lambda: max(1, min(4, os.cpu_count() or 1)), ge=1)
    """Processes that compose; by default one per core, four at most."""
    time_limit_s: float = Field(default=10.0, gt=0)
    """Seconds that one composition may take; its process is killed then."""
    result_limit_bytes: int = Field(default=8 * 1024 * 1024, ge=1024)
    """Bytes that one composed configuration may have."""
    memory_limit_bytes: int = Field(default=1024 * 1024 * 1024, ge=64 * 1024 * 1024)
    """Memory that a composing process may take beyond what it starts with (Linux)."""
    queue_limit: int = Field(default=256, ge=0)
    """Calls that may wait for a process; more are refused with RESOURCE_EXHAUSTED."""
