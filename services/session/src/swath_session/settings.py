"""Settings of the session service."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SessionSettings(BaseSettings):
    """How long sessions live and what uploads may be. Each field is also an environment variable `SWATH_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="SWATH_", frozen=True, extra="ignore", use_attribute_docstrings=True)

    session_ttl_s: float = Field(default=3600.0, gt=0)
    """Seconds without use after which a session expires; never while its run is active. Fixed when it is created."""
    session_sweep_s: float = Field(default=30.0, gt=0)
    """Seconds between removals of expired sessions. They are not found any more at once; this frees what they held."""
    upload_max_bytes: int = Field(default=64 * 2**30, gt=0)
    """Largest file that the workspace takes, in bytes."""
    upload_idle_s: float = Field(default=60.0, gt=0)
    """Seconds without a message after which an upload is taken to be cut; it can be resumed."""
    upload_keep_s: float = Field(default=86_400.0, gt=0)
    """Seconds for which what has arrived of a cut upload is kept."""
