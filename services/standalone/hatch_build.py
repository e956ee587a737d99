"""Puts the shipped configs into what is built of this distribution.

They lie at the top of the repository, where people look for them, and in the package where it is installed. A source
distribution has no repository around it, so it carries them in a folder of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ShippedConfigs(BuildHookInterface):
    """Adds configs/ to wheels as ``swath_standalone/configs``, and to source distributions as ``configs``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the folder, before a build.

        Args:
            version: Kind of build; one for development (``editable``) needs no configs, as the repository is there.
            build_data: Where to name it.

        Raises:
            FileNotFoundError: There are none.
        """
        if version == "editable":
            return
        carried, of_repository = (Path(self.root, *up, "configs") for up in ((), ("..", "..")))
        configs = carried if carried.is_dir() else of_repository
        if not configs.is_dir():
            raise FileNotFoundError(f"no configs to ship: neither {carried} nor {of_repository.resolve()} is a folder")
        build_data["force_include"][str(configs)] = (
            "configs" if self.target_name == "sdist" else "swath_standalone/configs"
        )
