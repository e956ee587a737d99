"""Settings of the pipeline service."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class PipelineSettings(BaseSettings):
    """What may be published. Each field is also an environment variable `SWATH_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="SWATH_", frozen=True, extra="ignore", use_attribute_docstrings=True)

    quota_models: int = Field(default=0, ge=0)
    """Published models that an identity may own; 0 means any number. Where nobody is asked who calls (SWATH_AUTH is
    off) all callers are one identity, and share this."""
