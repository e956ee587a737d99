"""The config service: resolves, describes and checks configurations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swath_config.service import ConfigService, Validity
from swath_config.servicer import ConfigServicer
from swath_config.settings import ConfigSettings

if TYPE_CHECKING:
    from swath_config.assembly import build

__all__ = ["ConfigService", "ConfigServicer", "ConfigSettings", "Validity", "build"]


def __getattr__(name: str) -> Any:
    # Imported when it is asked for: the processes that compose import this package, and need no server.
    if name == "build":
        from swath_config.assembly import build

        return build
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
