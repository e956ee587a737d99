"""Settings of the experiment service."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ExperimentSettings(BaseSettings):
    """What looking into runs may cost. Each field is also an environment variable `SWATH_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="SWATH_", frozen=True, extra="ignore", use_attribute_docstrings=True)

    experiment_histories: int = Field(default=3, ge=1)
    """Whole histories of curves that are read at a time; further readers wait for their turn."""
    experiment_history_wait_s: float = Field(default=10.0, ge=0)
    """Seconds for which a reader waits for its turn before it is told to come again."""
    experiment_page: int = Field(default=1000, ge=1, le=100_000)
    """Most samples that one call reads."""
    experiment_tags: int = Field(default=500, ge=1)
    """Most tags that an experiment may have."""
    experiment_text_bytes: int = Field(default=65_536, ge=1)
    """Longest note or query, in bytes."""
    experiment_notebook_bytes: int = Field(default=16 * 2**20, ge=1)
    """Largest notebook, in bytes."""
