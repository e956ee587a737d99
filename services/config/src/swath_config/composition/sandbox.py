"""The doors that Hydra and OmegaConf leave open, and their locks.

What a client sends or uploads is composed by a program that can read environment variables, any file, any importable
module, and that expands references without end. Here: which resolvers exist, what overrides may name, and how much an
expansion may cost. Where files may lie is judged by the workspace, at every single read (see `library`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from hydra.core.override_parser.types import Override
from omegaconf import Container, DictConfig, ListConfig, Node, OmegaConf
from omegaconf.basecontainer import BaseContainer

from swath.errors import ConfigInvalid

RESOLVERS: Final = ("oc.create", "oc.decode", "oc.dict.keys", "oc.dict.values", "oc.select")
"""Resolvers that configurations may call: those that see nothing but the configuration itself."""

MAX_REFERENCES: Final = 20_000
"""Interpolations that one configuration may resolve."""

MAX_EXPANSION: Final = 4_000_000
"""Characters and values that all interpolations of one configuration may stand for together."""

MAX_OVERRIDES: Final = 1_000
"""Overrides that one call may carry."""

MAX_OVERRIDE_CHARACTERS: Final = 65_536
"""Longest override."""


class Meter:
    """Counts what interpolations expand to and refuses what grows without end."""

    def __init__(self) -> None:
        self.references = 0
        self.expansion = 0

    def charge(self, result: Any) -> None:
        """Count one resolved reference.

        Raises:
            ConfigInvalid: There were too many, or they stand for too much.
        """
        self.references += 1
        self.expansion += self._weight(result)
        if self.references > MAX_REFERENCES or self.expansion > MAX_EXPANSION:
            raise ConfigInvalid(
                "Config resolution failed: its interpolations expand too far (at most "
                f"{MAX_REFERENCES} references that stand for {MAX_EXPANSION} characters and values are resolved)"
            )

    def _weight(self, result: Any) -> int:
        weight = 0
        pending = [result]
        while pending and self.expansion + weight <= MAX_EXPANSION:
            item = pending.pop()
            if isinstance(item, Node):
                item = item._content if isinstance(item, (DictConfig, ListConfig)) else item._value()
            weight += 1
            if isinstance(item, (str, bytes)):
                weight += len(item)
            elif isinstance(item, dict):
                pending.extend(item.values())
            elif isinstance(item, (list, tuple)):
                pending.extend(item)
        return weight


_meter = Meter()


def _metered(method: Callable[..., Any]) -> Callable[..., Any]:
    def run(self: Container, *args: Any, **kwargs: Any) -> Any:
        result = method(self, *args, **kwargs)
        _meter.charge(result)
        return result

    run.__swath__ = True  # type: ignore[attr-defined]
    return run


def lock() -> None:
    """Leave no resolvers but the allowed ones, and count every resolved reference. Idempotent.

    It changes OmegaConf for the whole process, which is why composition has processes of its own.
    """
    # Other packages may have registered theirs between two calls; the list is short.
    for name in set(BaseContainer._resolvers) - set(RESOLVERS):
        OmegaConf.clear_resolver(name)
    for name in ("_resolve_node_interpolation", "_evaluate_custom_resolver"):
        method = getattr(Container, name)
        if not hasattr(method, "__swath__"):
            setattr(Container, name, _metered(method))


@contextmanager
def metered() -> Iterator[None]:
    """Give the composition inside a fresh allowance."""
    global _meter
    outer, _meter = _meter, Meter()
    try:
        yield
    finally:
        _meter = outer


def check_override(override: Override) -> None:
    """Refuse an override of Hydra's own settings.

    Raises:
        ConfigInvalid: It names `hydra`, as key, group or package.
    """
    for name in (override.key_or_group, override.package or ""):
        if name.replace("/", ".").split(".")[0] == "hydra":
            raise ConfigInvalid(
                f"Config resolution failed: override '{override.input_line}': Hydra's own settings are not for clients"
            )


def check_content(content: Any, source: str) -> None:
    """Refuse a file that would add search paths; other settings of Hydra in it have no effect.

    Raises:
        ConfigInvalid: It sets `hydra.searchpath`.
    """
    if not isinstance(content, dict):
        return
    hydra = content.get("hydra")
    if "hydra.searchpath" in content or (isinstance(hydra, dict) and "searchpath" in hydra):
        raise ConfigInvalid(
            f"Config resolution failed: {source} sets hydra.searchpath; search paths are set by SetSessionSearchPaths"
        )
