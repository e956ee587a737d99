"""Settings of the standalone server."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from swath.runtime.settings import ServerSettings
from swath_apps.settings import AppsSettings
from swath_config.settings import ConfigSettings
from swath_experiment.settings import ExperimentSettings
from swath_inference.settings import InferenceSettings
from swath_pipeline.settings import PipelineSettings
from swath_session.settings import SessionSettings
from swath_training.settings import TrainingSettings


def shipped_configs() -> Path:
    """Return the configs that ship with Swath: inside this package where it is installed, else in the repository."""
    installed = Path(__file__).parent / "configs"
    return installed if installed.is_dir() else Path(__file__).resolve().parents[4] / "configs"


def user_data() -> Path:
    """Return the folder where this user's programs keep data."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


class StandaloneSettings(ServerSettings):
    """What `swath serve` takes beside the settings of each service. Each field is also a variable `SWATH_<FIELD>`."""

    configs: Path = Field(default_factory=shipped_configs)
    """Folder of the shipped Hydra configs. The workspace's own configs/ lies over it; it is never written. By default
    what was installed with the server."""
    state: Path = Field(default_factory=lambda: user_data() / "swath")
    """Folder for everything that must outlive the process: sessions, runs, artifacts, the workspace. By default `swath`
    in the user's folder for data."""
    allow_root: Annotated[tuple[Path, ...], NoDecode] = ()
    """More folders that absolute paths in calls may lead to; as a variable, separated like `PATH`, by colons."""
    session: SessionSettings = Field(default_factory=SessionSettings)
    """How long sessions live, what uploads may be, and how much there may be of both."""
    config: ConfigSettings = Field(default_factory=ConfigSettings)
    """What a composition may cost."""
    pipeline: PipelineSettings = Field(default_factory=PipelineSettings)
    """What may be published."""
    inference: InferenceSettings = Field(default_factory=InferenceSettings)
    """What the inference service holds and takes."""
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    """How runs are followed, resumed and stopped."""
    experiment: ExperimentSettings = Field(default_factory=ExperimentSettings)
    """What looking into runs may cost."""
    apps: AppsSettings = Field(default_factory=AppsSettings)
    """Who may deploy applications, and what they may cost."""

    @field_validator("allow_root", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value
