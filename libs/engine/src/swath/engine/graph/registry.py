"""Node classes by name.

Classes come from the modules of `swath.engine.nodes`, and from plugins that the operator allows: a document alone
cannot make the server import code.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
import pkgutil
import sys
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import torch

from swath.engine.error_text import first_line
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, Stage
from swath.errors import GraphInvalid, SwathError

PACKAGE = "swath.engine.nodes"
REFERENCE = "cuvis_ai.node"

# Arguments that documents may have on any node: the base class of the reference package takes them. The node's name in
# the document overrides the argument, and stages are declared on the class.
_BASE_HPARAMS = frozenset({"name", "execution_stages"})
_seeding = threading.Lock()
_walking = threading.Lock()


class NodeSource(Protocol):
    """Where node classes come from beside the built-in ones: plugins."""

    def node(self, class_name: str, *, named: bool) -> type[Node] | None:
        """As `swath.engine.plugins.loading.Plugins.node`."""
        ...


@dataclass(frozen=True)
class Entry:
    """One class of the catalogue.

    Attributes:
        class_name: Bare name.
        full_path: Dotted name for documents, as clients of the reference package know it.
        category: Lower-case name of a node category of the public API.
        tags: Lower-case names of node tags of the public API, sorted.
        inputs: Input ports by name.
        outputs: Output ports by name.
        stages: Stages that it takes part in.
        description: First line of the docstring.
    """

    class_name: str
    full_path: str
    category: str
    tags: tuple[str, ...]
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]
    stages: frozenset[Stage]
    description: str


def lookup(class_name: str, plugins: NodeSource | None = None) -> type[Node]:
    """Return the class of a name.

    Takes full names below ``cuvis_ai.node`` and `swath.engine.nodes`, and bare class names. Of a name below these two
    packages, only the last part counts, as modules may have moved. Classes of plugins that the pipeline names take
    precedence over built-in ones, which take precedence over those of other plugins (docs/adr/0019).

    Raises:
        GraphInvalid: There is no such class.
        PluginDenied, DependencyMissing, Precondition: It is of a plugin that cannot be loaded here.
    """
    builtin = classes()
    if plugins is not None and (named := plugins.node(class_name, named=True)) is not None:
        return named
    package, _, bare = class_name.rpartition(".")
    ours = not package or package.split(".")[0] in ("cuvis_ai", "swath")
    if ours and bare in builtin:
        return builtin[bare]
    if plugins is not None and (other := plugins.node(class_name, named=False)) is not None:
        return other
    near = difflib.get_close_matches(bare, builtin, n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; ListAvailableNodes names all classes"
    raise GraphInvalid(f"Unknown node class '{class_name}'{hint}", metadata={"class_name": class_name})


def create(class_name: str, name: str, hparams: Mapping[str, Any], plugins: NodeSource | None = None) -> Node:
    """Build a node as a document describes it.

    Random initial values depend on the name, the class and the arguments only, so all replicas that build the same
    document have the same node.

    Raises:
        GraphInvalid: Unknown class, unknown or missing arguments, or values that the class refuses.
    """
    cls = lookup(class_name, plugins)
    arguments = _arguments(cls, name, hparams)
    try:
        with _seeding, torch.random.fork_rng(devices=[]), torch.inference_mode(False):
            torch.manual_seed(_seed(cls, name, arguments))
            node = cls(**arguments)
    except SwathError:
        raise
    except (TypeError, ValueError, OverflowError, RuntimeError, MemoryError) as error:
        raise GraphInvalid(f"Node '{name}' ({cls.__name__}): {first_line(error)}", metadata={"node": name}) from error
    node.name = name
    return node


def classes() -> Mapping[str, type[Node]]:
    """Return all built-in classes by bare name."""
    # The first calls come together. Packages change while another thread imports their modules.
    with _walking:
        return _classes()


def catalogue() -> tuple[Entry, ...]:
    """Return all classes, sorted by name."""
    return tuple(
        Entry(
            class_name=name,
            full_path=full_path(cls),
            category=cls.category,
            tags=tuple(sorted(cls.tags)),
            inputs=cls.inputs,
            outputs=cls.outputs,
            stages=cls.stages,
            description=(inspect.getdoc(cls) or "").split("\n", 1)[0],
        )
        for name, cls in sorted(classes().items())
    )


def full_path(cls: type[Node]) -> str:
    """Return the dotted name of a class that both this engine and the reference package understand.

    Where a module of the reference package is a package of small modules here, the package exports the classes, and
    their names contain the package only.
    """
    module = cls.__module__
    package, _, _ = module.rpartition(".")
    while package.startswith(f"{PACKAGE}.") and vars(sys.modules[package]).get(cls.__name__) is cls:
        module, (package, _, _) = package, package.rpartition(".")
    return f"{REFERENCE}{module.removeprefix(PACKAGE)}.{cls.__name__}"


def _arguments(cls: type[Node], name: str, hparams: Mapping[str, Any]) -> dict[str, Any]:
    if hparams.get("execution_stages") is not None:
        raise GraphInvalid(
            f"Node '{name}' ({cls.__name__}): execution_stages is declared on the class and is no longer a "
            "constructor argument; remove it",
            metadata={"node": name},
        )
    accepted = cls.parameters_accepted()
    dropped = (cls.legacy_hparams | _BASE_HPARAMS).difference(accepted)
    arguments = {key: value for key, value in hparams.items() if key not in dropped}
    unknown = [key for key in arguments if key not in accepted]
    if unknown and not cls.open_hparams:
        raise GraphInvalid(
            f"Node '{name}' ({cls.__name__}) does not take {', '.join(map(repr, unknown))}; it takes "
            f"{', '.join(accepted) or 'no hparams'}",
            metadata={"node": name, "hparam": unknown[0]},
        )
    return arguments


def _seed(cls: type[Node], name: str, arguments: Mapping[str, Any]) -> int:
    text = json.dumps([cls.__name__, name, arguments], sort_keys=True, default=str)
    return zlib.crc32(text.encode())


@cache
def _classes() -> dict[str, type[Node]]:
    package = importlib.import_module(PACKAGE)
    classes: dict[str, type[Node]] = {}
    for module_info in pkgutil.walk_packages(package.__path__, f"{PACKAGE}."):
        module = importlib.import_module(module_info.name)
        for cls in list(vars(module).values()):
            if _is_node(cls, module.__name__):
                classes[cls.__name__] = cls
    return classes


def _is_node(value: Any, module: str) -> bool:
    return (
        inspect.isclass(value)
        and issubclass(value, Node)
        and value.__module__ == module
        and not value.__name__.startswith("_")
        and not any(getattr(member, "__isabstractmethod__", False) for member in _members(value))
    )


def _members(cls: type[Node]) -> list[Any]:
    return [getattr(cls, name) for base in cls.__mro__ if issubclass(base, Node) for name in vars(base)]
