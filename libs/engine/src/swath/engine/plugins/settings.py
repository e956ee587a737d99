"""Which plugins the operator lets run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from swath.errors import PluginDenied

SETTING = "SWATH_PLUGINS"


class Located(Protocol):
    """Anything that says where a plugin comes from: a manifest, or a part of one."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str | None: ...
    @property
    def repo(self) -> str | None: ...
    @property
    def tag(self) -> str | None: ...


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "swath" / "plugins"


class PluginSettings(BaseSettings):
    """Which plugins may run. Each field is also an environment variable `SWATH_<FIELD>`, the same in every service."""

    model_config = SettingsConfigDict(env_prefix="SWATH_", frozen=True, extra="ignore", use_attribute_docstrings=True)

    plugins: Annotated[tuple[str, ...], NoDecode] = ()
    """Places whose plugins run inside of the services, with all their rights: absolute folders (a plugin lies in one or
    below it) and git repositories, `https://host/name.git` for every tag or `https://host/name.git@v1.2` for one. As a
    variable, separated by commas. Never a folder that clients can write to, such as the workspace. Empty: none."""
    plugin_cache: Path = Field(default_factory=_cache)
    """Folder for checkouts of git repositories, one per repository and tag. It must be this user's alone. By default
    `swath/plugins` in the user's folder for caches."""
    plugin_git_timeout_s: float = Field(default=60.0, gt=0)
    """Seconds that bringing a tag of a repository here may take."""

    @field_validator("plugins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    def allows(self, plugin: Located) -> bool:
        """Whether the operator lets the code of a plugin run."""
        if plugin.path is not None:
            # Links are followed, so that none leads out of what is allowed.
            real = Path(plugin.path).resolve()
            return any(real.is_relative_to(Path(place).resolve()) for place in self.plugins if place.startswith("/"))
        return plugin.repo in self.plugins or f"{plugin.repo}@{plugin.tag}" in self.plugins

    def require(self, plugin: Located) -> None:
        """Refuse a plugin that may not run.

        Raises:
            PluginDenied: Naming the plugin, where it comes from and the setting.
        """
        if not self.allows(plugin):
            raise denied(plugin)


def denied(plugin: Located, user: str = "") -> PluginDenied:
    """Return the error for a plugin that may not run.

    Args:
        plugin: The plugin.
        user: What needs it, such as "node 'a' (acme.Node)".
    """
    place = plugin.path or f"{plugin.repo}@{plugin.tag}"
    return PluginDenied(
        f"{user + ' needs ' if user else ''}plugin '{plugin.name}' from {place}, which is registered but not on this "
        f"server's allow list; the operator can add that place to the setting {SETTING}",
        metadata={"plugin": plugin.name, "setting": SETTING},
    )
