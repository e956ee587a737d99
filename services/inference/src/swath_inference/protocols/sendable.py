"""What of a pipeline's outputs goes to clients."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from swath.errors import InvalidInput


def sendable(outputs: Mapping[str, Any], wanted: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Iterate over the outputs that can be sent: numbers as they are, tensors, and lists of numbers as tensors.

    Args:
        outputs: By `node.port`.
        wanted: Outputs that were asked for, by `node.port` or port name. What has an element type that cannot be sent
            is left out unless it is one of them.
    """
    tensor_type, codes = _known()
    for key, value in outputs.items():
        tensor = value
        if not isinstance(value, tensor_type):
            if isinstance(value, bool):
                continue
            if isinstance(value, int | float):
                yield key, value
                continue
            tensor = _listed(value)
            if tensor is None:
                continue
        if tensor.dtype in codes or key in wanted or key.rsplit(".", 1)[-1] in wanted:
            yield key, tensor


def refusing(wanted: Sequence[str]) -> Callable[[Sequence[str]], None]:
    """Return what refuses outputs that there are none of, called with all that there are."""

    def refuse(there: Sequence[str]) -> None:
        known = {*there, *(each.rpartition(".")[2] for each in there)}
        missing = ", ".join(repr(each) for each in wanted if each not in known)
        raise InvalidInput(f"the pipeline has no output {missing}; it has {', '.join(there)}")

    return refuse


@cache
def _known() -> tuple[Any, Mapping[Any, int]]:
    """Return the class of tensors, and codes by element type. Imports torch, which a process that starts does aside."""
    import torch

    from swath.engine.graph.codec import CODES

    return torch.Tensor, CODES


def _listed(value: Any) -> Any:
    """Return a list of numbers as a tensor, None for anything else."""
    import torch

    if not isinstance(value, list | tuple) or not value:
        return None
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return None
