"""What a replica runs: unpickled from the driver that made it, or imported by name."""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swath.serve.application import Node, import_application, nodes
from swath.serve.config import UNUSED, DeploymentOptions
from swath.serve.exceptions import RayServeException


@dataclass(frozen=True, slots=True)
class Definition:
    """Where a deployment's code comes from.

    Attributes:
        application: The application.
        deployment: The deployment.
        pickled: Class or function and arguments, as the driver has pickled them; empty if imported.
        import_path: "module:attribute"; empty if pickled.
        args: Of the function that builds the application: JSON's kinds.
        version: Digest of the imported code, as whoever deploys it says: another one makes new replicas.
    """

    application: str
    deployment: str
    pickled: bytes = b""
    import_path: str = ""
    args: Mapping[str, Any] | None = None
    version: str = ""

    def encoded(self) -> tuple[Any, ...]:
        """Return it as what a frame can say; `Definition(*...)` reads it."""
        args = None if self.args is None else dict(self.args)
        return (self.application, self.deployment, self.pickled, self.import_path, args, self.version)


def load(definition: Definition) -> Node:
    """Return the deployment.

    Raises:
        Exception: What importing or unpickling raised; the text says what was loaded.
    """
    if definition.pickled:
        target, args, kwargs = pickle.loads(definition.pickled)
        return Node(definition.deployment, target, args, kwargs, DeploymentOptions())
    application = import_application(definition.import_path, definition.args)
    found = nodes(application, definition.application)
    for node in found:
        if node.name == definition.deployment:
            return node
    raise RayServeException(
        f"{definition.import_path} has no deployment {definition.deployment!r}, but "
        f"{', '.join(node.name for node in found)}"
    )


def describe(definition: Definition) -> list[tuple[str, dict[str, Any], bytes]]:
    """Return the deployments of an imported application: name, options without `user_config`, and that, pickled.

    The last one is the one that clients reach.
    """
    found = nodes(import_application(definition.import_path, definition.args), definition.application)
    return [(node.name, _plain(node.options), dump_config(node.options.user_config)) for node in found]


def _plain(options: DeploymentOptions) -> dict[str, Any]:
    given = options.model_dump(exclude_unset=True, exclude={"user_config", *UNUSED})
    try:
        marshal.dumps(given)
    except ValueError:
        raise RayServeException(
            f"options of a deployment must be numbers, texts, lists and dicts, got {given!r}"
        ) from None
    return given


def dump_config(config: Any) -> bytes:
    """Return a `user_config` as bytes, equal for equal ones; empty for None."""
    return b"" if config is None else pickle.dumps(config, 5)


def load_config(config: bytes | bytearray | memoryview) -> Any:
    """Return a `user_config` from its bytes."""
    return pickle.loads(config) if config else None


def modules_to_load(values: Sequence[Any]) -> list[str]:
    """Return the modules that classes and functions of a driver need, for the process that replicas are forked from."""
    import sys

    names: dict[str, None] = {}
    for value in values:
        module = getattr(value, "__module__", None)
        if module and module != "__main__":
            names[module] = None
        for name in _globals_of(value):
            owner = sys.modules.get(module or "")
            used = getattr(owner, name, None)
            found = getattr(used, "__name__", None) if type(used) is type(sys) else getattr(used, "__module__", None)
            if isinstance(found, str) and found != "__main__":
                names[found] = None
    return [name for name in names if not name.startswith("swath.serve") and name in sys.modules]


def _globals_of(value: Any) -> set[str]:
    functions = (
        [each for each in vars(value).values() if hasattr(each, "__code__")] if isinstance(value, type) else [value]
    )
    return {name for each in functions if hasattr(each, "__code__") for name in each.__code__.co_names}
