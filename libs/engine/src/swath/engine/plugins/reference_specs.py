"""What classes of the reference package declare, as this engine's ports, stages and hparams."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from swath.engine.graph.ports import ALWAYS, ANY, DICT, LIST, TEXT, DType, Port, Stage

_KINDS: Mapping[Any, DType] = {torch.Tensor: ANY, list: LIST, dict: DICT, str: TEXT}


def accepted(cls: type) -> tuple[tuple[str, ...], bool]:
    """Return the arguments that a constructor and its parents name, and whether it takes any others."""
    names: dict[str, None] = {}
    for parent in cls.__mro__:
        if "__init__" not in vars(parent) or parent is torch.nn.Module:
            continue
        parameters = list(inspect.signature(vars(parent)["__init__"]).parameters.values())[1:]
        names |= {each.name: None for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)}
        if all(each.kind is not each.VAR_KEYWORD for each in parameters):
            return tuple(names), False
    return tuple(names), True


def ports(specs: Mapping[str, Any]) -> Mapping[str, Port]:
    """Return the ports that specs of the reference describe, by name."""
    return {name: _port(spec) for name, spec in specs.items()}


def _port(spec: Any) -> Port:
    return Port(
        dtype=_dtype(spec),
        shape=tuple(spec.shape),
        optional=bool(spec.optional),
        variadic=bool(getattr(spec, "variadic", False)),
        description=str(spec.description),
    )


def is_array(spec: Any) -> bool:
    """Whether a port of the reference takes numpy arrays; here it takes tensors."""
    return isinstance(spec.dtype, type) and issubclass(spec.dtype, np.generic | np.ndarray)


def _dtype(spec: Any) -> DType:
    if isinstance(spec.dtype, torch.dtype):
        return spec.dtype
    if is_array(spec) and issubclass(spec.dtype, np.generic):
        return torch.from_numpy(np.zeros(1, spec.dtype)).dtype
    return _KINDS.get(spec.dtype, ANY)


def stages(declared: Any) -> frozenset[Stage]:
    """Return the stages that a class of the reference declares."""
    names = {str(stage) for stage in declared}
    return ALWAYS if "always" in names else frozenset(Stage(name) for name in names)


def overrides(cls: type, method: str) -> bool:
    """Whether a class has its own method of a name, and not only that of an abstract or empty base."""
    owner = next((parent for parent in cls.__mro__ if method in vars(parent)), None)
    return owner is not None and owner.__module__ not in (
        "cuvis_ai_core.node.node",
        "cuvis_ai_core.deciders.base_decider",
    )


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Tensor):
        return value.tolist()
    return value if isinstance(value, bool | int | float | str | None) else str(value)
