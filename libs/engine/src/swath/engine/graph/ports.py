"""Stages, data types and ports of nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any

import torch


class Stage(StrEnum):
    """The stage of a pipeline's life that a forward belongs to."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    INFERENCE = "inference"


ALWAYS: frozenset[Stage] = frozenset(Stage)
LEARNING: frozenset[Stage] = frozenset({Stage.TRAIN, Stage.VAL, Stage.TEST})
EVALUATION: frozenset[Stage] = frozenset({Stage.VAL, Stage.TEST})


class Kind(Enum):
    """Types of ports other than tensors of one data type."""

    ANY = "tensor"
    LIST = "list"
    DICT = "dict"
    TEXT = "str"


ANY = Kind.ANY
LIST = Kind.LIST
DICT = Kind.DICT
TEXT = Kind.TEXT

DType = torch.dtype | Kind

_PYTHON_TYPES: Mapping[Kind, type] = {LIST: list, DICT: dict, TEXT: str}


def dtype_name(dtype: DType) -> str:
    """Return the short name of a port's type, such as ``float32``, ``tensor`` or ``list``."""
    return dtype.value if isinstance(dtype, Kind) else str(dtype).removeprefix("torch.")


@dataclass(frozen=True)
class Port:
    """One input or output of a node.

    Attributes:
        dtype: A torch dtype, `ANY` for a tensor of any dtype, or `LIST`, `DICT`, `TEXT` for what is not a tensor.
        shape: One entry per dimension: a size, -1 for any size, or the name of the node's attribute that holds the
            size (None there means any size). Ignored for lists, dicts and text.
        optional: The node runs without it (inputs), or may leave it out (outputs).
        variadic: Several edges may end here; the node gets a list in the order of the edges.
        description: A short description.
        also: Further dtypes that the port takes; introspection reports `dtype`.
        invalid: Outputs of labels: the label of an invalid pixel; None where it has what the node gives. Numbers are
            NaN there, and flags False.
        absent: What a user does where a required value is missing, for the error.
        deferred: The node runs without it, and those that use what it hands on ask for it; introspection reports it as
            required, as the reference does.
        common: The value belongs to the whole batch, as wavelengths do: it has no axis of items, or is read as if all
            items had the same. Batches may be joined only where such values are equal.
    """

    dtype: DType
    shape: tuple[int | str, ...] = ()
    optional: bool = False
    variadic: bool = False
    description: str = ""
    also: tuple[torch.dtype, ...] = ()
    invalid: int | None = None
    absent: str = ""
    deferred: bool = False
    common: bool = False

    @property
    def dtypes(self) -> tuple[DType, ...]:
        """All types that the port takes."""
        return (self.dtype, *self.also)

    def sizes(self, node: object) -> tuple[int, ...]:
        """Return the shape with names replaced by the node's values, -1 for any size."""
        return tuple(_size(dim, node) for dim in self.shape)

    def describe(self, node: object | None = None) -> str:
        """Return the port's type as text, such as ``float32[-1,-1,-1,1]``."""
        names = "|".join(dtype_name(dtype) for dtype in self.dtypes)
        if isinstance(self.dtype, Kind) and self.dtype is not ANY:
            return names
        dims = self.shape if node is None else self.sizes(node)
        return f"{names}[{','.join(str(dim) for dim in dims)}]"


def _size(dim: int | str, node: object) -> int:
    if isinstance(dim, int):
        return dim
    value = getattr(node, dim)
    return -1 if value is None else int(value)


def describe_value(value: Any) -> str:
    """Return the type of a value as text, in the form of `Port.describe`."""
    if isinstance(value, torch.Tensor):
        return f"{dtype_name(value.dtype)}[{','.join(str(size) for size in value.shape)}]"
    return type(value).__name__


def ports(*parents: Mapping[str, Port], **own: Port) -> Mapping[str, Port]:
    """Return a read-only mapping of ports by name; a class's own ports override those of its parents."""
    merged: dict[str, Port] = {}
    for parent in parents:
        merged |= parent
    return MappingProxyType(merged | own)


def mismatch(source: Port, source_node: object, target: Port, target_node: object) -> str | None:
    """Return why two ports cannot be connected, None if they can.

    Types match if the ports share one or either is `ANY`; ranks must be equal; two sizes match if they are equal or
    either is -1.
    """
    tensors = all(dtype is ANY or not isinstance(dtype, Kind) for dtype in (source.dtype, target.dtype))
    generic = tensors and ANY in (source.dtype, target.dtype)
    if not generic and not set(source.dtypes) & set(target.dtypes):
        given, expected = source.describe(source_node), target.describe(target_node)
        return f"Dtype mismatch: source gives {given}, target expects {expected}"
    if not tensors:
        return None
    gives, wants = source.sizes(source_node), target.sizes(target_node)
    if len(gives) != len(wants):
        return f"Shape rank mismatch: source has {len(gives)} dimensions, target expects {len(wants)}"
    for index, (have, want) in enumerate(zip(gives, wants, strict=True)):
        if have != want and -1 not in (have, want):
            return f"Shape mismatch: dimension {index} of the source is {have}, target expects {want}"
    return None


def checker(port: Port, node: object) -> Callable[[Any], str | None]:
    """Return a function that returns what is wrong with a value for a port, None if nothing is.

    The port's sizes are read here, once: the check is part of every forward.
    """
    if isinstance(port.dtype, Kind) and port.dtype is not ANY:
        kind = _PYTHON_TYPES[port.dtype]
        return lambda value: None if isinstance(value, kind) else f"Type mismatch: source is {type(value).__name__}"

    dtypes = None if port.dtype is ANY else frozenset(port.dtypes)
    sizes = port.sizes(node)
    rank = len(sizes)
    fixed = tuple((index, size) for index, size in enumerate(sizes) if size != -1)

    def check(value: Any) -> str | None:
        if not isinstance(value, torch.Tensor):
            return f"Type mismatch: source is {type(value).__name__}, target expects a tensor"
        if dtypes is not None and value.dtype not in dtypes:
            return f"Dtype mismatch: source is {dtype_name(value.dtype)}, target expects {port.describe(node)}"
        if value.dim() != rank:
            return f"Shape rank mismatch: source has {value.dim()} dimensions, target expects {rank}"
        for index, size in fixed:
            if value.shape[index] != size:
                return f"Shape mismatch: dimension {index} of the source is {value.shape[index]}, target expects {size}"
        return None

    return check
